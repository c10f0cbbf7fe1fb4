package tensortest

import (
	"math"
	"slices"
	"testing"

	"ldm-mac/ldm/tensor"
)

func TestReferencePasses(t *testing.T) { Run(t, Reference()) }

// The arena backend rounds every node to its storage type, as honest backends do: the bounds of
// the suite must allow it for each type.
func TestStoredPasses(t *testing.T) {
	for _, dtype := range []tensor.DType{tensor.F32, tensor.F16, tensor.BF16} {
		t.Run(dtype.String(), func(t *testing.T) { RunStored(t, arena{reference{compute}}, dtype) })
	}
}

func TestEveryOperatorHasCases(t *testing.T) {
	const fewest = 3
	count := map[tensor.Op]int{}
	names := map[string]bool{}
	for _, c := range cases() {
		if names[c.name] {
			t.Errorf("two cases are named %q", c.name)
		}
		names[c.name] = true
		g, _ := c.graph(tensor.F32)
		if err := g.Err(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		var ops []tensor.Op
		for _, node := range g.Nodes() {
			ops = append(ops, node.Op)
		}
		slices.Sort(ops)
		for _, op := range slices.Compact(ops) {
			count[op]++
		}
	}
	for _, op := range tensor.Ops() {
		if count[op] < fewest {
			t.Errorf("%s occurs in %d cases, want at least %d", op, count[op], fewest)
		}
	}
	t.Logf("%d cases", len(names))
}

// Inputs must not depend on the order of cases or of map iteration.
func TestCasesAreRepeatable(t *testing.T) {
	for _, c := range cases() {
		_, first := c.graph(tensor.F32)
		_, second := c.graph(tensor.F32)
		for name, a := range first {
			if !slices.Equal(a.Data, second[name].Data) {
				t.Errorf("%s: input %q differs the second time", c.name, name)
			}
		}
	}
}

func TestGenerator(t *testing.T) {
	// Mean and variance of 100,000 values have standard errors 0.003 and 0.0045; the bounds are
	// five of them.
	const n = 100_000
	r := generator(1)
	var mean, square float64
	for range n {
		v := r.normal()
		mean += v / n
		square += v * v / n
	}
	if math.Abs(mean) > 0.016 || math.Abs(square-1) > 0.023 {
		t.Errorf("mean %g and mean square %g, want 0 and 1", mean, square)
	}
}

func TestCompare(t *testing.T) {
	nan := float32(math.NaN())
	tests := []struct {
		name      string
		got       []float32
		want      []float64
		tolerance float64
		ok        bool
	}{
		{"equal", []float32{1, 2}, []float64{1, 2}, 0, true},
		{"exact is exact", []float32{1, 2}, []float64{1, 2 + 1e-12}, 0, false},
		{"within", []float32{1, 2}, []float64{1, 2.001}, 1e-3, true},
		{"mean square", []float32{1, 2, 3}, []float64{1.01, 2.01, 3.01}, 1e-3, false},
		{"outlier", append(make([]float32, 1000), 1), append(make([]float64, 1000), 1.1), 0.02, false},
		{"other size", []float32{1}, []float64{1, 2}, 1, false},
		{"NaN", []float32{1, nan}, []float64{1, 2}, 1, false},
		{"NaN wanted", []float32{1, 2}, []float64{1, math.NaN()}, 1, false},
		{"all zero", []float32{0, 0}, []float64{0, 0}, 0, true},
		{"not zero", []float32{0, 1}, []float64{0, 0}, 1e-3, false},
	}
	for _, test := range tests {
		if _, err := compare(test.got, test.want, test.tolerance); (err == nil) != test.ok {
			t.Errorf("%s: %v, want success %t", test.name, err, test.ok)
		}
	}
}
