//go:build linux && cgo

package runtime_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"ldm-mac/bridge/softmetal/msl"
	"ldm-mac/bridge/softmetal/runtime"
)

// libraries are those that tests opened, by the name of their file in folder.
var (
	folder    string
	libraries = map[string]*runtime.Library{}
)

func TestMain(m *testing.M) {
	var err error
	if folder, err = os.MkdirTemp("", "softmetal-test-"); err != nil {
		panic(err)
	}
	code := m.Run()
	for _, l := range libraries {
		l.Close()
	}
	os.RemoveAll(folder)
	os.Exit(code)
}

// open compiles a file of testdata and opens it. Without a compiler the test is skipped, but not in
// continuous integration.
func open(t testing.TB, file string, checked bool) *runtime.Library {
	t.Helper()
	library := filepath.Join(folder, fmt.Sprintf("%s-%t.so", file, checked))
	if l := libraries[library]; l != nil {
		return l
	}
	err := msl.Compile(context.Background(), []string{filepath.Join("testdata", file)}, library, msl.Options{Checked: checked})
	if errors.Is(err, msl.ErrNoCompiler) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	l, err := runtime.Open(library)
	if err != nil {
		t.Fatal(err)
	}
	libraries[library] = l
	return l
}

// seeds are the orders of threads under which kernels must give the same: ascending, and three others.
var seeds = []uint32{0, 1, 2, 3}

// pack is values, of fixed size, as the bytes of a buffer.
func pack(values any) []byte {
	b, err := binary.Append(nil, binary.LittleEndian, values)
	if err != nil {
		panic(err)
	}
	return b
}

func unpack[T any](b []byte) []T {
	var zero T
	values := make([]T, len(b)/binary.Size(zero))
	if _, err := binary.Decode(b, binary.LittleEndian, values); err != nil {
		panic(err)
	}
	return values
}

// numbers are n small distinct floats.
func numbers(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(math.Sin(float64(i) + 1))
	}
	return x
}

// TestCloseReleasesMemory opens and closes a library often, and counts what the process has mapped.
func TestCloseReleasesMemory(t *testing.T) {
	open(t, "faults.metal", true)
	path := filepath.Join(folder, "faults.metal-true.so")
	maps := func() int {
		data, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Count(data, []byte("\n"))
	}
	cycle := func() {
		copied := filepath.Join(t.TempDir(), "copy.so") // else the loader gives the one that is open
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(copied, data, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := runtime.Open(copied)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		err = l.Run("with_barrier", runtime.Launch{Buffers: map[int][]byte{0: make([]byte, 256)}, Grid: line(1), Group: line(64), Checkers: runtime.CheckAll})
		if err != nil {
			t.Fatal(err)
		}
	}
	cycle()
	before := maps()
	for range 20 {
		cycle()
	}
	if after := maps(); after > before+20 { // the 64 threads' stacks alone are 128 of a library
		t.Errorf("%d mappings before, %d after 20 libraries", before, after)
	}
}
