//go:build linux && cgo

package runtime_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ldm-mac/bridge/softmetal/runtime"
)

// marked returns the lines of faults.metal that are marked in each kernel.
func marked(t *testing.T) map[string][]int {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "faults.metal"))
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string][]int{}
	kernel := ""
	for i, line := range strings.Split(string(data), "\n") {
		if _, rest, ok := strings.Cut(line, "kernel void "); ok {
			kernel, _, _ = strings.Cut(rest, "(")
		}
		if strings.HasSuffix(line, "// fault") {
			lines[kernel] = append(lines[kernel], i+1)
		}
	}
	return lines
}

// TestFaults provokes every defect that the runtime claims to find, under every order of threads,
// and makes sure that what is right beside it passes.
func TestFaults(t *testing.T) {
	floats := func(n int) []byte { return make([]byte, 4*n) }
	tests := []struct {
		kernel  string
		kind    runtime.FaultKind // 0 where nothing is wrong
		says    string
		buffers []([]byte)
		threads int
		groups  int
		shared  int // bytes of threadgroup(0)
	}{
		{kernel: "missing_barrier", kind: runtime.FaultRace, says: "threadgroup memory 't'", buffers: [][]byte{floats(64)}, threads: 64},
		{kernel: "with_barrier", buffers: [][]byte{floats(64)}, threads: 64},
		{kernel: "wrong_barrier", kind: runtime.FaultRace, says: "not ordered by a barrier", buffers: [][]byte{floats(64)}, threads: 64},
		{kernel: "write_after_read", kind: runtime.FaultRace, says: "not ordered by a barrier", buffers: [][]byte{floats(64)}, threads: 64},
		{kernel: "neighbour_in_simdgroup", kind: runtime.FaultRace, says: "the other is thread", buffers: [][]byte{floats(64)}, threads: 64},
		{kernel: "simdgroup_ordered", buffers: [][]byte{floats(64)}, threads: 64},
		{kernel: "simdgroup_ordered_only", kind: runtime.FaultRace, says: "'t'", buffers: [][]byte{floats(64)}, threads: 64},
		{kernel: "device_race", kind: runtime.FaultRace, says: "write after write of 4 bytes", buffers: [][]byte{floats(32)}, threads: 64},
		{kernel: "neighbouring_halves", buffers: [][]byte{floats(32)}, threads: 64},
		{kernel: "neighbouring_bytes", buffers: [][]byte{floats(16)}, threads: 64},
		{kernel: "between_threadgroups", kind: runtime.FaultRace, says: "another threadgroup", buffers: [][]byte{floats(9)}, threads: 1, groups: 8},
		{kernel: "read_past_end", kind: runtime.FaultBounds, says: "read of 4 bytes at offset 128 of buffer(0) 'x', which has 128",
			buffers: [][]byte{floats(32), floats(32)}, threads: 32},
		{kernel: "write_past_end", kind: runtime.FaultBounds, says: "write of 4 bytes at offset 128 of buffer(0) 'y'", buffers: [][]byte{floats(32)}, threads: 32},
		{kernel: "write_before_start", kind: runtime.FaultBounds, says: "offset -4 of", buffers: [][]byte{floats(32)}, threads: 32},
		{kernel: "threadgroup_past_end", kind: runtime.FaultBounds, says: "offset 128 of threadgroup memory 't'", buffers: [][]byte{floats(32)}, threads: 32, shared: 128},
		{kernel: "array_past_end", kind: runtime.FaultBounds, says: "index 4", buffers: [][]byte{floats(32), pack(uint32(5))}, threads: 32},
		{kernel: "matrix_past_end", kind: runtime.FaultBounds, says: "buffer(0) 'x'", buffers: [][]byte{floats(64), floats(32)}, threads: 32},
		{kernel: "misaligned", kind: runtime.FaultAlignment, says: "read of 16 bytes", buffers: [][]byte{floats(64), floats(16)}, threads: 4},
		{kernel: "uninitialised", kind: runtime.FaultUninitialised, says: "offset 28 of", buffers: [][]byte{floats(64)}, threads: 64},
		{kernel: "uninitialised_later", kind: runtime.FaultUninitialised, says: "which no thread has written", buffers: [][]byte{floats(128)}, threads: 64, groups: 2},
		{kernel: "guarded_read", buffers: [][]byte{floats(64)}, threads: 64},
		{kernel: "divergent_barrier", kind: runtime.FaultBarrier, buffers: [][]byte{floats(64)}, threads: 64},
		{kernel: "two_barriers", kind: runtime.FaultBarrier, says: "wait at another", buffers: [][]byte{floats(64)}, threads: 64},
		{kernel: "uneven_loop", kind: runtime.FaultBarrier, buffers: [][]byte{floats(64)}, threads: 64},
		{kernel: "early_return", kind: runtime.FaultBarrier, buffers: [][]byte{floats(64)}, threads: 64},
		{kernel: "divergent_sum", kind: runtime.FaultCollective, buffers: [][]byte{floats(64)}, threads: 64},
		{kernel: "divergent_load", kind: runtime.FaultCollective, buffers: [][]byte{floats(64)}, threads: 64},
		{kernel: "two_sums", kind: runtime.FaultCollective, says: "wait in another", buffers: [][]byte{floats(64)}, threads: 64},
		{kernel: "sum_and_barrier", kind: runtime.FaultCollective, buffers: [][]byte{floats(64)}, threads: 64},
		{kernel: "simple_sum", buffers: [][]byte{floats(64)}, threads: 64},
		{kernel: "simple_sum", kind: runtime.FaultCollective, says: "partial simdgroup of 8 threads", buffers: [][]byte{floats(40)}, threads: 40},
		{kernel: "uneven_broadcast", kind: runtime.FaultCollective, says: "not the same in all threads", buffers: [][]byte{floats(64)}, threads: 64},
		{kernel: "much_memory", kind: runtime.FaultMemory, says: "with 'u' the threadgroup has 32784 bytes", buffers: [][]byte{floats(64)}, threads: 64},
		{kernel: "division", buffers: [][]byte{floats(32), pack(uint32(1))}, threads: 32},
		{kernel: "division", kind: runtime.FaultArithmetic, says: "division by zero", buffers: [][]byte{floats(32), pack(uint32(0))}, threads: 32},
	}
	l := open(t, "faults.metal", true)
	lines := marked(t)
	for _, test := range tests {
		for _, seed := range seeds {
			launch := runtime.Launch{Buffers: map[int][]byte{}, Grid: line(max(1, test.groups)), Group: line(test.threads),
				Seed: seed, Checkers: runtime.CheckAll}
			if test.kind == runtime.FaultRace { // else a read may come before the first write
				launch.Checkers &^= runtime.CheckUninitialised
			}
			for i, b := range test.buffers {
				launch.Buffers[i] = slices.Clone(b)
			}
			if test.shared > 0 {
				launch.Threadgroup = map[int]int{0: test.shared}
			}
			err := l.Run(test.kernel, launch)
			if test.kind == 0 {
				if err != nil {
					t.Errorf("%s, seed %d: %v", test.kernel, seed, err)
				}
				continue
			}
			var f *runtime.Fault
			if !errors.As(err, &f) {
				t.Errorf("%s, seed %d: error %v, want a fault", test.kernel, seed, err)
				continue
			}
			if f.Kind != test.kind || f.Kernel != test.kernel || !strings.Contains(f.Message, test.says) {
				t.Errorf("%s, seed %d: fault of kind %d: %s; want kind %d, %q", test.kernel, seed, f.Kind, f.Message, test.kind, test.says)
			}
			if !slices.Contains(lines[test.kernel], f.Line) || !strings.HasSuffix(f.File, "faults.metal") {
				t.Errorf("%s, seed %d: %s:%d, want a line of %v", test.kernel, seed, f.File, f.Line, lines[test.kernel])
			}
		}
	}
}

