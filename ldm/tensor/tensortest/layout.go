package tensortest

import "ldm-mac/ldm/tensor"

// walk visits every index of shape in row-major order, with its position in that order. The
// index is the visitor's for one visit.
func walk(shape tensor.Shape, visit func(i int, at []int)) {
	at := make([]int, len(shape))
	for i := range shape.Elements() {
		rest := i
		for axis := len(shape) - 1; axis >= 0; axis-- {
			at[axis] = rest % shape[axis]
			rest /= shape[axis]
		}
		visit(i, at)
	}
}

// offset is the position of an index in row-major order.
func offset(shape tensor.Shape, at []int) int {
	i := 0
	for axis, size := range shape {
		i = i*size + at[axis]
	}
	return i
}

func inside(shape tensor.Shape, at []int) bool {
	for axis, size := range shape {
		if at[axis] < 0 || at[axis] >= size {
			return false
		}
	}
	return true
}

// layout computes the operators whose elements are elements of their operands, zeros, or means
// of four.
func layout(t *tensor.Tensor, args [][]float64) []float64 {
	x, shape := args[0], t.Inputs[0].Shape
	out := make([]float64, t.Shape.Elements())
	from := make([]int, len(shape))
	walk(t.Shape, func(i int, at []int) {
		copy(from, at)
		switch t.Op {
		case tensor.OpPermute:
			for axis, source := range t.Attrs.Perm {
				from[source] = at[axis]
			}
		case tensor.OpConcat:
			part := 0
			for from[t.Attrs.Axis] >= t.Inputs[part].Shape[t.Attrs.Axis] {
				from[t.Attrs.Axis] -= t.Inputs[part].Shape[t.Attrs.Axis]
				part++
			}
			x, shape = args[part], t.Inputs[part].Shape
		case tensor.OpSlice:
			from[t.Attrs.Axis] += t.Attrs.Start
		case tensor.OpRow:
			from[0] = int(min(max(args[1][0], 0), float64(shape[0]-1)))
		case tensor.OpPad:
			from[1] -= t.Attrs.Padding.Top
			from[2] -= t.Attrs.Padding.Left
			if !inside(shape, from) {
				return
			}
		case tensor.OpUpsample:
			from[1], from[2] = at[1]/2, at[2]/2
		case tensor.OpAvgPool2D:
			for corner := range 4 {
				from[1], from[2] = 2*at[1]+corner/2, 2*at[2]+corner%2
				out[i] += x[offset(shape, from)] / 4
			}
			return
		}
		out[i] = x[offset(shape, from)]
	})
	return out
}
