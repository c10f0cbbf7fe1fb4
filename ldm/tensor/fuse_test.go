package tensor_test

import (
	"math"
	"strings"
	"testing"

	"ldm-mac/ldm/tensor"
	"ldm-mac/ldm/tensor/tensortest"
)

// ramp is an array, and vector a weight, of distinct small values.
func ramp(shape ...int) tensor.Array {
	a := tensor.NewArray(shape...)
	for i := range a.Data {
		a.Data[i] = float32(math.Sin(float64(i + 1)))
	}
	return a
}

func vector(shape ...int) *tensor.Weight {
	return tensor.WeightOf("v.weight", ramp(shape...).Data, shape...)
}

func groupNorm(x *tensor.Tensor) *tensor.Tensor {
	c := x.Shape.Last()
	return tensor.GroupNorm(x, vector(c), vector(c), 2, 1e-5)
}

func count(g *tensor.Graph, op tensor.Op) (n int) {
	for _, t := range g.Nodes() {
		if t.Op == op {
			n++
		}
	}
	return n
}

func TestFused(t *testing.T) {
	tests := []struct {
		name                string
		build               func(g *tensor.Graph, x *tensor.Tensor)
		silus, norms, nodes int // of the fused graph; nodes without inputs and parameters
	}{
		{"norm and SiLU", func(g *tensor.Graph, x *tensor.Tensor) {
			g.Output("y", tensor.SiLU(groupNorm(x)))
		}, 0, 1, 1},
		{"two pairs", func(g *tensor.Graph, x *tensor.Tensor) {
			g.Output("y", tensor.SiLU(groupNorm(tensor.SiLU(groupNorm(x)))))
		}, 0, 2, 2},
		{"SiLU twice", func(g *tensor.Graph, x *tensor.Tensor) {
			g.Output("y", tensor.SiLU(tensor.SiLU(groupNorm(x))))
		}, 1, 1, 2},
		{"norm read twice", func(g *tensor.Graph, x *tensor.Tensor) {
			n := groupNorm(x)
			g.Output("y", tensor.Add(tensor.SiLU(n), n))
		}, 1, 1, 3},
		{"norm read by two SiLUs", func(g *tensor.Graph, x *tensor.Tensor) {
			n := groupNorm(x)
			g.Output("y", tensor.Add(tensor.SiLU(n), tensor.SiLU(n)))
		}, 2, 1, 4},
		{"norm is an output", func(g *tensor.Graph, x *tensor.Tensor) {
			n := groupNorm(x)
			g.Output("norm", n)
			g.Output("y", tensor.SiLU(n))
		}, 1, 1, 2},
		{"norm is kept", func(g *tensor.Graph, x *tensor.Tensor) {
			n := groupNorm(x)
			g.Keep("norm", n)
			g.Output("y", tensor.SiLU(n))
		}, 1, 1, 2},
		{"another activation", func(g *tensor.Graph, x *tensor.Tensor) {
			g.Output("y", tensor.GELU(groupNorm(x)))
		}, 0, 1, 2},
		{"a view between", func(g *tensor.Graph, x *tensor.Tensor) {
			g.Output("y", tensor.SiLU(tensor.Reshape(groupNorm(x), 2, 12, 4)))
		}, 1, 1, 3},
		{"useless reader", func(g *tensor.Graph, x *tensor.Tensor) {
			n := groupNorm(x)
			tensor.GELU(n)
			g.Output("y", tensor.SiLU(n))
		}, 0, 1, 1},
		{"useless SiLU", func(g *tensor.Graph, x *tensor.Tensor) {
			n := groupNorm(x)
			tensor.SiLU(n)
			g.Output("y", tensor.GELU(n))
		}, 0, 1, 2},
		{"no norm", func(g *tensor.Graph, x *tensor.Tensor) {
			g.Output("y", tensor.SiLU(x))
		}, 1, 0, 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := tensor.NewGraph()
			x := g.Input("x", 2, 3, 4, 4)
			g.Input("unread", 1)
			test.build(g, x)
			before := len(g.Nodes())
			f := g.Fused()
			if err := f.Err(); err != nil {
				t.Fatal(err)
			}
			computed := len(f.Nodes()) - count(f, tensor.OpInput) - count(f, tensor.OpParam)
			if silus, norms := count(f, tensor.OpSiLU), count(f, tensor.OpGroupNorm); silus != test.silus || norms != test.norms || computed != test.nodes {
				t.Errorf("%d SiLUs, %d norms, %d nodes, want %d, %d, %d", silus, norms, computed, test.silus, test.norms, test.nodes)
			}
			if len(g.Nodes()) != before || count(f, tensor.OpInput) != 2 {
				t.Errorf("the graph or its inputs changed")
			}
			sound(t, f)
			in := map[string]tensor.Array{"x": ramp(2, 3, 4, 4), "unread": ramp(1)}
			equal(t, g, f, in)
			equal(t, f, f.Fused(), in)
			equal(t, g, g.Observed(), in)
		})
	}
}

