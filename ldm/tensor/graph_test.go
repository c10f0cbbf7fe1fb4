package tensor_test

import (
	"slices"
	"strings"
	"testing"

	"ldm-mac/ldm/tensor"
)

func weight(shape ...int) *tensor.Weight { return tensor.NewWeight(shape...) }

func TestShapes(t *testing.T) {
	in := func(shape ...int) func(g *tensor.Graph) *tensor.Tensor {
		return func(g *tensor.Graph) *tensor.Tensor { return g.Input("x", shape...) }
	}
	type unary = func(x *tensor.Tensor) *tensor.Tensor
	other := func(apply func(a, b *tensor.Tensor) *tensor.Tensor, shape ...int) unary {
		return func(x *tensor.Tensor) *tensor.Tensor { return apply(x, x.Graph().Input("b", shape...)) }
	}
	conv := func(w, bias *tensor.Weight, stride int, pad tensor.Padding) unary {
		return func(x *tensor.Tensor) *tensor.Tensor { return tensor.Conv2D(x, w, bias, stride, pad) }
	}
	linear := func(w, bias *tensor.Weight) unary {
		return func(x *tensor.Tensor) *tensor.Tensor { return tensor.Linear(x, w, bias) }
	}
	matMul := func(transposed bool, shape ...int) unary {
		return other(func(a, b *tensor.Tensor) *tensor.Tensor { return tensor.MatMul(a, b, transposed) }, shape...)
	}
	group := func(groups, c, d int) unary {
		return func(x *tensor.Tensor) *tensor.Tensor { return tensor.GroupNorm(x, weight(c), weight(d), groups, 1e-5) }
	}
	layer := func(c, d int) unary {
		return func(x *tensor.Tensor) *tensor.Tensor { return tensor.LayerNorm(x, weight(c), weight(d), 1e-5) }
	}
	attention := func(heads int, causal bool, k, v []int) unary {
		return func(x *tensor.Tensor) *tensor.Tensor {
			g := x.Graph()
			return tensor.Attention("a", x, g.Input("k", k...), g.Input("v", v...), heads, 1, causal)
		}
	}
	concat := func(axis int, shape ...int) unary {
		return other(func(a, b *tensor.Tensor) *tensor.Tensor { return tensor.Concat(axis, a, b, a) }, shape...)
	}
	slice := func(axis, start, stop int) unary {
		return func(x *tensor.Tensor) *tensor.Tensor { return tensor.Slice(x, axis, start, stop) }
	}
	permute := func(perm ...int) unary {
		return func(x *tensor.Tensor) *tensor.Tensor { return tensor.Permute(x, perm...) }
	}
	reshape := func(shape ...int) unary {
		return func(x *tensor.Tensor) *tensor.Tensor { return tensor.Reshape(x, shape...) }
	}
	pad := func(p tensor.Padding) unary {
		return func(x *tensor.Tensor) *tensor.Tensor { return tensor.Pad(x, p) }
	}
	same := tensor.Same(3)
	tests := []struct {
		name  string
		x     func(g *tensor.Graph) *tensor.Tensor
		apply unary
		want  tensor.Shape // nil: a mistake
	}{
		{"add", in(2, 3, 4), other(tensor.Add, 2, 3, 4), tensor.Shape{2, 3, 4}},
		{"add broadcast", in(2, 3, 4), other(tensor.Mul, 3, 1), tensor.Shape{2, 3, 4}},
		{"add scalar", in(2, 3, 4), other(tensor.Add), tensor.Shape{2, 3, 4}},
		{"add larger", in(3, 4), other(tensor.Add, 2, 3, 4), nil},
		{"add other", in(2, 3, 4), other(tensor.Add, 2, 1, 3), nil},
		{"add broadcast to b", in(1, 4), other(tensor.Add, 3, 4), nil},
		{"silu", in(2, 3), tensor.SiLU, tensor.Shape{2, 3}},
		{"softmax", in(2, 3), tensor.Softmax, tensor.Shape{2, 3}},
		{"group norm", in(2, 3, 3, 8), group(4, 8, 8), tensor.Shape{2, 3, 3, 8}},
		{"group norm: groups", in(2, 3, 3, 8), group(3, 8, 8), nil},
		{"group norm: no groups", in(2, 3, 3, 8), group(0, 8, 8), nil},
		{"group norm: weight", in(2, 3, 3, 8), group(4, 4, 8), nil},
		{"group norm: bias", in(2, 3, 3, 8), group(4, 8, 9), nil},
		{"group norm: vector", in(8), group(4, 8, 8), nil},
		{"layer norm", in(2, 3, 8), layer(8, 8), tensor.Shape{2, 3, 8}},
		{"layer norm: weight", in(2, 3, 8), layer(3, 8), nil},
		{"layer norm: bias", in(2, 3, 8), layer(8, 3), nil},
		{"matmul", in(2, 3, 4), matMul(false, 2, 4, 5), tensor.Shape{2, 3, 5}},
		{"matmul transposed", in(2, 3, 4), matMul(true, 2, 5, 4), tensor.Shape{2, 3, 5}},
		{"matmul: inner", in(2, 3, 4), matMul(false, 2, 5, 4), nil},
		{"matmul: inner transposed", in(2, 3, 4), matMul(true, 2, 4, 5), nil},
		{"matmul: batch", in(2, 3, 4), matMul(false, 1, 4, 5), nil},
		{"matmul: rank", in(2, 3, 4), matMul(false, 4, 5), nil},
		{"matmul: vectors", in(4), matMul(false, 4), nil},
		{"linear", in(2, 7, 4), linear(weight(5, 4), weight(5)), tensor.Shape{2, 7, 5}},
		{"linear without bias", in(4), linear(weight(5, 4), nil), tensor.Shape{5}},
		{"linear: weight", in(2, 7, 4), linear(weight(4, 5), nil), nil},
		{"linear: rank", in(2, 7, 4), linear(weight(5, 4, 1), nil), nil},
		{"linear: bias", in(2, 7, 4), linear(weight(5, 4), weight(4)), nil},
		{"conv", in(2, 7, 6, 5), conv(weight(9, 5, 3, 3), weight(9), 1, same), tensor.Shape{2, 7, 6, 9}},
		{"conv stride 2, odd", in(1, 9, 8, 4), conv(weight(6, 4, 3, 3), nil, 2, same), tensor.Shape{1, 5, 4, 6}},
		{"conv stride 2, corner", in(1, 8, 10, 4), conv(weight(6, 4, 3, 3), nil, 2, tensor.Padding{Bottom: 1, Right: 1}), tensor.Shape{1, 4, 5, 6}},
		{"conv without padding", in(1, 8, 10, 4), conv(weight(6, 4, 3, 5), nil, 1, tensor.Padding{}), tensor.Shape{1, 6, 6, 6}},
		{"conv: channels", in(1, 8, 8, 4), conv(weight(6, 5, 3, 3), nil, 1, same), nil},
		{"conv: bias", in(1, 8, 8, 4), conv(weight(6, 4, 3, 3), weight(4), 1, same), nil},
		{"conv: stride", in(1, 8, 8, 4), conv(weight(6, 4, 3, 3), nil, 0, same), nil},
		{"conv: kernel too large", in(1, 2, 8, 4), conv(weight(6, 4, 3, 3), nil, 1, tensor.Padding{}), nil},
		{"conv: tokens", in(1, 8, 4), conv(weight(6, 4, 3, 3), nil, 1, same), nil},
		{"conv: matrix", in(1, 8, 8, 4), conv(weight(6, 4), nil, 1, same), nil},
		{"conv: negative padding", in(1, 8, 8, 4), conv(weight(6, 4, 3, 3), nil, 1, tensor.Padding{Top: -1}), nil},
		{"attention", in(2, 7, 12), attention(3, false, []int{2, 5, 12}, []int{2, 5, 12}), tensor.Shape{2, 7, 12}},
		{"attention, causal", in(2, 7, 12), attention(3, true, []int{2, 7, 12}, []int{2, 7, 12}), tensor.Shape{2, 7, 12}},
		{"attention: causal", in(2, 7, 12), attention(3, true, []int{2, 5, 12}, []int{2, 5, 12}), nil},
		{"attention: heads", in(2, 7, 12), attention(5, false, []int{2, 5, 12}, []int{2, 5, 12}), nil},
		{"attention: no heads", in(2, 7, 12), attention(0, false, []int{2, 5, 12}, []int{2, 5, 12}), nil},
		{"attention: width", in(2, 7, 12), attention(3, false, []int{2, 5, 9}, []int{2, 5, 9}), nil},
		{"attention: batch", in(2, 7, 12), attention(3, false, []int{1, 5, 12}, []int{1, 5, 12}), nil},
		{"attention: keys and values", in(2, 7, 12), attention(3, false, []int{2, 5, 12}, []int{2, 6, 12}), nil},
		{"attention: image", in(2, 7, 7, 12), attention(3, false, []int{2, 5, 12}, []int{2, 5, 12}), nil},
		{"reshape", in(2, 3, 4), reshape(6, 4), tensor.Shape{6, 4}},
		{"reshape: elements", in(2, 3, 4), reshape(6, 5), nil},
		{"reshape: negative", in(2, 3, 4), reshape(-6, -4), nil},
		{"permute", in(2, 3, 4), permute(2, 0, 1), tensor.Shape{4, 2, 3}},
		{"permute: twice", in(2, 3, 4), permute(0, 0, 1), nil},
		{"permute: rank", in(2, 3, 4), permute(1, 0), nil},
		{"permute: range", in(2, 3, 4), permute(0, 1, 3), nil},
		{"concat", in(2, 3, 4), concat(1, 2, 5, 4), tensor.Shape{2, 11, 4}},
		{"concat: other axes", in(2, 3, 4), concat(1, 2, 5, 3), nil},
		{"concat: rank", in(2, 3, 4), concat(1, 2, 5), nil},
		{"concat: axis", in(2, 3, 4), concat(3, 2, 3, 4), nil},
		{"slice", in(2, 3, 4), slice(1, 1, 3), tensor.Shape{2, 2, 4}},
		{"slice: stop", in(2, 3, 4), slice(1, 1, 4), nil},
		{"slice: start", in(2, 3, 4), slice(1, -1, 2), nil},
		{"slice: empty", in(2, 3, 4), slice(1, 1, 1), nil},
		{"slice: axis", in(2, 3, 4), slice(-1, 0, 1), nil},
		{"row", in(5, 3, 4), other(tensor.Row, 1), tensor.Shape{1, 3, 4}},
		{"row: index", in(5, 3, 4), other(tensor.Row, 2), nil},
		{"row: index of another rank", in(5, 3, 4), other(tensor.Row, 1, 1), nil},
		{"row: scalar", in(), other(tensor.Row, 1), nil},
		{"pad", in(1, 2, 3, 4), pad(tensor.Padding{Top: 1, Bottom: 2, Left: 3, Right: 4}), tensor.Shape{1, 5, 10, 4}},
		{"pad: negative", in(1, 2, 3, 4), pad(tensor.Padding{Left: -1}), nil},
		{"pad: tokens", in(2, 3, 4), pad(same), nil},
		{"upsample", in(1, 2, 3, 4), tensor.Upsample, tensor.Shape{1, 4, 6, 4}},
		{"upsample: tokens", in(2, 3, 4), tensor.Upsample, nil},
		{"avg pool", in(1, 2, 6, 4), tensor.AvgPool2D, tensor.Shape{1, 1, 3, 4}},
		{"avg pool: odd", in(1, 2, 3, 4), tensor.AvgPool2D, nil},
		{"avg pool: tokens", in(2, 4, 4), tensor.AvgPool2D, nil},
		{"cast", in(2, 3), func(x *tensor.Tensor) *tensor.Tensor { return tensor.Cast(x, tensor.BF16) }, tensor.Shape{2, 3}},
		{"cast: integers", in(2, 3), func(x *tensor.Tensor) *tensor.Tensor { return tensor.Cast(x, tensor.I64) }, nil},
		{"input: zero", in(2, 0), tensor.SiLU, nil},
		{"input: negative", in(-1, -2), tensor.SiLU, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := tensor.NewGraph()
			y := test.apply(test.x(g))
			switch {
			case test.want == nil && g.Err() == nil:
				t.Errorf("no mistake is found; the result is %s", y.Shape)
			case test.want != nil && g.Err() != nil:
				t.Error(g.Err())
			case test.want != nil && !y.Shape.Equal(test.want):
				t.Errorf("shape %s, want %s", y.Shape, test.want)
			case test.want == nil && !strings.HasPrefix(g.Err().Error(), "tensor: "):
				t.Errorf("%q does not begin with the package", g.Err())
			}
		})
	}
}

