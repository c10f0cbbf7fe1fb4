package tensortest

import (
	"fmt"
	"math"

	"ldm-mac/ldm/tensor"
)

func unaryCases() []testCase {
	var cases []testCase
	for _, op := range []struct {
		name  string
		apply func(x *tensor.Tensor) *tensor.Tensor
	}{
		{"affine", func(x *tensor.Tensor) *tensor.Tensor { return tensor.Affine(x, -1.75, 0.3) }},
		{"silu", tensor.SiLU},
		{"gelu", tensor.GELU},
		{"quick_gelu", tensor.QuickGELU},
	} {
		for _, shape := range [][]int{{}, {1}, {7}, {3, 33}, {2, 77, 40}, {1, 5, 7, 3}} {
			std := 3.0 // both tails and the bend
			if tensor.Shape(shape).Elements() < 10 {
				std = 1 // a result far in the tail, alone, has a relative error of x² roundings
			}
			cases = append(cases, one(op.name+"/"+label(shape...), func(b *builder) *tensor.Tensor {
				return op.apply(b.normal(0, std, shape...))
			}))
		}
		cases = append(cases, one(op.name+"/large", func(b *builder) *tensor.Tensor {
			return op.apply(b.normal(0, 100, 65)) // exp overflows float32 beyond 88
		}))
	}
	for _, c := range []struct {
		std   float64
		shape []int
	}{
		{1, []int{1}}, {1, []int{3, 1}}, {1, []int{2, 77}}, {3, []int{2, 3, 5, 33}}, {1, []int{2, 1000}},
		{300, []int{3, 77}},
	} {
		cases = append(cases, one(fmt.Sprintf("softmax/%s_std%g", label(c.shape...), c.std), func(b *builder) *tensor.Tensor {
			return tensor.Softmax(b.normal(0, c.std, c.shape...))
		}))
	}
	return cases
}

func binaryCases() []testCase {
	var cases []testCase
	for _, op := range []struct {
		name  string
		apply func(a, b *tensor.Tensor) *tensor.Tensor
	}{{"add", tensor.Add}, {"mul", tensor.Mul}} {
		for _, c := range []struct{ a, b []int }{
			{[]int{}, []int{}},
			{[]int{1}, []int{1}},
			{[]int{2, 4, 5, 6}, []int{2, 4, 5, 6}},
			{[]int{2, 4, 5, 6}, []int{2, 1, 1, 6}}, // time embedding
			{[]int{2, 4, 5, 6}, []int{1, 1, 1, 6}},
			{[]int{2, 4, 5, 6}, []int{6}}, // bias
			{[]int{2, 4, 5, 6}, []int{1}},
			{[]int{2, 4, 5, 6}, []int{}},
			{[]int{2, 4, 5, 6}, []int{2, 4, 5, 1}}, // mask
			{[]int{3, 4, 5, 6}, []int{3, 1, 1, 1}},
			{[]int{3, 4, 5, 6}, []int{3, 1, 5, 1}},
			{[]int{2, 77, 40}, []int{77, 40}}, // positions
			{[]int{2, 33, 35}, []int{1, 33, 35}},
		} {
			cases = append(cases, one(op.name+"/"+label(c.a...)+"_"+label(c.b...), func(b *builder) *tensor.Tensor {
				return op.apply(b.input(c.a...), b.input(c.b...))
			}))
		}
		for _, dtype := range []tensor.DType{tensor.F32, tensor.F16, tensor.BF16} {
			cases = append(cases, one(op.name+"/param_"+dtype.String(), func(b *builder) *tensor.Tensor {
				return op.apply(b.input(2, 5, 33), b.Param(b.weight(dtype, 33)))
			}))
		}
		cases = append(cases, one(op.name+"/itself", func(b *builder) *tensor.Tensor {
			x := tensor.Affine(b.input(3, 5), 2, 1)
			return op.apply(x, x)
		}))
	}
	return cases
}

