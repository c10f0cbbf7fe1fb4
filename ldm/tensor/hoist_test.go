package tensor_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"ldm-mac/ldm/tensor"
	"ldm-mac/ldm/tensor/tensortest"
)

func TestHoist(t *testing.T) {
	projection := func() *tensor.Weight { return vector(4, 4) }
	tests := []struct {
		name  string
		build func(g *tensor.Graph, x, cond *tensor.Tensor)
		kept  []string // by once
		nodes int      // of once, without inputs and parameters
	}{
		{"keys and values", func(g *tensor.Graph, x, cond *tensor.Tensor) {
			k := tensor.Linear(cond, projection(), nil).Named("keys")
			v := tensor.SiLU(tensor.Linear(cond, projection(), nil)).Named("values")
			g.Output("y", tensor.Attention("a", x, k, v, 2, 1, false))
		}, []string{"keys", "values"}, 3},
		{"nothing", func(g *tensor.Graph, x, cond *tensor.Tensor) { g.Output("y", tensor.SiLU(x)) }, nil, 0},
		{"read as it is", func(g *tensor.Graph, x, cond *tensor.Tensor) {
			g.Output("y", tensor.Mul(x, cond))
		}, []string{"cond"}, 0},
		{"read by both", func(g *tensor.Graph, x, cond *tensor.Tensor) {
			s := tensor.SiLU(cond).Named("s")
			g.Output("y", tensor.Add(tensor.Mul(x, s), tensor.GELU(s).Named("gelu")))
		}, []string{"s", "gelu"}, 2},
		{"an output", func(g *tensor.Graph, x, cond *tensor.Tensor) {
			g.Output("y", tensor.SiLU(x))
			g.Output("z", tensor.SiLU(cond).Named("s"))
		}, []string{"s"}, 1},
		{"a parameter with both", func(g *tensor.Graph, x, cond *tensor.Tensor) {
			p := g.Param(vector(4))
			g.Output("y", tensor.Add(tensor.Mul(x, p), tensor.Mul(cond, p).Named("m")))
		}, []string{"m"}, 1},
		{"a function of parameters", func(g *tensor.Graph, x, cond *tensor.Tensor) {
			p := tensor.SiLU(g.Param(vector(4)))
			g.Output("y", tensor.Add(x, tensor.Mul(cond, p)))
		}, []string{"cond"}, 0},
		{"useless", func(g *tensor.Graph, x, cond *tensor.Tensor) {
			tensor.GELU(cond)
			g.Output("y", tensor.SiLU(x))
		}, nil, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := tensor.NewGraph()
			x, cond := g.Input("x", 2, 3, 4), g.Input("cond", 2, 3, 4)
			test.build(g, x, cond)
			once, rest := g.Hoist("cond")
			sound(t, once)
			sound(t, rest)
			var kept []string
			for _, o := range once.Outputs() {
				if !o.Resident || o.Name != o.Value.Name {
					t.Errorf("output %q of node %q is not kept under its name", o.Name, o.Value.Name)
				}
				kept = append(kept, o.Name)
			}
			slices.Sort(kept)
			slices.Sort(test.kept)
			computed := len(once.Nodes()) - count(once, tensor.OpInput) - count(once, tensor.OpParam)
			if !slices.Equal(kept, test.kept) || computed != test.nodes {
				t.Errorf("once keeps %q and computes %d nodes, want %q and %d", kept, computed, test.kept, test.nodes)
			}
			in := map[string]tensor.Array{"x": ramp(2, 3, 4), "cond": ramp(2, 3, 4)}
			want := results(t, g, in)
			for name, got := range bound(t, once, rest, in) {
				for i, v := range want[name].Data {
					// The reference computes in float64, and rounds what goes from program to program to float32.
					if math.Abs(float64(got.Data[i]-v)) > 1e-6*math.Max(1, math.Abs(float64(v))) {
						t.Errorf("output %q[%d] is %g, want %g", name, i, got.Data[i], v)
						break
					}
				}
				delete(want, name)
			}
			if len(want) > 0 {
				t.Errorf("outputs are missing: %v", want)
			}
		})
	}
}

func TestHoistMistake(t *testing.T) {
	g := tensor.NewGraph()
	tensor.Slice(g.Input("x", 2), 0, 1, 3)
	if once, rest := g.Hoist("x"); once.Err() != g.Err() || rest.Err() != g.Err() {
		t.Errorf("errors %v and %v, want %v", once.Err(), rest.Err(), g.Err())
	}
}

// results runs g on the reference backend.
func results(t *testing.T, g *tensor.Graph, in map[string]tensor.Array) map[string]tensor.Array {
	t.Helper()
	program, err := tensortest.Reference().Compile(g)
	if err != nil {
		t.Fatal(err)
	}
	out, err := program.Run(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// bound runs once, and rest bound to it; each is given the inputs that it has.
func bound(t *testing.T, once, rest *tensor.Graph, in map[string]tensor.Array) map[string]tensor.Array {
	t.Helper()
	backend := tensortest.Reference()
	first, err := backend.Compile(once)
	if err != nil {
		t.Fatal(err)
	}
	second, err := backend.Compile(rest)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Run(context.Background(), inputsOf(once, in, nil)); err != nil {
		t.Fatal(err)
	}
	kept := map[string]bool{}
	for _, o := range once.Outputs() {
		kept[o.Name] = true
		if err := second.Bind(o.Name, first, o.Name); err != nil {
			t.Fatal(err)
		}
	}
	out, err := second.Run(context.Background(), inputsOf(rest, in, kept))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func inputsOf(g *tensor.Graph, in map[string]tensor.Array, bound map[string]bool) map[string]tensor.Array {
	own := map[string]tensor.Array{}
	for _, node := range g.Nodes() {
		if node.Op == tensor.OpInput && !bound[node.Name] {
			own[node.Name] = in[node.Name]
		}
	}
	return own
}