func TestFirstMistakeStays(t *testing.T) {
	g := tensor.NewGraph()
	x := g.Input("x", 1, 4, 4, 8).Named("start")
	nodes := len(g.Nodes())
	bad := tensor.GroupNorm(x, weight(8), weight(8), 3, 1e-5)
	first := g.Err()
	if first == nil || !strings.Contains(first.Error(), "start") {
		t.Fatalf("the mistake is %v, want one that names the node before it", first)
	}
	// Model code goes on with what it got, whatever the operator.
	y := tensor.Conv2D(bad, weight(8, 8, 3, 3), nil, 1, tensor.Same(3))
	y = tensor.Add(tensor.Reshape(tensor.Permute(y, 3, 2, 1, 0), 7), x)
	y = tensor.Attention("a", y, tensor.Concat(2, y, x), tensor.Slice(y, 0, 3, 9), 4, 1, false)
	y = tensor.Linear(tensor.AvgPool2D(tensor.Upsample(y)), weight(3, 3), nil).Named("y")
	y = tensor.LayerNorm(tensor.Softmax(tensor.MatMul(y, y, true)), weight(2), weight(2), 1)
	g.Output("y", tensor.Cast(tensor.Pad(y, tensor.Same(3)), tensor.F16))
	g.Output("y", g.Param(weight(3)))
	if g.Err() != first {
		t.Errorf("the mistake became %v, want %v", g.Err(), first)
	}
	if len(g.Nodes()) != nodes {
		t.Errorf("%d nodes were added after the mistake", len(g.Nodes())-nodes)
	}
	if f := g.Fused(); f.Err() != first {
		t.Errorf("the fused graph's mistake is %v, want %v", f.Err(), first)
	}
}