// TestFaultsLeaveNothing runs a right kernel after wrong ones, in the same library.
func TestFaultsLeaveNothing(t *testing.T) {
	l := open(t, "faults.metal", true)
	for _, seed := range seeds {
		b := map[int][]byte{0: make([]byte, 256)}
		launch := runtime.Launch{Buffers: b, Grid: line(1), Group: line(64), Seed: seed, Checkers: runtime.CheckAll}
		for _, kernel := range []string{"divergent_sum", "divergent_barrier", "missing_barrier", "uninitialised"} {
			if l.Run(kernel, launch) == nil {
				t.Errorf("%s passes", kernel)
			}
		}
		if err := l.Run("with_barrier", launch); err != nil {
			t.Error(err)
		}
		for i, y := range unpack[float32](b[0]) {
			if y != float32((i+33)%64) {
				t.Errorf("seed %d: %d is %g", seed, i, y)
			}
		}
	}
}

// TestOrderShowsMissingBarrier runs without the race checker: some order of threads gives another result.
func TestOrderShowsMissingBarrier(t *testing.T) {
	l := open(t, "faults.metal", false)
	wrong := 0
	for _, seed := range seeds {
		b := map[int][]byte{0: make([]byte, 256)}
		if err := l.Run("missing_barrier", runtime.Launch{Buffers: b, Grid: line(1), Group: line(64), Seed: seed}); err != nil {
			t.Fatal(err)
		}
		for i, y := range unpack[float32](b[0]) {
			if y != float32((i+33)%64) {
				wrong++
				break
			}
		}
	}
	if wrong != len(seeds) {
		t.Errorf("%d of %d orders show the missing barrier", wrong, len(seeds))
	}
}

