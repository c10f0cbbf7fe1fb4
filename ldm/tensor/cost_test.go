package tensor_test

import (
	"testing"

	"ldm-mac/ldm/tensor"
)

func TestCost(t *testing.T) {
	half := func(shape ...int) *tensor.Weight { return &tensor.Weight{Name: "w", Shape: shape, DType: tensor.F16} }
	tests := []struct {
		name  string
		dtype tensor.DType
		build func(g *tensor.Graph)
		want  tensor.Cost
	}{
		{"nothing", tensor.F32, func(g *tensor.Graph) { tensor.SiLU(g.Input("x", 3, 5)) }, tensor.Cost{}},
		{"linear", tensor.F32, func(g *tensor.Graph) {
			tensor.Linear(g.Input("x", 2, 3), half(5, 3), half(5))
		}, tensor.Cost{FLOPs: 2 * 2 * 5 * 3, MinBytes: 4*(2*3+2*5) + 2*(5*3+5)}},
		{"linear in F16", tensor.F16, func(g *tensor.Graph) {
			tensor.Linear(g.Input("x", 2, 3), weight(5, 3), nil)
		}, tensor.Cost{FLOPs: 2 * 2 * 5 * 3, MinBytes: 2*(2*3+2*5) + 4*5*3}},
		{"shared weight", tensor.F32, func(g *tensor.Graph) {
			w := half(3, 3)
			tensor.Linear(tensor.Linear(g.Input("x", 1, 3), w, nil), w, nil)
		}, tensor.Cost{FLOPs: 2 * 2 * 9, MinBytes: 4*(3+3)*2 + 2*9}},
		{"conv", tensor.F32, func(g *tensor.Graph) { // 4 × 4 results of 9 taps on 3 channels
			tensor.Conv2D(g.Input("x", 1, 8, 8, 3), weight(5, 3, 3, 3), nil, 2, tensor.Same(3))
		}, tensor.Cost{FLOPs: 2 * 4 * 4 * 5 * 27, MinBytes: 4 * (8*8*3 + 4*4*5 + 5*27)}},
		{"matmul", tensor.F32, func(g *tensor.Graph) {
			tensor.MatMul(g.Input("a", 2, 3, 4), g.Input("b", 2, 5, 4), true)
		}, tensor.Cost{FLOPs: 2 * 2 * 3 * 4 * 5, MinBytes: 4 * 2 * (12 + 20 + 15)}},
		{"attention", tensor.F32, func(g *tensor.Graph) { // two products of [3, 4] and [4, 7] per head and image
			q, k, v := g.Input("q", 2, 3, 8), g.Input("k", 2, 7, 8), g.Input("v", 2, 7, 8)
			tensor.Attention("a", q, k, v, 2, 1, false)
		}, tensor.Cost{FLOPs: 2 * 2 * 2 * 2 * 3 * 4 * 7, MinBytes: 4 * 2 * 8 * (3 + 7 + 7 + 3)}},
	}
	for _, test := range tests {
		g := tensor.NewGraphOf(test.dtype)
		test.build(g)
		if err := g.Err(); err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if got := g.Cost(); got != test.want {
			t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
		}
		var sum tensor.Cost
		for _, node := range g.Nodes() {
			sum.FLOPs += node.Cost().FLOPs
			sum.MinBytes += node.Cost().MinBytes
		}
		if sum != test.want {
			t.Errorf("%s: the nodes sum to %+v, want %+v", test.name, sum, test.want)
		}
	}
}

// The decomposed attention does the same products.
func TestCostOfTappedAttention(t *testing.T) {
	var flops [2]int64
	for i := range flops {
		g := tensor.NewGraph()
		g.TapAttention(func(string) bool { return i == 1 })
		q, k := g.Input("q", 2, 3, 8), g.Input("k", 2, 7, 8)
		g.Output("y", tensor.Attention("a", q, k, k, 2, 1, false))
		flops[i] = g.Cost().FLOPs
	}
	if flops[0] != flops[1] || flops[0] == 0 {
		t.Errorf("%d operations fused and %d decomposed", flops[0], flops[1])
	}
}