func TestMistakeInEmptyGraph(t *testing.T) {
	g := tensor.NewGraph()
	g.Output("y", g.Input("x", 0))
	if g.Err() == nil || g.Fused().Err() != g.Err() {
		t.Errorf("mistakes %v and %v, want the same", g.Err(), g.Fused().Err())
	}
}

func TestDeclaredTwice(t *testing.T) {
	g := tensor.NewGraph()
	g.Input("x", 1)
	g.Input("x", 1)
	if g.Err() == nil {
		t.Error("two inputs have one name")
	}
	g = tensor.NewGraph()
	x := g.Input("x", 1)
	g.Output("y", x)
	g.Keep("y", x)
	if g.Err() == nil {
		t.Error("two outputs have one name")
	}
	g = tensor.NewGraph()
	tensor.Add(g.Input("x", 1), tensor.NewGraph().Input("x", 1))
	if g.Err() == nil {
		t.Error("a node has operands of two graphs")
	}
}

func TestNames(t *testing.T) {
	g := tensor.NewGraph()
	x := g.Input("x", 1, 4)
	w := &tensor.Weight{Name: "block.proj.weight", Shape: tensor.Shape{4, 4}}
	names := func(ts ...*tensor.Tensor) (out []string) {
		for _, node := range ts {
			out = append(out, node.Name)
		}
		return out
	}
	a := tensor.Linear(x, w, nil)
	b := tensor.SiLU(a)
	c := tensor.Linear(b, w, nil)
	end := g.Scope("outer")
	d := tensor.SiLU(x)
	endInner := g.Scope("inner")
	e := tensor.Affine(tensor.SiLU(d), 2, 1)
	endInner()
	f := tensor.GELU(d)
	named := tensor.GELU(d).Named("gate")
	again := tensor.GELU(d).Named("gate")
	inside := g.Input("context", 1)
	end()
	last := tensor.GELU(x)
	got := names(g.Param(w), a, b, c, d, e, f, named, again, inside, last)
	want := []string{"block.proj.weight", "block.proj", "block.proj.silu", "block.proj#2", "outer.x.silu",
		"outer.inner.outer.x.silu.silu.affine", "outer.x.silu.gelu", "outer.gate", "outer.gate#2", "context", "x.gelu"}
	if !slices.Equal(got, want) {
		t.Errorf("names\n%q, want\n%q", got, want)
	}
	if leaf := g.Param(w); g.Param(w) != leaf {
		t.Error("one weight has two leaves")
	}
}

