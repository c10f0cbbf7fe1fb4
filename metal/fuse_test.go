package metal

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"ldm-mac/bridge"
	"ldm-mac/ldm/tensor"
)

// list lowers and places g for a small chip.
func list(t *testing.T, g *tensor.Graph, store bridge.DataType, wide ...string) *lowering {
	t.Helper()
	if err := g.Err(); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, name := range wide {
		names[name] = true
	}
	tuning := DefaultTuning(bridge.Info{})
	l, err := lower(g, store, &tuning, names)
	if err != nil {
		t.Fatal(err)
	}
	l.place(256)
	return l
}

// names are the steps in short: the operator of a kernel, with what it does besides, or of a graph.
func (l *lowering) names() []string {
	var names []string
	for _, s := range l.steps {
		switch {
		case s.matMul != nil:
			names = append(names, "MatMul")
		case s.conv != nil:
			names = append(names, "Conv2D")
		default:
			name := s.launch.Kernel[:strings.LastIndexByte(s.launch.Kernel, '_')]
			for _, c := range s.launch.Constants {
				more := map[int]string{constantResidual: "+residual", constantUpsample: "+upsample", constantSiLU: "+silu"}
				if c.Value == true {
					name += more[c.Index]
				}
			}
			names = append(names, name)
		}
	}
	return names
}

func param(dtype tensor.DType, shape ...int) *tensor.Weight {
	w := tensor.NewWeight(shape...)
	w.Name, w.DType = "w", dtype
	return w
}

func TestFusions(t *testing.T) {
	w := func(shape ...int) *tensor.Weight { return param(tensor.F16, shape...) }
	linear := func(x *tensor.Tensor, out int) *tensor.Tensor {
		return tensor.Linear(x, w(out, x.Shape.Last()), w(out))
	}
	conv := func(x *tensor.Tensor, out int) *tensor.Tensor {
		return tensor.Conv2D(x, w(out, x.Shape.Last(), 3, 3), w(out), 1, tensor.Same(3))
	}
	halves := func(h *tensor.Tensor) (a, b *tensor.Tensor) {
		d := h.Shape.Last() / 2
		return tensor.Slice(h, len(h.Shape)-1, 0, d), tensor.Slice(h, len(h.Shape)-1, d, 2*d)
	}
	image := []int{2, 4, 4, 32}
	for _, test := range []struct {
		name  string
		x     []int
		build func(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor
		want  string
	}{
		{"norm and SiLU", image, func(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
			return tensor.SiLU(tensor.GroupNorm(x, w(32), w(32), 8, 1e-5))
		}, "group_norm_stats group_norm+silu"},
		{"residual", image, func(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
			return tensor.Add(linear(x, 32), x)
		}, "gemm_32x32+residual"},
		{"residual on the left, through a view", image, func(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
			tokens := tensor.Reshape(x, 2, 16, 32)
			return tensor.Add(x, tensor.Reshape(linear(tokens, 32), image...))
		}, "gemm_32x32+residual"},
		{"the same row for every pixel", image, func(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
			return tensor.Add(linear(x, 16), tensor.Reshape(g.Input("time", 2, 16), 2, 1, 1, 16))
		}, "gemm_32x32+residual"},
		{"the same row for every image", image, func(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
			row := tensor.Row(g.Input("times", 50, 16), g.Input("step", 1))
			return tensor.Add(linear(x, 16), tensor.Reshape(row, 1, 1, 1, 16))
		}, "row gemm_32x32+residual"},
		{"a row that rows between do not repeat", []int{2, 3, 4, 32}, func(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
			return tensor.Add(linear(x, 16), g.Input("b", 2, 1, 4, 16))
		}, "gemm_32x32 add"},
		{"a product that is read twice", image, func(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
			y := linear(x, 32)
			return tensor.Mul(tensor.Add(y, x), y)
		}, "gemm_32x32 add mul"},
		{"a product that is an output", image, func(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
			y := linear(x, 32)
			g.Output("y", y)
			return tensor.Add(y, x)
		}, "gemm_32x32 add"},
		{"two products: the later adds", image, func(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
			a := conv(x, 64)
			return tensor.Add(tensor.Conv2D(x, w(64, 32, 1, 1), w(64), 1, tensor.Padding{}), a)
		}, "Conv2D gemm_32x32+residual"},
		{"a product added to itself", image, func(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
			y := linear(x, 32)
			return tensor.Add(y, y)
		}, "gemm_32x32 add"},
		{"MPSGraph adds nothing", image, func(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
			return tensor.Add(conv(x, 32), x)
		}, "Conv2D add"},
		{"upsampling", image, func(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
			return conv(tensor.Upsample(x), 16)
		}, "conv2d_32x32+upsample"},
		{"upsampling that is read twice", image, func(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
			up := tensor.Upsample(x)
			return tensor.Add(conv(up, 32), up)
		}, "upsample Conv2D add"},
		{"few channels", []int{2, 4, 4, 4}, func(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
			return conv(conv(x, 32), 3)
		}, "conv2d_32x32 conv2d_128x8"},
		{"GEGLU", []int{2, 9, 16}, func(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
			value, gate := halves(linear(x, 32))
			return tensor.Mul(value, tensor.GELU(gate))
		}, "gemm_32x32 geglu"},
		{"GEGLU, the gate first", []int{2, 9, 16}, func(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
			value, gate := halves(x)
			return tensor.Mul(tensor.GELU(gate), value)
		}, "geglu"},
		{"halves the other way round", []int{2, 9, 16}, func(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
			gate, value := halves(x)
			return tensor.Mul(value, tensor.GELU(gate))
		}, "copy copy gelu mul"},
		{"halves of another axis", []int{2, 8, 8}, func(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
			return tensor.Mul(tensor.Slice(x, 1, 0, 4), tensor.GELU(tensor.Slice(x, 1, 4, 8)))
		}, "copy copy gelu mul"},
		{"self-attention", []int{2, 9, 32}, func(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
			return tensor.Attention("a", linear(x, 32), linear(x, 32), linear(x, 32), 4, 1, false)
		}, "gemm_32x32 attention_d32"},
		{"cross-attention", []int{2, 9, 32}, func(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
			c := g.Input("c", 2, 5, 24)
			return tensor.Attention("a", linear(x, 32), linear(c, 32), linear(c, 32), 4, 1, false)
		}, "gemm_32x32 gemm_32x32 attention_d32"},
		{"one projection for keys and values", []int{2, 9, 32}, func(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
			k := linear(x, 32)
			return tensor.Attention("a", linear(x, 32), k, k, 4, 1, false)
		}, "gemm_32x32 gemm_32x32 attention_d32"},
		{"heads of an odd width", []int{2, 9, 15}, func(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
			return tensor.Attention("a", linear(x, 15), linear(x, 15), linear(x, 15), 3, 1, false)
		}, "gemm_32x32 gemm_32x32 gemm_32x32 attention_d32"},
		{"large heads", []int{1, 9, 512}, func(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
			return tensor.Attention("a", x, x, x, 1, 1, false)
		}, "gemm_32x32 softmax_f32 gemm_32x32"},
		{"large heads, many queries", []int{1, mostQueries + 1, 512}, func(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
			return tensor.Attention("a", x, x, x, 1, 1, false)
		}, "gemm_64x64 softmax_f32 gemm_64x64 gemm_32x32 softmax_f32 gemm_32x32"},
		{"nothing to move", image, func(g *tensor.Graph, x *tensor.Tensor) *tensor.Tensor {
			return tensor.Cast(tensor.Reshape(x, 32, 32), tensor.F16)
		}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := tensor.NewGraphOf(tensor.F16)
			g.Output("out", test.build(g, g.Input("x", test.x...)))
			l := list(t, g, bridge.Float16)
			if got := strings.Join(l.names(), " "); got != test.want {
				t.Errorf("the steps are %q, want %q", got, test.want)
			}
			sound(t, l)
		})
	}
}