func normCases() []testCase {
	var cases []testCase
	for _, c := range []struct {
		shape     []int
		groups    int
		eps       float32
		mean, std float64
		silu      bool
	}{
		{[]int{1, 1, 1, 1}, 1, 1e-5, 0, 1, false},
		{[]int{2, 5, 7, 3}, 1, 1e-5, 0, 1, false},
		{[]int{2, 5, 7, 3}, 3, 1e-5, 0, 1, true}, // as many groups as channels
		{[]int{1, 8, 8, 32}, 32, 1e-6, 0, 1, false},
		{[]int{2, 4, 4, 64}, 32, 1e-5, 0, 1, true},
		{[]int{1, 3, 5, 33}, 11, 1e-5, 0, 1, true},
		{[]int{2, 77, 40}, 8, 1e-6, 0, 1, false}, // tokens
		{[]int{3, 10}, 5, 1e-5, 0, 1, false},
		{[]int{1, 16, 16, 320}, 32, 1e-5, 0, 1, true},
		{[]int{1, 16, 16, 4}, 1, 1e-6, 0.5, 2, false},
		{[]int{2, 8, 8, 16}, 4, 1e-5, 1000, 1, false}, // a variance of E[x²]-E[x]² fails here
		{[]int{2, 8, 8, 16}, 4, 1e-5, 1000, 0.1, true},
		{[]int{2, 5, 5, 24}, 8, 1e-5, 0, 0.001, false}, // eps decides
		{[]int{2, 5, 5, 24}, 8, 1e-6, 0, 0.001, false},
		{[]int{2, 5, 5, 24}, 8, 1e-5, 0, 0.001, true},
		{[]int{2, 5, 5, 24}, 8, 1e-6, 0, 0.001, true},
		{[]int{1, 4, 4, 8}, 2, 1e-6, 3, 0, false}, // constant: the result is the bias
	} {
		name := fmt.Sprintf("group_norm/%s_g%d_eps%g_mean%g_std%g", label(c.shape...), c.groups, c.eps, c.mean, c.std)
		if c.silu {
			name += "_silu"
		}
		n := one(name, func(b *builder) *tensor.Tensor {
			x, channels := b.normal(c.mean, c.std, c.shape...), c.shape[len(c.shape)-1]
			y := tensor.GroupNorm(x, b.weight(tensor.F32, channels), b.weight(tensor.F32, channels), c.groups, c.eps)
			if c.silu {
				return tensor.SiLU(y)
			}
			return y
		})
		n.gain = spread(c.mean, c.std, c.eps)
		cases = append(cases, n)
	}
	for _, c := range []struct {
		shape     []int
		eps       float32
		mean, std float64
		dtype     tensor.DType
	}{
		{[]int{1}, 1e-5, 0, 1, tensor.F32},
		{[]int{3, 2}, 1e-5, 0, 1, tensor.F32},
		{[]int{2, 77, 40}, 1e-5, 0, 1, tensor.F32},
		{[]int{1, 5, 320}, 1e-5, 0.5, 2, tensor.F16},
		{[]int{3, 7, 33}, 1e-5, 0, 300, tensor.BF16},
		{[]int{3, 7, 40}, 1e-5, 0, 0.001, tensor.F32},
		{[]int{3, 7, 40}, 1e-6, 0, 0.001, tensor.F32},
		{[]int{2, 3, 64}, 1e-5, 1000, 1, tensor.F32},
		{[]int{2, 3, 64}, 1e-5, 1000, 0.1, tensor.F32},
		{[]int{2, 2, 3, 5}, 1e-5, 0, 1, tensor.F32},
	} {
		name := fmt.Sprintf("layer_norm/%s_eps%g_mean%g_std%g_%s", label(c.shape...), c.eps, c.mean, c.std, c.dtype)
		n := one(name, func(b *builder) *tensor.Tensor {
			d := c.shape[len(c.shape)-1]
			return tensor.LayerNorm(b.normal(c.mean, c.std, c.shape...), b.weight(c.dtype, d), b.weight(c.dtype, d), c.eps)
		})
		n.gain = spread(c.mean, c.std, c.eps)
		cases = append(cases, n)
	}
	return cases
}

// spread is how many times larger the values are than what the normalisation divides by: the
// growth of the error of x - mean.
func spread(mean, std float64, eps float32) float64 {
	return math.Max(1, math.Abs(mean)/math.Sqrt(std*std+float64(eps)))
}