func TestNamesAreUnique(t *testing.T) {
	g := tensor.NewGraph()
	x := g.Input("x", 2)
	tensor.SiLU(x).Named("late")
	end := g.Scope("s")
	g.Input("inner", 2)
	end()
	tensor.SiLU(x).Named("inner")
	g.Input("late", 2)
	tensor.SiLU(x).Named("a")
	tensor.SiLU(x).Named("a#2")
	tensor.SiLU(x).Named("a")
	seen := map[string]bool{}
	for _, node := range g.Nodes() {
		if seen[node.Name] {
			t.Errorf("two nodes are named %q", node.Name)
		}
		seen[node.Name] = true
	}
}

func TestIndexAndGraph(t *testing.T) {
	g := tensor.NewGraphOf(tensor.F16)
	y := tensor.SiLU(tensor.Cast(g.Input("x", 2), tensor.BF16))
	g.Output("y", y)
	for i, node := range g.Nodes() {
		if node.Index() != i || node.Graph() != g {
			t.Errorf("node %q has index %d, want %d", node.Name, node.Index(), i)
		}
	}
	if g.Nodes()[0].DType != tensor.F16 || y.DType != tensor.BF16 {
		t.Errorf("types %s and %s, want F16 and BF16", g.Nodes()[0].DType, y.DType)
	}
}