// checkListing finds values that share memory while both are alive, steps that read what was not written,
// operands that are not whole, and MPSGraph's that do not begin at the start of a buffer.
func checkListing(l *lowering) error {
	written := map[*value]bool{}
	owner := map[*value]*value{} // by home: who was written last
	for at, s := range l.steps {
		for i, o := range s.operands {
			switch {
			case o.value == nil || o.kind != activation || i == s.result:
			case !written[o.value]:
				return fmt.Errorf("step %d (%s) reads what no step wrote", at, s.node.Name)
			case owner[o.home] != o.value:
				return fmt.Errorf("step %d (%s) reads memory that another value took over", at, s.node.Name)
			}
			if o.value != nil && o.at != 0 && (s.matMul != nil || s.conv != nil) {
				return fmt.Errorf("step %d (%s) gives MPSGraph an offset", at, s.node.Name)
			}
		}
		written[s.writes()], owner[s.writes().home] = true, s.writes()
	}
	var homes []*value
	for _, v := range l.activations {
		if v.home == v && v.first >= 0 {
			homes = append(homes, v)
		}
	}
	for i, a := range homes {
		if a.offset+a.bytes() > l.size || a.offset%256 != 0 {
			return fmt.Errorf("a value of %d bytes lies at %d in a heap of %d", a.bytes(), a.offset, l.size)
		}
		for _, b := range homes[:i] {
			if a.first <= b.last && b.first <= a.last && a.offset < b.offset+b.bytes() && b.offset < a.offset+a.bytes() {
				return fmt.Errorf("values at %d and %d overlap between steps %d and %d", a.offset, b.offset, max(a.first, b.first), min(a.last, b.last))
			}
		}
	}
	for name, v := range l.outputs {
		if v.kind == activation && (!written[v] || owner[v.home] != v || v.home.last != len(l.steps)) {
			return fmt.Errorf("output %q does not last to the end", name)
		}
	}
	return nil
}

