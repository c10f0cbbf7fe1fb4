// Package goldentest reads the reference fixtures: folders with a case.json, an
// expect.safetensors of tensors in PyTorch layout, and often a model. They live in
// ldm/testdata/golden; LDM_GOLDEN names another folder of the same form.
package goldentest

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/tensor"
)

// Error is the fixture's own measurement of a quantity: float32 against float64 networks.
type Error struct {
	Max float64 `json:"max"` // max|a-b| / max|b|
	RMS float64 `json:"rms"`
}

// Bound is the tolerance on the relative maximum error of a quantity whose float32 error was
// measured as max: ten times that, at least 1e-5 (the fixtures' README).
func Bound(max float64) float64 { return math.Max(1e-5, 10*max) }

// Root is the folder of fixtures.
func Root() string {
	if dir := os.Getenv("LDM_GOLDEN"); dir != "" {
		return dir
	}
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "testdata", "golden")
}

// Folder is one fixture.
type Folder struct {
	Dir  string
	t    testing.TB
	file *checkpoint.File
}

// Open opens the fixture of the given name and decodes its case.json into cases. A fixture that
// the root lacks skips the test; a broken one fails it.
func Open(t testing.TB, name string, cases any) *Folder {
	t.Helper()
	f := &Folder{Dir: filepath.Join(Root(), name), t: t}
	data, err := os.ReadFile(f.Path("case.json"))
	if os.IsNotExist(err) {
		t.Skipf("no fixture %s in %s", name, Root())
	}
	if err == nil {
		err = json.Unmarshal(data, cases)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Path is a file of the fixture.
func (f *Folder) Path(name ...string) string {
	return filepath.Join(append([]string{f.Dir}, name...)...)
}

// Tensors makes Floats and the like read from another file of the fixture than
// expect.safetensors.
func (f *Folder) Tensors(name string) {
	f.t.Helper()
	file, err := checkpoint.Open(f.Path(name))
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { file.Close() })
	f.file = file
}

func (f *Folder) weight(name string) (*tensor.Weight, bool) {
	f.t.Helper()
	if f.file == nil {
		f.Tensors("expect.safetensors")
	}
	return f.file.Weight(name)
}

// Has reports whether the fixture holds the named tensor.
func (f *Folder) Has(name string) bool {
	f.t.Helper()
	_, ok := f.weight(name)
	return ok
}

// Weight is the named tensor as it is stored; a missing one fails the test.
func (f *Folder) Weight(name string) *tensor.Weight {
	f.t.Helper()
	w, ok := f.weight(name)
	if !ok {
		f.t.Fatalf("%s has no tensor %q", f.Dir, name)
	}
	return w
}

// Floats is the named tensor in float32 with its shape.
func (f *Folder) Floats(name string) ([]float32, tensor.Shape) {
	f.t.Helper()
	w := f.Weight(name)
	values, err := w.Floats(nil)
	if err != nil {
		f.t.Fatal(err)
	}
	return values, w.Shape
}

// Ints is the named I64 tensor with its shape.
func (f *Folder) Ints(name string) ([]int64, tensor.Shape) {
	f.t.Helper()
	w := f.Weight(name)
	values, err := w.Ints()
	if err != nil {
		f.t.Fatal(err)
	}
	return values, w.Shape
}

// Compare fails the test when the relative maximum error of got exceeds bound.
func Compare(t testing.TB, name string, got, want []float32, bound float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", name, len(got), len(want))
		return
	}
	var worst, largest float64
	for i, w := range want {
		difference := math.Abs(float64(got[i]) - float64(w))
		if !(difference <= worst) { // NaN counts as the worst
			worst = difference
		}
		largest = math.Max(largest, math.Abs(float64(w)))
	}
	if largest == 0 {
		largest = 1
	}
	if relative := worst / largest; !(relative <= bound) {
		t.Errorf("%s: relative maximum error %.2g, want at most %.2g", name, relative, bound)
	}
}

// Count logs how many cases a fixture gave and fails the test when there was none.
func (f *Folder) Count(n int) {
	f.t.Helper()
	f.t.Logf("%s: %d cases", filepath.Base(f.Dir), n)
	if n == 0 {
		f.t.Errorf("%s gave no case", f.Dir)
	}
}

// Names are those of all tensors, sorted.
func (f *Folder) Names() []string {
	f.t.Helper()
	if f.file == nil {
		f.Tensors("expect.safetensors")
	}
	return f.file.Names()
}
