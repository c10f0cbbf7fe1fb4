package tensortest

import (
	"context"
	"math"
	"strings"
	"testing"

	"ldm-mac/ldm/tensor"
)

// TestSuiteFindsDefects breaks the reference in the ways that backends are broken; for each, some
// check of the operator at fault has to fail.
func TestSuiteFindsDefects(t *testing.T) {
	// attrs computes node t as if its attributes were others.
	attrs := func(op tensor.Op, change func(a *tensor.Attrs)) operator {
		return func(t *tensor.Tensor, args [][]float64) []float64 {
			changed := *t
			if t.Op == op {
				change(&changed.Attrs)
			}
			return compute(&changed, args)
		}
	}
	instead := func(op tensor.Op, f func(t *tensor.Tensor, args [][]float64) []float64) operator {
		return func(t *tensor.Tensor, args [][]float64) []float64 {
			if t.Op == op {
				return f(t, args)
			}
			return compute(t, args)
		}
	}
	pointwise := func(op tensor.Op, f func(x float64) float64) operator {
		return instead(op, func(t *tensor.Tensor, args [][]float64) []float64 { return each(args[0], f) })
	}
	withoutBias := func(op tensor.Op) operator {
		return instead(op, func(t *tensor.Tensor, args [][]float64) []float64 { return compute(t, args[:2]) })
	}
	tests := []struct {
		name   string
		caught string // a prefix of checks of which one must fail
		op     operator
	}{
		{"conv2d without bias", "conv2d/", withoutBias(tensor.OpConv2D)},
		{"linear without bias", "linear/", withoutBias(tensor.OpLinear)},
		{"group norm eps 1e-6", "group_norm/", attrs(tensor.OpGroupNorm, func(a *tensor.Attrs) { a.Eps = 1e-6 })},
		{"group norm eps 1e-5", "group_norm/", attrs(tensor.OpGroupNorm, func(a *tensor.Attrs) { a.Eps = 1e-5 })},
		{"layer norm eps 1e-6", "layer_norm/", attrs(tensor.OpLayerNorm, func(a *tensor.Attrs) { a.Eps = 1e-6 })},
		{"layer norm eps 1e-5", "layer_norm/", attrs(tensor.OpLayerNorm, func(a *tensor.Attrs) { a.Eps = 1e-5 })},
		{"fused SiLU forgotten", "group_norm/", attrs(tensor.OpGroupNorm, func(a *tensor.Attrs) { a.Activation = tensor.OpInput })},
		{"one group", "group_norm/", attrs(tensor.OpGroupNorm, func(a *tensor.Attrs) { a.Groups = 1 })},
		{"one-pass variance", "group_norm/", instead(tensor.OpGroupNorm, onePassNorm)},
		{"tanh GELU", "gelu/", pointwise(tensor.OpGELU, func(x float64) float64 {
			return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
		})},
		{"quick GELU for GELU", "gelu/", pointwise(tensor.OpGELU, func(x float64) float64 { return x / (1 + math.Exp(-1.702*x)) })},
		{"quick GELU 1.7", "quick_gelu/", pointwise(tensor.OpQuickGELU, func(x float64) float64 { return x / (1 + math.Exp(-1.7*x)) })},
		{"SiLU that overflows", "silu/", pointwise(tensor.OpSiLU, func(x float64) float64 {
			e := float32(math.Exp(x))
			return x * float64(e/(1+e))
		})},
		{"softmax without maximum", "softmax/", instead(tensor.OpSoftmax, softmaxWithoutMaximum)},
		{"transposeB ignored", "matmul/", attrs(tensor.OpMatMul, func(a *tensor.Attrs) { a.TransposeB = false })},
		{"padding mirrored", "conv2d/", attrs(tensor.OpConv2D, func(a *tensor.Attrs) {
			p := a.Padding
			a.Padding = tensor.Padding{Top: p.Bottom, Bottom: p.Top, Left: p.Right, Right: p.Left}
		})},
		{"padding transposed", "conv2d/", attrs(tensor.OpConv2D, func(a *tensor.Attrs) {
			p := a.Padding
			a.Padding = tensor.Padding{Top: p.Left, Bottom: p.Right, Left: p.Top, Right: p.Bottom}
		})},
		{"pad mirrored", "pad/", attrs(tensor.OpPad, func(a *tensor.Attrs) {
			p := a.Padding
			a.Padding = tensor.Padding{Top: p.Bottom, Bottom: p.Top, Left: p.Right, Right: p.Left}
		})},
		{"one head", "attention/", attrs(tensor.OpAttention, func(a *tensor.Attrs) { a.Heads = 1 })},
		{"heads innermost", "attention/", instead(tensor.OpAttention, headsInnermost)},
		{"causal ignored", "attention/", attrs(tensor.OpAttention, func(a *tensor.Attrs) { a.Causal = false })},
		{"scale of head size 8", "attention/", attrs(tensor.OpAttention, func(a *tensor.Attrs) { a.Scale = rootScale(8) })},
		{"shift ignored", "affine/", attrs(tensor.OpAffine, func(a *tensor.Attrs) { a.Shift = 0 })},
		{"slice from the start", "slice/", attrs(tensor.OpSlice, func(a *tensor.Attrs) { a.Start = 0 })},
		{"always the first row", "row/", instead(tensor.OpRow, func(t *tensor.Tensor, args [][]float64) []float64 {
			return args[0][:t.Shape.Elements()]
		})},
		{"row index in float16", "row/", instead(tensor.OpRow, func(t *tensor.Tensor, args [][]float64) []float64 {
			return compute(t, [][]float64{args[0], {round(args[1][0], tensor.F16)}})
		})},
		{"row index wraps around", "row/", instead(tensor.OpRow, func(t *tensor.Tensor, args [][]float64) []float64 {
			rows := float64(t.Inputs[0].Shape[0])
			return compute(t, [][]float64{args[0], {math.Mod(math.Mod(args[1][0], rows)+rows, rows)}})
		})},
		{"inverse permutation", "permute/", instead(tensor.OpPermute, inversePermutation)},
		{"cast ignored", "cast/", pointwise(tensor.OpCast, func(x float64) float64 { return x })},
		{"cast truncates", "cast/", instead(tensor.OpCast, truncatingCast)},
		{"in place while still read", "net/", inPlace},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { mustFail(t, reference{test.op}, test.caught) })
	}
}