func sound(t *testing.T, l *lowering) {
	t.Helper()
	if err := checkListing(l); err != nil {
		t.Error(err)
	}
}

// TestCheck shows that the check of the other tests finds what it is for.
func TestCheck(t *testing.T) {
	for _, defect := range []struct {
		name  string
		spoil func(l *lowering)
	}{
		{"overlap", func(l *lowering) {
			for _, v := range l.activations {
				v.offset = 0
			}
		}},
		{"order", func(l *lowering) { slices.Reverse(l.steps) }},
		{"taken over too early", func(l *lowering) { l.steps[1].writes().home = l.steps[0].writes().home }},
		{"heap too small", func(l *lowering) { l.size /= 2 }},
	} {
		g := tensor.NewGraph()
		x := tensor.SiLU(g.Input("x", 3, 100))
		y := tensor.GELU(x)
		g.Output("y", tensor.Softmax(tensor.Mul(tensor.Softmax(y), x)))
		l := list(t, g, bridge.Float32)
		sound(t, l)
		defect.spoil(l)
		if checkListing(l) == nil {
			t.Errorf("%s is not found", defect.name)
		}
	}
}

// TestTypes stores float16, and float32 what overflowed and what holds the same numbers.
func TestTypes(t *testing.T) {
	g := tensor.NewGraph()
	x := g.Input("x", 2, 16)
	h := tensor.Linear(x, param(tensor.F32, 640, 16), nil).Named("h")
	sum := tensor.Add(h, g.Input("r", 2, 640)).Named("sum")
	view := tensor.Reshape(sum, 4, 320).Named("view")
	norm := tensor.LayerNorm(view, param(tensor.F32, 320), param(tensor.F32, 320), 1e-5).Named("norm")
	g.Output("y", tensor.SiLU(norm).Named("y"))
	types := func(l *lowering) string {
		var wide []string
		for _, node := range l.graph.Nodes() {
			if node.Op != tensor.OpParam && node.DType == tensor.F32 {
				wide = append(wide, node.Name)
			}
		}
		return strings.Join(wide, " ")
	}
	for _, c := range []struct {
		wide []string
		want string
	}{
		{nil, ""}, {[]string{"y"}, "y"}, {[]string{"h"}, "h sum view norm"}, {[]string{"sum"}, "sum view norm"},
	} {
		l := list(t, g, bridge.Float16, c.wide...)
		if got := types(l); got != c.want {
			t.Errorf("with %q wide, %q are float32, want %q", c.wide, got, c.want)
		}
		sound(t, l)
	}
}

// TestIndexTypes stores the index of a Row, and what it is computed from, as float32.
func TestIndexTypes(t *testing.T) {
	for _, dtype := range []tensor.DType{tensor.F32, tensor.F16} {
		g := tensor.NewGraphOf(dtype)
		x, step := g.Input("x", 4000, 16), g.Input("step", 1)
		row := tensor.Row(x, tensor.Affine(step, 1, -1).Named("index")).Named("row")
		rounded := tensor.Row(x, tensor.Cast(g.Input("half", 1), tensor.F16)).Named("rounded")
		g.Output("y", tensor.Add(tensor.Affine(row, 2, 0), rounded))
		l := list(t, g, bridge.Float16)
		for _, node := range l.graph.Nodes() {
			want := tensor.F16
			if node.Name == "step" || node.Name == "index" {
				want = tensor.F32
			}
			if node.DType != want {
				t.Errorf("in a graph of %s, %s is stored as %s, want %s", dtype, node.Name, node.DType, want)
			}
		}
		for _, s := range l.steps {
			if strings.HasPrefix(s.launch.Kernel, "row_") && s.operands[1].dtype != bridge.Float32 {
				t.Errorf("%s reads its index as %s", s.node.Name, s.operands[1].dtype)
			}
		}
		sound(t, l)
	}
}

// TestCommandBuffers divides much work, and only that, among command buffers.
func TestCommandBuffers(t *testing.T) {
	for _, c := range []struct {
		work []float64 // of steps, in units of what a buffer takes
		want []int     // steps of each buffer
	}{
		{nil, []int{0}}, {[]float64{0.3, 0.3, 0.3}, []int{3}}, {[]float64{0.6, 0.6, 0.3}, []int{1, 2}},
		{[]float64{2, 2}, []int{1, 1}}, {[]float64{0, 2, 0}, []int{1, 1, 1}},
	} {
		var l listing
		for _, work := range c.work {
			l.steps = append(l.steps, &step{flops: int64(work * float64(mostFLOPs))})
		}
		var got []int
		for _, steps := range l.commandBuffers() {
			got = append(got, len(steps))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%g is divided into %d, want %d", c.work, got, c.want)
		}
	}
}
