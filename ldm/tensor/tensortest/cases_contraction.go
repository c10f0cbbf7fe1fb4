package tensortest

import (
	"fmt"
	"math"

	"ldm-mac/ldm/tensor"
)

func matMulCases() []testCase {
	var cases []testCase
	for _, c := range []struct {
		batch   []int
		m, k, n int
	}{
		{nil, 1, 1, 1}, {nil, 5, 1, 7}, {nil, 1, 33, 1}, {nil, 3, 64, 5}, {nil, 31, 33, 35},
		{[]int{2}, 7, 40, 9}, {[]int{2, 3}, 10, 8, 77}, {[]int{1, 1}, 64, 512, 32}, {[]int{3}, 4, 4, 4},
	} {
		for _, transposed := range []bool{false, true} {
			shape := append(append([]int{}, c.batch...), c.m, c.k)
			right := append(append([]int{}, c.batch...), c.k, c.n)
			name := fmt.Sprintf("matmul/%s_n%d", label(shape...), c.n)
			if transposed {
				right = append(append([]int{}, c.batch...), c.n, c.k)
				name += "_transposed"
			}
			cases = append(cases, one(name, func(b *builder) *tensor.Tensor {
				return tensor.MatMul(b.input(shape...), b.input(right...), transposed)
			}))
		}
	}
	return cases
}

func linearCases() []testCase {
	var cases []testCase
	for _, c := range []struct {
		in    []int
		out   int
		bias  bool
		dtype tensor.DType
	}{
		{[]int{1}, 1, true, tensor.F32},
		{[]int{7}, 3, true, tensor.F32},
		{[]int{1, 320}, 1280, true, tensor.F16}, // time embedding
		{[]int{2, 77, 40}, 24, false, tensor.F32},
		{[]int{2, 77, 40}, 33, true, tensor.F32},
		{[]int{1, 33, 31}, 35, true, tensor.F16},
		{[]int{1, 64, 32}, 256, true, tensor.BF16},
		{[]int{2, 1, 512}, 64, false, tensor.BF16},
		{[]int{1, 1, 1, 5}, 1, false, tensor.F16},
		{[]int{2, 4, 4, 3}, 4, true, tensor.F32},
		{[]int{1, 65, 2880}, 7, true, tensor.F32},
	} {
		name := fmt.Sprintf("linear/%s_out%d_%s", label(c.in...), c.out, c.dtype)
		if c.bias {
			name += "_bias"
		}
		cases = append(cases, one(name, func(b *builder) *tensor.Tensor {
			var bias *tensor.Weight
			weight := b.weight(c.dtype, c.out, c.in[len(c.in)-1])
			if c.bias {
				bias = b.weight(c.dtype, c.out)
			}
			return tensor.Linear(b.input(c.in...), weight, bias)
		}))
	}
	return cases
}

func convCases() []testCase {
	var cases []testCase
	same, none := tensor.Same(3), tensor.Padding{}
	corner := tensor.Padding{Bottom: 1, Right: 1} // first-stage downsampling
	for _, c := range []struct {
		n, h, w, in, out int
		kh, kw, stride   int
		pad              tensor.Padding
		bias             bool
		dtype            tensor.DType
	}{
		{1, 1, 1, 1, 1, 1, 1, 1, none, true, tensor.F32},
		{1, 1, 1, 1, 1, 3, 3, 1, same, true, tensor.F32},
		{1, 1, 9, 2, 3, 3, 3, 1, same, true, tensor.F32},
		{2, 7, 6, 5, 9, 3, 3, 1, same, true, tensor.F32},
		{2, 7, 6, 5, 9, 3, 3, 1, same, false, tensor.F32},
		{1, 8, 8, 4, 32, 3, 3, 1, same, true, tensor.F32}, // into the U-Net
		{1, 8, 8, 32, 4, 3, 3, 1, same, true, tensor.F32}, // out of it
		{1, 9, 11, 3, 33, 3, 3, 1, same, true, tensor.F16},
		{1, 9, 11, 33, 3, 3, 3, 1, same, true, tensor.BF16},
		{1, 8, 8, 7, 8, 3, 3, 1, same, true, tensor.F32},
		{1, 8, 8, 9, 8, 3, 3, 1, same, true, tensor.F32},
		{1, 16, 16, 32, 32, 3, 3, 1, same, true, tensor.F16},
		{2, 5, 5, 64, 64, 3, 3, 1, same, true, tensor.F32},
		{1, 4, 4, 320, 40, 3, 3, 1, same, true, tensor.F16},
		{3, 8, 8, 31, 35, 3, 3, 1, same, false, tensor.F32},
		{1, 33, 31, 4, 8, 3, 3, 1, same, true, tensor.F32},
		{1, 9, 8, 4, 6, 3, 3, 2, same, true, tensor.F32}, // U-Net downsampling
		{2, 8, 8, 32, 32, 3, 3, 2, same, true, tensor.F32},
		{1, 7, 7, 3, 5, 3, 3, 2, same, false, tensor.F16},
		{1, 8, 10, 4, 6, 3, 3, 2, corner, true, tensor.F32},
		{2, 16, 16, 32, 33, 3, 3, 2, corner, true, tensor.F32},
		{1, 7, 9, 4, 6, 3, 3, 2, corner, true, tensor.F32},
		{1, 6, 7, 3, 5, 3, 3, 1, tensor.Padding{Top: 2, Left: 1}, true, tensor.F32},
		{1, 6, 7, 3, 5, 2, 3, 1, tensor.Padding{Bottom: 1, Left: 2}, true, tensor.F32},
		{1, 6, 7, 3, 5, 3, 3, 1, none, true, tensor.F32},
		{1, 9, 9, 3, 5, 5, 5, 1, tensor.Same(5), true, tensor.F32},
		{1, 9, 9, 3, 5, 3, 3, 3, same, true, tensor.F32},
		{1, 8, 8, 16, 16, 4, 4, 4, none, true, tensor.F32}, // patches
		{1, 8, 8, 4, 8, 1, 1, 1, none, true, tensor.F32},
		{2, 5, 7, 33, 35, 1, 1, 1, none, true, tensor.F16},
		{1, 8, 8, 64, 32, 1, 1, 1, none, false, tensor.BF16},
		{1, 1, 1, 3, 4, 1, 1, 1, none, true, tensor.F32},
		{1, 7, 7, 4, 8, 1, 1, 2, none, true, tensor.F32},
	} {
		name := fmt.Sprintf("conv2d/%s_out%d_k%dx%d_s%d_p%d%d%d%d_%s", label(c.n, c.h, c.w, c.in), c.out,
			c.kh, c.kw, c.stride, c.pad.Top, c.pad.Bottom, c.pad.Left, c.pad.Right, c.dtype)
		if c.bias {
			name += "_bias"
		}
		cases = append(cases, one(name, func(b *builder) *tensor.Tensor {
			var bias *tensor.Weight
			weight := b.weight(c.dtype, c.out, c.in, c.kh, c.kw)
			if c.bias {
				bias = b.weight(c.dtype, c.out)
			}
			return tensor.Conv2D(b.input(c.n, c.h, c.w, c.in), weight, bias, c.stride, c.pad)
		}))
	}
	return cases
}