// mustFail wants at least one of the checks whose names have the prefix to fail.
func mustFail(t *testing.T, backend tensor.Backend, prefix string) {
	t.Helper()
	for _, c := range Checks() {
		if strings.HasPrefix(c.Name, prefix) {
			if _, err := c.Run(backend, tensor.F32); err != nil {
				t.Logf("%s: %v", c.Name, err)
				return
			}
		}
	}
	t.Errorf("no check of %s fails", prefix)
}

// onePassNorm takes the variance as E[x²]-E[x]² in float32.
func onePassNorm(t *tensor.Tensor, args [][]float64) []float64 {
	out := make([]float64, len(args[0]))
	channels, image := t.Shape.Last(), len(args[0])/t.Shape[0]
	perGroup := channels / t.Attrs.Groups
	group := func(i int) int { return i/image*t.Attrs.Groups + i%channels/perGroup }
	sums, squares := make([]float32, t.Shape[0]*t.Attrs.Groups), make([]float32, t.Shape[0]*t.Attrs.Groups)
	for i, x := range args[0] {
		sums[group(i)] += float32(x)
		squares[group(i)] += float32(x) * float32(x)
	}
	n := float32(image / t.Attrs.Groups)
	for i, x := range args[0] {
		mean := sums[group(i)] / n
		variance := max(squares[group(i)]/n-mean*mean, 0)
		out[i] = (x-float64(mean))/math.Sqrt(float64(variance+t.Attrs.Eps))*args[1][i%channels] + args[2][i%channels]
		if t.Attrs.Activation == tensor.OpSiLU {
			out[i] = silu(out[i])
		}
	}
	return out
}

// softmaxWithoutMaximum does not subtract the maximum: exp overflows float32.
func softmaxWithoutMaximum(t *tensor.Tensor, args [][]float64) []float64 {
	d := t.Shape.Last()
	out := make([]float64, len(args[0]))
	for row := 0; row < len(out); row += d {
		var sum float32
		for i := row; i < row+d; i++ {
			sum += float32(math.Exp(args[0][i]))
		}
		for i := row; i < row+d; i++ {
			out[i] = float64(float32(math.Exp(args[0][i])) / sum)
		}
	}
	return out
}

// headsInnermost reads the width of tokens as [d, heads] in place of [heads, d].
func headsInnermost(t *tensor.Tensor, args [][]float64) []float64 {
	heads, d := t.Attrs.Heads, t.Shape.Last()/t.Attrs.Heads
	swap := func(x []float64, rows, columns int) []float64 {
		out := make([]float64, len(x))
		for i := range x {
			at := i % (rows * columns)
			out[i-at+at%columns*rows+at/columns] = x[i]
		}
		return out
	}
	var swapped [][]float64
	for _, x := range args {
		swapped = append(swapped, swap(x, d, heads))
	}
	return swap(compute(t, swapped), heads, d)
}

