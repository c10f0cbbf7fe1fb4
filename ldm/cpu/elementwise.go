package cpu

import "ldm-mac/ldm/tensor"

// chunk is how many elements a part of an element-wise step computes: some microseconds of work.
const chunk = 1 << 15

// unary applies f to pieces of x.
func unary(dst, x *value, t *tensor.Tensor, f func(dst, x []float32)) []*step {
	n := t.Shape.Elements()
	return []*step{{parts: (n + chunk - 1) / chunk, run: func(_ *worker, part int) {
		lo, hi := part*chunk, min((part+1)*chunk, n)
		f(dst.data[lo:hi], x.data[lo:hi])
	}}}
}

// caster rounds values to the floating-point type d.
func caster(d tensor.DType) func(dst, x []float32) {
	return func(dst, x []float32) {
		switch d {
		case tensor.F16:
			for i, f := range x {
				dst[i] = tensor.F16ToF32(tensor.F32ToF16(f))
			}
		case tensor.BF16:
			for i, f := range x {
				dst[i] = tensor.BF16ToF32(tensor.F32ToBF16(f))
			}
		default:
			copy(dst, x)
		}
	}
}

// axis is a dimension of a broadcast: its size and by how much the second operand moves along it,
// 0 where that is repeated.
type axis struct{ size, stride int }

// broadcastAxes are the fewest dimensions, innermost first, along which b moves evenly when it is
// broadcast to a; at least two.
func broadcastAxes(a, b tensor.Shape) []axis {
	var axes []axis
	elements := 1 // of b so far
	for i := range a {
		size, stride := a[len(a)-1-i], 0
		if i < len(b) && b[len(b)-1-i] != 1 {
			stride = elements
			elements *= size
		}
		if size == 1 {
			continue
		}
		if n := len(axes) - 1; n >= 0 && stride == axes[n].size*axes[n].stride && (stride == 0) == (axes[n].stride == 0) {
			axes[n].size *= size
			continue
		}
		axes = append(axes, axis{size, stride})
	}
	for len(axes) < 2 {
		axes = append(axes, axis{1, 0})
	}
	return axes
}

// binaryKernel combines a and b into dst: rows·columns elements, where b moves by its strides.
type binaryKernel func(dst, a, b []float32, rows, columns, rowStride, columnStride int)

// binary applies f to a and to b broadcast to the shape of a.
func binary(f binaryKernel, dst, a, b *value, t *tensor.Tensor) []*step {
	axes := broadcastAxes(t.Shape, t.Inputs[1].Shape)
	column, row, outer := axes[0], axes[1], axes[2:]
	count := 1
	for _, o := range outer {
		count *= o.size
	}
	columns := min(column.size, chunk)
	rows := min(row.size, max(1, chunk/columns))
	perRow, perOuter := (column.size+columns-1)/columns, (row.size+rows-1)/rows
	return []*step{{
		parts:  count * perOuter * perRow,
		serial: t.Shape.Elements() <= chunk,
		run: func(_ *worker, part int) {
			x := part % perRow * columns
			y := part / perRow % perOuter * rows
			at, from := part/perRow/perOuter, y*row.stride+x*column.stride
			to := (at*row.size+y)*column.size + x
			for _, o := range outer {
				from += at % o.size * o.stride
				at /= o.size
			}
			// Rows are divided only where they are whole or alone.
			f(dst.data[to:], a.data[to:], b.data[from:], min(rows, row.size-y), min(columns, column.size-x),
				row.stride, column.stride)
		},
	}}
}
