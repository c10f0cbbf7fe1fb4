package cpu

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"

	"ldm-mac/ldm/tensor"
	"ldm-mac/ldm/tensor/tensortest"
)

func backend(t testing.TB, threads int) *Backend {
	b := New(threads)
	t.Cleanup(func() { b.Close() })
	return b
}

func compile(t testing.TB, b *Backend, g *tensor.Graph) *Program {
	t.Helper()
	p, err := b.Compile(g)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p.(*Program)
}

func run(t testing.TB, p *Program, in map[string]tensor.Array) map[string]tensor.Array {
	t.Helper()
	out, err := p.Run(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSuite(t *testing.T) {
	for _, threads := range []int{1, 2, 5} {
		tensortest.Run(t, backend(t, threads))
	}
}

// TestSuiteOfHalves: activations that a graph stores as F16 or BF16 are kept in F32 here.
func TestSuiteOfHalves(t *testing.T) {
	tensortest.RunStored(t, backend(t, 2), tensor.F16)
	tensortest.RunStored(t, backend(t, 2), tensor.BF16)
}

func TestThreadsGiveTheSameBits(t *testing.T) {
	g := unet(2, 16, 32, []int{1, 2})
	want := slices.Clone(run(t, compile(t, backend(t, 1), g), inputs(g))["eps"].Data)
	for _, threads := range []int{2, 3, 8} {
		p := compile(t, backend(t, threads), g)
		for range 3 {
			if !slices.Equal(run(t, p, inputs(g))["eps"].Data, want) {
				t.Errorf("%d threads give other results than one", threads)
			}
		}
	}
}

func TestBatchEqualsSingles(t *testing.T) {
	const images = 5
	b := backend(t, 2)
	batch := unet(images, 16, 32, []int{1, 2})
	in := inputs(batch)
	got := run(t, compile(t, b, batch), in)["eps"].Data
	g := unet(1, 16, 32, []int{1, 2})
	single := compile(t, b, g)
	for i := range images {
		one := map[string]tensor.Array{}
		for _, n := range g.Nodes() {
			if n.Op == tensor.OpInput {
				size := n.Shape.Elements()
				one[n.Name] = tensor.Array{Shape: n.Shape, Data: in[n.Name].Data[i*size : (i+1)*size]}
			}
		}
		want := run(t, single, one)["eps"].Data
		if image := got[i*len(want) : (i+1)*len(want)]; !slices.Equal(image, want) {
			// A BLAS library may sum in another order; that is rounding error of a whole net.
			if far := distance(image, want); !productsSplitBatches || far > 1e-5 {
				t.Errorf("image %d of the batch differs from the image alone by %g", i, far)
			}
		}
	}
}

// distance is max|a-b| / max|b|.
func distance(a, b []float32) float64 {
	var far, most float64
	for i := range a {
		far = max(far, math.Abs(float64(a[i]-b[i])))
		most = max(most, math.Abs(float64(b[i])))
	}
	return far / most
}

// TestBlocks has sizes around those at which products, attention and norms are divided.
func TestBlocks(t *testing.T) {
	for _, c := range []struct {
		name string
		y    func(g *tensor.Graph) *tensor.Tensor
	}{
		{"deep product", func(g *tensor.Graph) *tensor.Tensor { return linear(g.Input("x", 3, 41, 1000), 300) }},
		{"deep patches", func(g *tensor.Graph) *tensor.Tensor { return conv(g.Input("x", 2, 12, 11, 130), 35, 1) }},
		{"deep strided patches", func(g *tensor.Graph) *tensor.Tensor { return conv(g.Input("x", 2, 13, 16, 100), 289, 2) }},
		{"wide matmul", func(g *tensor.Graph) *tensor.Tensor {
			return tensor.MatMul(g.Input("a", 3, 50, 400), g.Input("b", 3, 400, 530), false)
		}},
		{"wide transposed matmul", func(g *tensor.Graph) *tensor.Tensor {
			return tensor.MatMul(g.Input("a", 3, 50, 400), g.Input("b", 3, 530, 400), true)
		}},
		{"queries and keys", func(g *tensor.Graph) *tensor.Tensor {
			k := g.Input("k", 2, 1100, 24)
			return tensor.Attention("a", g.Input("q", 2, 300, 24), k, k, 3, 1, false)
		}},
		{"causal", func(g *tensor.Graph) *tensor.Tensor {
			x := g.Input("x", 1, 1100, 24)
			return tensor.Attention("a", x, x, x, 3, 1, true)
		}},
		{"group norm", func(g *tensor.Graph) *tensor.Tensor { return tensor.SiLU(norm(g.Input("x", 2, 50, 60, 96))) }},
		{"rows", func(g *tensor.Graph) *tensor.Tensor { return tensor.Softmax(g.Input("x", 7, 40, 333)) }},
		{"broadcast", func(g *tensor.Graph) *tensor.Tensor {
			x := tensor.Add(g.Input("x", 3, 70, 50, 9), g.Input("channels", 3, 1, 1, 9))
			return tensor.Mul(x, g.Input("pixels", 70, 50, 1))
		}},
		{"rows of broadcast", func(g *tensor.Graph) *tensor.Tensor {
			return tensor.Add(g.Input("x", 3, 5, 40000), g.Input("y", 3, 1, 40000))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := tensor.NewGraph()
			g.Output("y", c.y(g))
			in := inputs(g)
			want, err := tensortest.Evaluate(g, in)
			if err != nil {
				t.Fatal(err)
			}
			got := run(t, compile(t, backend(t, 2), g), in)["y"].Data
			exact := make([]float32, len(got))
			for i, f := range want["y"] {
				exact[i] = float32(f)
			}
			// Sums of up to 1170 terms in blocks: tens of roundings of 6e-8.
			if far := distance(got, exact); !(far < 2e-6) {
				t.Errorf("differs from the definition by %g", far)
			}
		})
	}
}

// TestGroupNormOfLargeMean: a mean a thousand times the deviation costs no digits.
func TestGroupNormOfLargeMean(t *testing.T) {
	g := tensor.NewGraph()
	x := g.Input("x", 2, 64, 64, 64)
	g.Output("group", norm(x))
	g.Output("layer", tensor.LayerNorm(x, weight(64), weight(64), 1e-5))
	in := inputs(g)
	for i := range in["x"].Data {
		in["x"].Data[i] += 1000
	}
	want, err := tensortest.Evaluate(g, in)
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range run(t, compile(t, backend(t, 2), g), in) {
		for i, f := range got.Data {
			if d := math.Abs(float64(f) - want[name][i]); !(d < 1e-6) { // some roundings of values near 1
				t.Fatalf("%s: element %d is %g, want %g", name, i, f, want[name][i])
			}
		}
	}
}

func TestFunctions(t *testing.T) {
	var x []float32
	for f := float32(-100); f <= 100; f += 1.0 / 256 {
		x = append(x, f, f*1e-3)
	}
	y := make([]float32, len(x))
	// The bounds are relative to |x|: a few roundings of a factor of at most 1.
	for _, c := range []struct {
		name    string
		compute func(dst, x []float32)
		want    func(x float64) float64
	}{
		{"silu", silu, func(x float64) float64 { return x / (1 + math.Exp(-x)) }},
		{"gelu", gelu, func(x float64) float64 { return x / 2 * math.Erfc(-x/math.Sqrt2) }},
		{"quick_gelu", quickGELU, func(x float64) float64 { return x / (1 + math.Exp(-1.702*x)) }},
	} {
		c.compute(y, x)
		for i, f := range x {
			if want := c.want(float64(f)); !(math.Abs(float64(y[i])-want) <= 2e-7*math.Abs(float64(f))) {
				t.Fatalf("%s(%g) is %g, want %g", c.name, f, y[i], want)
			}
		}
		inf, nan := float32(math.Inf(1)), float32(math.NaN())
		c.compute(y[:2], []float32{inf, nan})
		if y[0] != inf || y[1] == y[1] {
			t.Errorf("%s of infinity and NaN is %g", c.name, y[:2])
		}
	}
	softmax(y[:3], []float32{0, -50, float32(math.Inf(-1))}, 1, 3)
	if want := float32(math.Exp(-50)); y[0] != 1 || y[2] != 0 || math.Abs(float64(y[1]/want-1)) > 3e-7 {
		t.Errorf("softmax is %g, want 1, %g, 0", y[:3], want)
	}
}

// TestConvert has every half-precision number, at every alignment.
func TestConvert(t *testing.T) {
	const numbers = 1 << 16
	bytes := make([]byte, 2*numbers+3)
	for shift := range 3 {
		for i := range numbers {
			bytes[2*i+shift], bytes[2*i+1+shift] = byte(i), byte(i>>8)
		}
		for _, d := range []tensor.DType{tensor.F16, tensor.BF16} {
			got, want := make([]float32, numbers-shift), make([]float32, numbers-shift)
			convert(got, bytes[shift:], d)
			if err := tensor.DecodeFloats(want, bytes[shift:], d); err != nil {
				t.Fatal(err)
			}
			for i := range want {
				if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
					t.Fatalf("%s %#04x is %g, want %g", d, i, got[i], want[i])
				}
			}
		}
	}
}

func TestWeightTypes(t *testing.T) {
	values := make([]float32, 40*7*9)
	for i := range values {
		values[i] = float32(i%31-15) / 16 // the same in all types
	}
	graph := func(w *tensor.Weight) *tensor.Graph {
		g := tensor.NewGraph()
		g.Output("y", tensor.Conv2D(g.Input("x", 1, 5, 5, 7), w, nil, 1, tensor.Same(3)))
		g.Output("w", tensor.Reshape(g.Param(w), 40*7*9))
		return g
	}
	g := graph(tensor.WeightOf("w", values, 40, 7, 3, 3))
	b := backend(t, 2)
	want := run(t, compile(t, b, g), inputs(g))
	for _, d := range []tensor.DType{tensor.F16, tensor.BF16, tensor.F64} {
		w := &tensor.Weight{Name: "w", Shape: tensor.Shape{40, 7, 3, 3}, DType: d}
		if d == tensor.F64 {
			for _, f := range values {
				bits := math.Float64bits(float64(f))
				for i := range 8 {
					w.Data = append(w.Data, byte(bits>>(8*i)))
				}
			}
		} else {
			w.Data = tensor.EncodeFloats(nil, values, d)
		}
		got := run(t, compile(t, b, graph(w)), inputs(g))
		for _, name := range []string{"y", "w"} {
			if !slices.Equal(got[name].Data, want[name].Data) {
				t.Errorf("weight of type %s: %q differs from that of F32", d, name)
			}
		}
	}
}

func TestRunAllocatesNothing(t *testing.T) {
	g := unet(2, 16, 32, []int{1, 2})
	in := inputs(g)
	for _, threads := range []int{1, 2} {
		p := compile(t, backend(t, threads), g)
		run(t, p, in)
		if n := testing.AllocsPerRun(5, func() { run(t, p, in) }); n != 0 {
			t.Errorf("a run on %d threads allocates %v times", threads, n)
		}
	}
}

// stopping is a context that is done after a number of looks at it.
type stopping struct {
	context.Context
	looks int
}

func (s *stopping) Err() error {
	if s.looks--; s.looks < 0 {
		return context.Canceled
	}
	return nil
}

func TestCancelBetweenNodes(t *testing.T) {
	g := unet(1, 8, 32, []int{1})
	in := inputs(g)
	p := compile(t, backend(t, 2), g)
	want := slices.Clone(run(t, p, in)["eps"].Data)
	if out, err := p.Run(&stopping{context.Background(), 9}, in); !errors.Is(err, context.Canceled) || out != nil {
		t.Errorf("a canceled run returns %v and error %v", out, err)
	}
	if !slices.Equal(run(t, p, in)["eps"].Data, want) {
		t.Error("a canceled run changes the next one")
	}
}

func TestProfile(t *testing.T) {
	g := unet(1, 8, 32, []int{1})
	p := compile(t, backend(t, 1), g)
	run(t, p, inputs(g))
	p.SetProfiling(true)
	run(t, p, inputs(g))
	run(t, p, inputs(g))
	p.SetProfiling(false)
	run(t, p, inputs(g))
	convolutions := 0
	for _, timing := range p.Profile() {
		if timing.Runs != 2 || timing.Time <= 0 {
			t.Errorf("%s has %d runs in %v, want 2", timing.Node.Name, timing.Runs, timing.Time)
		}
		if timing.Node.Op == tensor.OpConv2D {
			convolutions++
		}
	}
	if convolutions == 0 {
		t.Error("the profile has no convolution")
	}
}

func TestCloseReleasesMemory(t *testing.T) {
	b := New(2)
	g := unet(1, 8, 32, []int{1})
	p, err := b.Compile(g)
	if err != nil {
		t.Fatal(err)
	}
	in := inputs(g)
	out := run(t, p.(*Program), in)["eps"].Data
	if active, peak := b.Memory(); active <= 0 || peak < active {
		t.Errorf("%d bytes are used, at most %d", active, peak)
	}
	for range 2 {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := p.Run(context.Background(), in); !errors.Is(err, errClosed) {
		t.Errorf("a closed program's Run returns %v", err)
	}
	if slices.Max(out) == 0 {
		t.Error("outputs do not outlive their program")
	}
	other, err := b.Compile(g)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := other.Run(context.Background(), in); !errors.Is(err, errBackendClosed) {
		t.Errorf("a closed backend's Run returns %v", err)
	}
	if _, err := b.Compile(g); !errors.Is(err, errBackendClosed) {
		t.Errorf("a closed backend's Compile returns %v", err)
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	if active, _ := b.Memory(); active != 0 {
		t.Errorf("%d bytes are used after all is closed", active)
	}
}

func TestCompileErrors(t *testing.T) {
	b := backend(t, 1)
	for _, c := range []struct {
		name string
		y    func(g *tensor.Graph) *tensor.Tensor
		want error
	}{
		{"integers", func(g *tensor.Graph) *tensor.Tensor {
			return tensor.Linear(g.Input("x", 1, 2), &tensor.Weight{Shape: tensor.Shape{1, 2}, DType: tensor.I32, Data: make([]byte, 8)}, nil)
		}, tensor.ErrUnsupported},
		{"more than memory", func(g *tensor.Graph) *tensor.Tensor { return tensor.SiLU(g.Input("x", 1<<20, 1<<20)) }, tensor.ErrOutOfMemory},
		{"more than addresses", func(g *tensor.Graph) *tensor.Tensor { return tensor.SiLU(g.Input("x", 1<<30, 1<<30)) }, tensor.ErrOutOfMemory},
		{"more than a number", func(g *tensor.Graph) *tensor.Tensor { return tensor.SiLU(g.Input("x", 1<<40, 1<<40)) }, tensor.ErrOutOfMemory},
	} {
		g := tensor.NewGraph()
		g.Keep("y", c.y(g))
		if _, err := b.Compile(g); !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.want)
		}
	}
	g := tensor.NewGraph()
	g.Output("y", tensor.Linear(g.Input("x", 1, 2), tensor.NewWeight(1, 2), nil))
	if _, err := b.Compile(g); err == nil {
		t.Error("a weight without data compiles")
	}
	if active, _ := b.Memory(); active != 0 {
		t.Errorf("failed compilations hold %d bytes", active)
	}
}