func TestLaunchFaults(t *testing.T) {
	l := open(t, "faults.metal", true)
	good := func() runtime.Launch {
		return runtime.Launch{Buffers: map[int][]byte{0: make([]byte, 256), 1: make([]byte, 4)},
			Threadgroup: map[int]int{0: 256}, Grid: line(1), Group: line(64), Checkers: runtime.CheckAll}
	}
	tests := []struct {
		name, says string
		change     func(*runtime.Launch)
	}{
		{"good", "", func(*runtime.Launch) {}},
		{"unbound", "nothing is bound to buffer(0) 'y'", func(l *runtime.Launch) { delete(l.Buffers, 0) }},
		{"short", "buffer(1) 'n' has 2 bytes, want 4", func(l *runtime.Launch) { l.Buffers[1] = make([]byte, 2) }},
		{"too many threads", "65 threads per threadgroup, above 64", func(l *runtime.Launch) { l.Group = line(65) }},
		{"no threads", "is empty", func(l *runtime.Launch) { l.Group = line(0) }},
		{"no threadgroups", "is empty", func(l *runtime.Launch) { l.Grid[1] = 0 }},
		{"no shared memory", "threadgroup(0) 't' has no length", func(l *runtime.Launch) { l.Threadgroup = nil }},
		{"uneven shared memory", "want a multiple of 16", func(l *runtime.Launch) { l.Threadgroup[0] = 260 }},
		{"much shared memory", "above 32768", func(l *runtime.Launch) { l.Threadgroup[0] = 32768 + 16 }},
	}
	for _, test := range tests {
		launch := good()
		test.change(&launch)
		err := l.Run("limited", launch)
		var f *runtime.Fault
		switch {
		case test.says == "" && err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.says != "" && (!errors.As(err, &f) || f.Kind != runtime.FaultLaunch || !strings.Contains(f.Message, test.says)):
			t.Errorf("%s: %v, want %q", test.name, err, test.says)
		}
	}
	if err := l.Run("absent", good()); err == nil || !strings.Contains(err.Error(), `no kernel "absent"`) {
		t.Error(err)
	}
	if err := open(t, "faults.metal", false).Run("limited", good()); err == nil || !strings.Contains(err.Error(), "without -check") {
		t.Error(err)
	}
	constants := runtime.Launch{Buffers: map[int][]byte{0: make([]byte, 16)}, Grid: line(1), Group: line(4)}
	if err := open(t, "compute.metal", false).Run("constants", constants); err == nil || !strings.Contains(err.Error(), "function constant 0 'count' has no value") {
		t.Error(err)
	}
	constants.Constants = map[int][]byte{0: {1, 0}, 1: {0}}
	if err := open(t, "compute.metal", false).Run("constants", constants); err == nil || !strings.Contains(err.Error(), "has 2 bytes, want 4") {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, path := range []string{"testdata/absent.so", "testdata/faults.metal", "libm.so.6"} {
		if l, err := runtime.Open(path); err == nil {
			l.Close()
			t.Errorf("Open(%q) succeeds", path)
		}
	}
}
