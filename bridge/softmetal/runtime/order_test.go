//go:build linux && cgo

package runtime_test

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"testing"

	"ldm-mac/bridge/softmetal/runtime"
)

// order runs threads of several threadgroups, and returns when each ran.
func order(t *testing.T, l *runtime.Library, seed uint32) []uint32 {
	t.Helper()
	const groups, threads = 8, 96
	y := make([]byte, 4*groups*threads)
	err := l.Run("order", runtime.Launch{Buffers: map[int][]byte{0: make([]byte, 4), 1: y}, Grid: line(groups), Group: line(threads), Seed: seed})
	if err != nil {
		t.Fatal(err)
	}
	return unpack[uint32](y)
}

func TestSeedsChooseTheOrder(t *testing.T) {
	l := open(t, "compute.metal", false)
	ascending := order(t, l, 0)
	if !slices.IsSorted(ascending) {
		t.Errorf("seed 0: %v", ascending)
	}
	seen := [][]uint32{ascending}
	for _, seed := range seeds[1:] {
		o := order(t, l, seed)
		if !slices.Equal(o, order(t, l, seed)) {
			t.Errorf("seed %d has two orders", seed)
		}
		if slices.ContainsFunc(seen, func(other []uint32) bool { return slices.Equal(o, other) }) {
			t.Errorf("seed %d has the order of another", seed)
		}
		seen = append(seen, o)
		for i := range 3 { // simdgroups of the first threadgroup
			if slices.IsSorted(o[32*i : 32*i+32]) {
				t.Errorf("seed %d: simdgroup %d runs in ascending order", seed, i)
			}
		}
		slices.Sort(o)
		if !slices.Equal(o, ascending) {
			t.Errorf("seed %d does not run each thread once", seed)
		}
	}
}

func TestCopies(t *testing.T) {
	for kernel, threads := range map[string]int{"copy_structs": 4, "copy_bytes": 192} {
		x := pack(numbers(48))
		run(t, kernel, runtime.Launch{Grid: line(1), Group: line(threads)}, func() map[int][]byte {
			return map[int][]byte{0: x, 1: make([]byte, len(x))}
		}, func(t *testing.T, b map[int][]byte) {
			if !bytes.Equal(b[1], x) {
				t.Errorf("%s: %v", kernel, b[1])
			}
		})
		err := open(t, "compute.metal", true).Run(kernel, runtime.Launch{Grid: line(1), Group: line(threads), Checkers: runtime.CheckAll,
			Buffers: map[int][]byte{0: x, 1: make([]byte, len(x)-1)}})
		var f *runtime.Fault
		if !errors.As(err, &f) || f.Kind != runtime.FaultBounds {
			t.Errorf("%s past the end: %v", kernel, err)
		}
	}
}

// TestNeighbours binds parts of one allocation, as the buffers of a heap are.
func TestNeighbours(t *testing.T) {
	l := open(t, "faults.metal", true)
	heap := make([]byte, 256)
	launch := runtime.Launch{Buffers: map[int][]byte{0: heap[:128], 1: heap[128:]}, Grid: line(1), Group: line(32), Checkers: runtime.CheckAll}
	var f *runtime.Fault
	if err := l.Run("read_past_end", launch); !errors.As(err, &f) || f.Kind != runtime.FaultBounds {
		t.Errorf("a read of the next buffer: %v", err)
	}
	launch.Buffers = map[int][]byte{0: heap[:132], 1: heap[:128]} // y[i] = x[i+1] in place
	if err := l.Run("read_past_end", launch); !errors.As(err, &f) || f.Kind != runtime.FaultRace {
		t.Errorf("a race between overlapping buffers: %v", err)
	}
	x := pack([]float32{1, 2, 3, 4})
	y := slices.Clone(x)
	constants := runtime.Launch{Buffers: map[int][]byte{0: y, 1: y}, Grid: line(1), Group: line(4), Checkers: runtime.CheckAll,
		Constants: map[int][]byte{0: pack(uint32(4)), 1: {1}}}
	if err := open(t, "compute.metal", true).Run("constants", constants); err != nil {
		t.Errorf("in place: %v", err)
	}
	if want := []float32{11, 11, 11, 11}; !slices.Equal(unpack[float32](y), want) {
		t.Errorf("in place: %v, want %v", unpack[float32](y), want)
	}
}

// TestConcurrentDispatches makes sure that dispatches into one library wait for each other.
func TestConcurrentDispatches(t *testing.T) {
	l := open(t, "compute.metal", true)
	x := numbers(96)
	var wait sync.WaitGroup
	for seed := range uint32(8) {
		wait.Go(func() {
			y := make([]byte, 4*96)
			err := l.Run("rotate", runtime.Launch{Buffers: map[int][]byte{0: pack(x), 1: y, 2: pack(uint32(5))},
				Threadgroup: map[int]int{0: 4 * 96}, Grid: line(1), Group: line(96), Seed: seed, Checkers: runtime.CheckAll})
			if err != nil || unpack[float32](y)[0] != x[5] {
				t.Errorf("seed %d: %v", seed, err)
			}
		})
	}
	wait.Wait()
}
