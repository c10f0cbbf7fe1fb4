package cpu

import (
	"math"

	"ldm-mac/ldm/tensor"
)

// groupNorm measures pieces of each image, combines their moments, and applies the result.
func (c *compiler) groupNorm(t *tensor.Tensor) ([]*step, error) {
	var operands [3]*value
	for i, in := range t.Inputs {
		v, err := c.operand(in)
		if err != nil {
			return nil, err
		}
		operands[i] = v
	}
	x, weight, bias, dst := operands[0], operands[1], operands[2], c.values[t.Index()]
	images, channels, groups := t.Shape[0], t.Shape.Last(), t.Attrs.Groups
	rows := t.Shape.Elements() / images / channels
	piece := min(rows, max(1, chunk/channels))
	pieces := (rows + piece - 1) / piece
	mean, squares := make([]float64, images*pieces*groups), make([]float64, images*pieces*groups)
	shift, scale, offset := make([]float32, images*channels), make([]float32, images*channels), make([]float32, images*channels)
	c.scratch = max(c.scratch, 3*channels)
	serial := t.Shape.Elements() <= chunk/2

	span := func(part int) (lo, hi, count int) {
		image, first := part/pieces, part%pieces*piece
		count = min(piece, rows-first)
		lo = (image*rows + first) * channels
		return lo, lo + count*channels, count
	}
	measure := func(w *worker, part int) {
		lo, hi, count := span(part)
		at := part * groups
		groupMoments(mean[at:at+groups], squares[at:at+groups], x.data[lo:hi], count, channels, w.scratch)
	}
	combine := func(_ *worker, image int) {
		for g := range groups {
			var m moments
			for p := range pieces {
				at := (image*pieces+p)*groups + g
				m.add(moments{mean[at], squares[at], float64(min(piece, rows-p*piece) * channels / groups)})
			}
			factor := 1 / math.Sqrt(m.squares/m.n+float64(t.Attrs.Eps))
			for i := g * channels / groups; i < (g+1)*channels/groups; i++ {
				at := image*channels + i
				shift[at] = float32(m.mean)
				scale[at] = float32(factor * float64(weight.data[i]))
				// What rounding took off the mean.
				low := m.mean - float64(shift[at])
				offset[at] = float32(float64(bias.data[i]) - low*factor*float64(weight.data[i]))
			}
		}
	}
	apply := func(_ *worker, part int) {
		lo, hi, count := span(part)
		at := part / pieces * channels
		groupApply(dst.data[lo:hi], x.data[lo:hi], shift[at:at+channels], scale[at:at+channels], offset[at:at+channels],
			t.Attrs.Activation == tensor.OpSiLU, count, channels)
	}
	return []*step{
		{parts: images * pieces, serial: serial, run: measure},
		{parts: images, serial: true, run: combine},
		{parts: images * pieces, serial: serial, run: apply},
	}, nil
}

// moments are the mean and the sum of squared deviations from it of n numbers.
type moments struct{ mean, squares, n float64 }

// add joins the moments of other numbers (Chan, Golub and LeVeque 1979, equation 2.1).
func (m *moments) add(o moments) {
	n := m.n + o.n
	d := o.mean - m.mean
	m.mean += d * o.n / n
	m.squares += o.squares + d*d*m.n*o.n/n
	m.n = n
}

func layerNormSteps(dst, x, weight, bias *value, t *tensor.Tensor) []*step {
	return rowSteps(t, func(lo, hi, rows, c int) {
		layerNorm(dst.data[lo:hi], x.data[lo:hi], weight.data, bias.data, t.Attrs.Eps, rows, c)
	})
}

func softmaxSteps(dst, x *value, t *tensor.Tensor) []*step {
	return rowSteps(t, func(lo, hi, rows, c int) { softmax(dst.data[lo:hi], x.data[lo:hi], rows, c) })
}

// rowSteps calls f for blocks of rows of the last axis: elements lo to hi.
func rowSteps(t *tensor.Tensor, f func(lo, hi, rows, c int)) []*step {
	c := t.Shape.Last()
	rows := t.Shape.Elements() / c
	block := max(1, chunk/c)
	return []*step{{parts: (rows + block - 1) / block, run: func(_ *worker, part int) {
		first := part * block
		count := min(block, rows-first)
		f(first*c, (first+count)*c, count, c)
	}}}
}
