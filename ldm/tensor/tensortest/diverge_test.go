package tensortest

import (
	"context"
	"strings"
	"testing"

	"ldm-mac/ldm/tensor"
)

func TestDiverge(t *testing.T) {
	c := testCase{name: "diverge", build: func(b *builder) {
		x := conv(b, b.input(1, 4, 4, 8), 8, 1).Named("in")
		h := tensor.SiLU(norm(b, x, 2)).Named("activated")
		h = tensor.GELU(h).Named("first")
		b.Output("y", tensor.GELU(h).Named("second"))
	}}
	// gelu multiplies the results of the second GELU.
	gelu := func(factor float64) tensor.Backend {
		return reference{func(t *tensor.Tensor, args [][]float64) []float64 {
			out := compute(t, args)
			if t.Op == tensor.OpGELU && strings.HasSuffix(t.Name, "second") {
				return each(out, func(x float64) float64 { return factor * x })
			}
			return out
		}}
	}
	noSiLU := reference{func(t *tensor.Tensor, args [][]float64) []float64 {
		plain := *t
		plain.Attrs.Activation = tensor.OpInput
		return compute(&plain, args)
	}}
	tests := []struct {
		name    string
		backend tensor.Backend
		bound   float64
		want    string
	}{
		{"same", Reference(), 0, ""},
		{"wrong by 1 %", gelu(1.01), 1e-5, "second"},
		{"wrong by 1 %, allowed", gelu(1.01), 1e-3, ""},
		{"fused activation", noSiLU, 1e-6, "activated"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g, in := c.graph(tensor.F32)
			node, nmse, err := Diverge(context.Background(), Reference(), test.backend, g, in, test.bound)
			if err != nil {
				t.Fatal(err)
			}
			if node != test.want || (node != "") != (nmse > test.bound) {
				t.Errorf("node %q with error %g, want %q", node, nmse, test.want)
			}
		})
	}
}

func TestDivergeErrors(t *testing.T) {
	g := tensor.NewGraph()
	g.Output("y", tensor.SiLU(g.Input("x", 2)))
	if _, _, err := Diverge(context.Background(), Reference(), Reference(), g, nil, 0); err == nil {
		t.Error("a missing input is no error")
	}
	g.Input("x", 2)
	if _, _, err := Diverge(context.Background(), Reference(), Reference(), g, nil, 0); err == nil {
		t.Error("a wrong graph is no error")
	}
}
