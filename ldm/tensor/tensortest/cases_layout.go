package tensortest

import (
	"fmt"
	"slices"

	"ldm-mac/ldm/tensor"
)

func layoutCases() []testCase {
	var cases []testCase
	add := func(name string, f func(b *builder) *tensor.Tensor) { cases = append(cases, one(name, f)) }

	for _, c := range []struct{ from, to []int }{
		{[]int{}, []int{1}},
		{[]int{2, 4, 5, 6}, []int{2, 20, 6}}, // image to tokens
		{[]int{2, 20, 6}, []int{2, 4, 5, 6}},
		{[]int{3, 35}, []int{105}},
	} {
		add("reshape/"+label(c.from...)+"_"+label(c.to...), func(b *builder) *tensor.Tensor {
			return tensor.Reshape(b.input(c.from...), c.to...)
		})
	}
	for _, c := range []struct{ shape, perm []int }{
		{[]int{5}, []int{0}},
		{[]int{5, 7}, []int{0, 1}},
		{[]int{5, 7}, []int{1, 0}},
		{[]int{1, 33}, []int{1, 0}},
		{[]int{3, 5, 7}, []int{0, 2, 1}},
		{[]int{3, 5, 7}, []int{2, 0, 1}}, // no inverse of itself
		{[]int{3, 5, 7}, []int{1, 2, 0}},
		{[]int{2, 9, 3, 8}, []int{0, 2, 1, 3}}, // heads
		{[]int{2, 3, 4, 5}, []int{0, 3, 1, 2}}, // to [n, c, h, w]
		{[]int{2, 3, 4, 5}, []int{0, 2, 3, 1}}, // and back
		{[]int{2, 3, 4, 5}, []int{3, 2, 1, 0}},
		{[]int{2, 3, 4, 5}, []int{2, 0, 3, 1}},
	} {
		add(fmt.Sprint("permute/", label(c.shape...), "_", label(c.perm...)), func(b *builder) *tensor.Tensor {
			return tensor.Permute(b.input(c.shape...), c.perm...)
		})
	}
	for _, c := range []struct {
		shape []int
		axis  int
		sizes []int
	}{
		{[]int{1, 4}, 0, []int{1, 1}},
		{[]int{2, 4, 5, 6}, 3, []int{6, 3}}, // skip connection
		{[]int{2, 4, 5, 6}, 3, []int{1, 33, 4}},
		{[]int{2, 4, 5, 6}, 2, []int{5, 1, 2}},
		{[]int{2, 4, 5, 6}, 1, []int{3, 4}},
		{[]int{2, 77, 8}, 0, []int{1, 1, 2}}, // guidance
		{[]int{2, 77, 8}, 1, []int{7}},
	} {
		add(fmt.Sprintf("concat/%s_axis%d_%s", label(c.shape...), c.axis, label(c.sizes...)), func(b *builder) *tensor.Tensor {
			var parts []*tensor.Tensor
			for _, size := range c.sizes {
				shape := slices.Clone(c.shape)
				shape[c.axis] = size
				parts = append(parts, b.input(shape...))
			}
			return tensor.Concat(c.axis, parts...)
		})
	}
	add("concat/itself", func(b *builder) *tensor.Tensor {
		x := b.input(2, 5)
		return tensor.Concat(1, x, x, x)
	})
	for _, c := range []struct {
		shape             []int
		axis, start, stop int
	}{
		{[]int{1}, 0, 0, 1},
		{[]int{7}, 0, 2, 5},
		{[]int{3, 4, 5, 6}, 0, 1, 2},
		{[]int{3, 4, 5, 6}, 1, 1, 4},
		{[]int{3, 4, 5, 6}, 2, 0, 2},
		{[]int{3, 4, 5, 6}, 3, 3, 6},
		{[]int{2, 77, 64}, 2, 32, 64}, // the gate of GEGLU
		{[]int{2, 77, 64}, 1, 76, 77},
		{[]int{2, 77, 64}, 1, 0, 77},
	} {
		add(fmt.Sprintf("slice/%s_axis%d_%d-%d", label(c.shape...), c.axis, c.start, c.stop), func(b *builder) *tensor.Tensor {
			return tensor.Slice(b.input(c.shape...), c.axis, c.start, c.stop)
		})
	}
	for _, c := range []struct {
		shape []int
		index float32
	}{
		{[]int{1}, 0},
		{[]int{7}, 6},
		{[]int{5, 33}, 0},
		{[]int{5, 33}, 3},
		{[]int{50, 320}, 49}, // time embeddings
		{[]int{3, 4, 5, 6}, 1},
		{[]int{4096, 3}, 4095}, // no float16
		{[]int{5, 33}, -2},     // the first
		{[]int{5, 33}, 1e9},    // the last
	} {
		add(fmt.Sprintf("row/%s_%g", label(c.shape...), c.index), func(b *builder) *tensor.Tensor {
			return tensor.Row(b.input(c.shape...), b.index(c.index))
		})
	}
	add("row/computed", func(b *builder) *tensor.Tensor {
		return tensor.Row(b.input(4096, 3), tensor.Reshape(tensor.Affine(b.index(2047), 2, 1), 1))
	})
	add("row/of_row", func(b *builder) *tensor.Tensor {
		table := b.Param(tensor.WeightOf("table", []float32{7, 3001, 5}, 3))
		return tensor.Row(b.input(3002, 2), tensor.Row(table, b.index(1)))
	})
	for _, dtype := range []tensor.DType{tensor.F32, tensor.F16, tensor.BF16} {
		add("row/param_"+dtype.String(), func(b *builder) *tensor.Tensor {
			return tensor.Add(b.input(1, 36), tensor.Row(b.Param(b.weight(dtype, 9, 36)), b.index(4)))
		})
	}
	add("row/broadcast", func(b *builder) *tensor.Tensor {
		row := tensor.Row(b.input(6, 40), b.index(2))
		return tensor.Add(b.input(2, 4, 5, 40), tensor.Reshape(row, 1, 1, 1, 40))
	})
	for _, pad := range []tensor.Padding{{}, tensor.Same(3), {Bottom: 1, Right: 1}, {Top: 1, Bottom: 2, Left: 3, Right: 4}} {
		add(fmt.Sprintf("pad/2x3x5x3_p%d%d%d%d", pad.Top, pad.Bottom, pad.Left, pad.Right), func(b *builder) *tensor.Tensor {
			return tensor.Pad(b.input(2, 3, 5, 3), pad)
		})
	}
	for _, shape := range [][]int{{1, 1, 1, 1}, {2, 3, 5, 3}, {1, 8, 8, 32}, {1, 2, 4, 33}} {
		add("upsample/"+label(shape...), func(b *builder) *tensor.Tensor { return tensor.Upsample(b.input(shape...)) })
	}
	for _, shape := range [][]int{{1, 2, 2, 1}, {2, 6, 4, 3}, {1, 8, 8, 32}, {1, 2, 10, 33}} {
		add("avg_pool2d/"+label(shape...), func(b *builder) *tensor.Tensor { return tensor.AvgPool2D(b.input(shape...)) })
	}
	for _, dtype := range []tensor.DType{tensor.F32, tensor.F16, tensor.BF16} {
		add("cast/"+dtype.String(), func(b *builder) *tensor.Tensor {
			return tensor.Cast(tensor.Cast(b.normal(0, 30, 3, 77), dtype), tensor.F32)
		})
		add("cast/tiny_"+dtype.String(), func(b *builder) *tensor.Tensor { // subnormal in F16
			return tensor.Cast(b.normal(0, 1e-5, 65), dtype)
		})
		add("cast/computed_"+dtype.String(), func(b *builder) *tensor.Tensor {
			return tensor.Affine(tensor.Cast(tensor.SiLU(b.input(2, 33)), dtype), 3, 1)
		})
	}
	return cases
}