func TestCheckInputs(t *testing.T) {
	g := tensor.NewGraph()
	g.Output("y", tensor.Add(g.Input("a", 2, 3), g.Input("b", 3)))
	a, b := tensor.NewArray(2, 3), tensor.NewArray(3)
	type arrays = map[string]tensor.Array
	tests := []struct {
		name  string
		in    arrays
		bound string
		wants string // in the message; "" for no error
	}{
		{"all", arrays{"a": a, "b": b}, "", ""},
		{"bound", arrays{"b": b}, "a", ""},
		{"missing", arrays{"a": a}, "", `"b"`},
		{"none", nil, "", `"a"`},
		{"shape", arrays{"a": tensor.NewArray(3, 2), "b": b}, "", "[3, 2]"},
		{"elements", arrays{"a": {Shape: a.Shape, Data: a.Data[:5]}, "b": b}, "", "5 elements"},
		{"unknown", arrays{"a": a, "b": b, "c": b}, "", `"c"`},
		{"given and bound", arrays{"a": a, "b": b}, "a", `"a"`},
	}
	for _, test := range tests {
		err := g.CheckInputs(test.in, func(name string) bool { return name == test.bound })
		if (err == nil) != (test.wants == "") || err != nil && !strings.Contains(err.Error(), test.wants) {
			t.Errorf("%s: error %v, want one with %s", test.name, err, test.wants)
		}
	}
}