// sound checks that operands are nodes of the same graph and come before their readers.
func sound(t *testing.T, g *tensor.Graph) {
	t.Helper()
	nodes := g.Nodes()
	for i, node := range nodes {
		if node.Graph() != g || node.Index() != i {
			t.Errorf("node %q is not at home", node.Name)
		}
		for _, operand := range node.Inputs {
			if operand.Index() >= i || nodes[operand.Index()] != operand {
				t.Errorf("node %q reads what is not computed before it", node.Name)
			}
		}
	}
	for _, o := range g.Outputs() {
		if nodes[o.Value.Index()] != o.Value {
			t.Errorf("output %q is of another graph", o.Name)
		}
	}
}

// equal checks that the outputs of want are, exactly, outputs of got.
func equal(t *testing.T, want, got *tensor.Graph, in map[string]tensor.Array) {
	t.Helper()
	expected, err := tensortest.Evaluate(want, in)
	if err != nil {
		t.Fatal(err)
	}
	values, err := tensortest.Evaluate(got, in)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range want.Outputs() {
		result, ok := values[o.Name]
		if !ok { // Observed names outputs as nodes
			result = values[o.Value.Name]
		}
		if len(result) != len(expected[o.Name]) {
			t.Errorf("output %q has %d values, want %d", o.Name, len(result), len(expected[o.Name]))
			continue
		}
		for i, v := range expected[o.Name] {
			if result[i] != v {
				t.Errorf("output %q[%d] = %g, want %g", o.Name, i, result[i], v)
				break
			}
		}
	}
}

func TestFusedNames(t *testing.T) {
	g := tensor.NewGraph()
	y := tensor.SiLU(groupNorm(g.Input("x", 1, 2, 2, 4))).Named("activated")
	g.Output("y", y)
	f := g.Fused()
	last := f.Nodes()[len(f.Nodes())-1]
	if last.Name != "activated" || last.Op != tensor.OpGroupNorm || last.Attrs.Activation != tensor.OpSiLU {
		t.Errorf("the joined node is %s %q with activation %s", last.Op, last.Name, last.Attrs.Activation)
	}
	if y.Op != tensor.OpSiLU || y.Inputs[0].Attrs.Activation != tensor.OpInput {
		t.Error("fusing changed the original nodes")
	}
}

func TestObserved(t *testing.T) {
	g := tensor.NewGraph()
	x := g.Input("x", 1, 2, 2, 4)
	n := groupNorm(x)
	tensor.GELU(n)
	g.Output("y", tensor.SiLU(n))
	var names []string
	for _, o := range g.Observed().Outputs() {
		if o.Name != o.Value.Name || o.Resident {
			t.Errorf("output %q of node %q", o.Name, o.Value.Name)
		}
		names = append(names, o.Name)
	}
	if got, want := strings.Join(names, " "), "v v.gelu v.silu"; got != want {
		t.Errorf("observed %s, want %s", got, want)
	}
	if len(g.Outputs()) != 1 {
		t.Error("observing changed the graph")
	}
}

func TestTapAttention(t *testing.T) {
	build := func(tap func(string) bool) *tensor.Graph {
		g := tensor.NewGraph()
		if tap != nil {
			g.TapAttention(tap)
		}
		q, k, v := g.Input("q", 2, 3, 8), g.Input("k", 2, 5, 8), g.Input("v", 2, 5, 8)
		a := tensor.Attention("first", q, k, v, 2, 0.5, false)
		b := tensor.Attention("second", a, a, a, 4, 0.7, false)
		g.Output("y", tensor.Attention("causal", b, b, b, 1, 1, true))
		return g
	}
	in := map[string]tensor.Array{"q": ramp(2, 3, 8), "k": ramp(2, 5, 8), "v": ramp(2, 5, 8)}
	plain, err := tensortest.Evaluate(build(nil), in)
	if err != nil {
		t.Fatal(err)
	}
	g := build(func(name string) bool { return name != "second" })
	if got := count(g, tensor.OpAttention); got != 2 {
		t.Errorf("%d attentions stay fused, want the second and the causal one", got)
	}
	tapped, err := tensortest.Evaluate(g, in)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range plain["y"] {
		if math.Abs(tapped["y"][i]-v) > 1e-14 { // float64, in another order
			t.Fatalf("y[%d] = %g with a tap, want %g", i, tapped["y"][i], v)
		}
	}
	probs := tapped["first.probs"]
	if len(probs) != 2*2*3*5 {
		t.Fatalf("%d probabilities, want [2, 2, 3, 5]", len(probs))
	}
	for row := 0; row < len(probs); row += 5 {
		var sum float64
		for _, p := range probs[row : row+5] {
			sum += p
		}
		if math.Abs(sum-1) > 1e-14 {
			t.Errorf("probabilities of row %d sum to %g", row/5, sum)
		}
	}
	var named *tensor.Tensor
	for _, node := range g.Nodes() {
		if node.Name == "first" {
			named = node
		}
	}
	if named == nil || !named.Shape.Equal(tensor.Shape{2, 3, 8}) {
		t.Error("no node of the result's shape has the tapped attention's name")
	}
}