// inversePermutation takes axis Perm[i] of the result from axis i of the operand.
func inversePermutation(t *tensor.Tensor, args [][]float64) []float64 {
	out := make([]float64, len(args[0]))
	from := make([]int, len(t.Shape))
	walk(t.Shape, func(i int, at []int) {
		for axis, target := range t.Attrs.Perm {
			from[axis] = at[target]
		}
		out[i] = args[0][offset(t.Inputs[0].Shape, from)%len(out)]
	})
	return out
}

func truncatingCast(t *tensor.Tensor, args [][]float64) []float64 {
	return each(args[0], func(x float64) float64 {
		if t.DType == tensor.BF16 {
			return float64(math.Float32frombits(math.Float32bits(float32(x)) &^ 0xffff))
		}
		return round(x, t.DType)
	})
}

// inPlace writes element-wise results over the first operand, whoever still reads that.
func inPlace(t *tensor.Tensor, args [][]float64) []float64 {
	out := compute(t, args)
	switch t.Op {
	case tensor.OpAdd, tensor.OpMul, tensor.OpAffine, tensor.OpSiLU, tensor.OpGELU, tensor.OpQuickGELU:
		copy(args[0], out)
	}
	return out
}

// stale is a backend whose programs do something wrong from the second run on, or with memory
// that is not theirs.
type stale struct {
	tensor.Backend
	run func(p tensor.Program, runs int, in map[string]tensor.Array) (map[string]tensor.Array, error)
}

type staleProgram struct {
	tensor.Program
	backend *stale
	runs    int
}

func (s *stale) Compile(g *tensor.Graph) (tensor.Program, error) {
	p, err := s.Backend.Compile(g)
	return &staleProgram{Program: p, backend: s}, err
}

func (p *staleProgram) Bind(input string, from tensor.Program, output string) error {
	return p.Program.Bind(input, from.(*staleProgram).Program, output)
}

func (p *staleProgram) Run(_ context.Context, in map[string]tensor.Array) (map[string]tensor.Array, error) {
	p.runs++
	return p.backend.run(p.Program, p.runs, in)
}

func TestSuiteFindsBrokenPrograms(t *testing.T) {
	shared := map[string]tensor.Array{}
	tests := []struct {
		name, caught string
		run          func(p tensor.Program, runs int, in map[string]tensor.Array) (map[string]tensor.Array, error)
	}{
		{"context ignored", "program/canceled", func(p tensor.Program, _ int, in map[string]tensor.Array) (map[string]tensor.Array, error) {
			return p.Run(context.Background(), in)
		}},
		{"third run differs", "silu/", func(p tensor.Program, runs int, in map[string]tensor.Array) (map[string]tensor.Array, error) {
			out, err := p.Run(context.Background(), in)
			if runs == 3 {
				for _, a := range out {
					a.Data[0] += 1e-6
				}
			}
			return out, err
		}},
		{"caller's inputs used as memory", "silu/", func(p tensor.Program, _ int, in map[string]tensor.Array) (map[string]tensor.Array, error) {
			out, err := p.Run(context.Background(), in)
			for _, a := range in {
				a.Data[0] = -a.Data[0]
			}
			return out, err
		}},
		{"results shared by programs", "program/two", func(p tensor.Program, _ int, in map[string]tensor.Array) (map[string]tensor.Array, error) {
			out, err := p.Run(context.Background(), in)
			for name, a := range out {
				if len(shared[name].Data) != len(a.Data) {
					shared[name] = a
				}
				copy(shared[name].Data, a.Data)
				out[name] = shared[name]
			}
			return out, err
		}},
		{"wrong inputs accepted", "program/inputs", func(p tensor.Program, _ int, in map[string]tensor.Array) (map[string]tensor.Array, error) {
			out, err := p.Run(context.Background(), in)
			if err != nil {
				return map[string]tensor.Array{"y": tensor.NewArray(2, 3)}, nil
			}
			return out, nil
		}},
		{"another shape", "reshape/", func(p tensor.Program, _ int, in map[string]tensor.Array) (map[string]tensor.Array, error) {
			out, err := p.Run(context.Background(), in)
			for name, a := range out {
				out[name] = tensor.Array{Shape: tensor.Shape{len(a.Data)}, Data: a.Data}
			}
			return out, err
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { mustFail(t, &stale{Reference(), test.run}, test.caught) })
	}
}