func attentionCases() []testCase {
	var cases []testCase
	for _, c := range []struct {
		n, queries, keys, heads, d int
		std                        float64 // of queries and keys
		causal                     bool
	}{
		{1, 1, 1, 1, 1, 1, false},
		{1, 1, 77, 1, 1, 1, false},
		{2, 10, 10, 3, 8, 1, false},
		{2, 6, 77, 1, 24, 1, false},
		{2, 33, 1, 5, 5, 1, false}, // one key
		{2, 17, 9, 2, 80, 1, false},
		{1, 64, 64, 8, 40, 1, false},
		{1, 64, 77, 8, 40, 1, false},
		{2, 16, 77, 4, 32, 1, false},
		{1, 65, 33, 2, 64, 1, false},
		{1, 9, 77, 2, 160, 1, false},
		{1, 16, 16, 1, 512, 1, false}, // first stage
		{1, 35, 131, 1, 5, 1, false},
		{3, 5, 257, 2, 8, 1, false},
		{1, 256, 256, 2, 8, 1, false},
		{1, 6, 9, 1, 16, 20, false}, // logits of several hundred
		{2, 33, 77, 4, 40, 10, false},
		{1, 8, 8, 1, 64, 20, true},
		{1, 1, 1, 2, 5, 1, true},
		{2, 77, 77, 2, 64, 1, true}, // text encoder
		{1, 33, 33, 3, 8, 1, true},
		{2, 5, 5, 1, 1, 1, true},
	} {
		name := fmt.Sprintf("attention/%dx%dx%d_h%d_d%d_std%g", c.n, c.queries, c.keys, c.heads, c.d, c.std)
		if c.causal {
			name += "_causal"
		}
		a := one(name, func(b *builder) *tensor.Tensor {
			q := b.normal(0, c.std, c.n, c.queries, c.heads*c.d)
			k := b.normal(0, c.std, c.n, c.keys, c.heads*c.d)
			v := b.input(c.n, c.keys, c.heads*c.d)
			return tensor.Attention("attention", q, k, v, c.heads, rootScale(c.d), c.causal)
		})
		a.gain = math.Max(1, c.std*c.std)
		cases = append(cases, a)
	}
	cases = append(cases,
		one("attention/scale1", func(b *builder) *tensor.Tensor {
			x := b.input(2, 9, 24)
			return tensor.Attention("attention", x, b.input(2, 9, 24), x, 3, 1, false)
		}),
		testCase{"attention/tapped", 0, func(b *builder) {
			b.TapAttention(func(name string) bool { return name == "first" })
			x := tensor.Attention("first", b.input(2, 9, 24), b.input(2, 5, 24), b.input(2, 5, 24), 3, rootScale(8), false)
			b.Output("y", tensor.Attention("second", x, x, x, 3, rootScale(8), false))
		}},
		testCase{"attention/decomposed", 0, func(b *builder) {
			q, k, v := b.input(2, 17, 40), b.input(2, 77, 40), b.input(2, 77, 40)
			y, probs := tensor.DecomposedAttention(q, k, v, 5, rootScale(8))
			b.Output("y", y)
			b.Output("probs", probs)
			b.Output("fused", tensor.Attention("attention", q, k, v, 5, rootScale(8), false))
		}},
	)
	return cases
}

// rootScale is 1/√d (Vaswani et al. 2017, arXiv:1706.03762, equation 1).
func rootScale(d int) float32 { return float32(1 / math.Sqrt(float64(d))) }
