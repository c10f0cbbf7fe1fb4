package cpu

import "ldm-mac/ldm/tensor"

// This file has the operators that move elements. Runs of consecutive elements are copied whole.

// byRows calls f for every row of a result [rows, width], in parts of about a chunk.
func byRows(rows, width int, f func(row int)) []*step {
	block := max(1, chunk/width)
	return []*step{{parts: (rows + block - 1) / block, run: func(_ *worker, part int) {
		for row := part * block; row < min((part+1)*block, rows); row++ {
			f(row)
		}
	}}}
}

// permute reads the rows of the result with the strides that its axes have in x.
func permute(dst, x *value, t *tensor.Tensor) []*step {
	in := t.Inputs[0].Shape
	strides := make([]int, len(in))
	for i, stride := len(in)-1, 1; i >= 0; i-- {
		strides[i] = stride
		stride *= in[i]
	}
	var axes []axis // of the result, innermost first; neighbours in both are one
	for i := len(t.Attrs.Perm) - 1; i >= 0; i-- {
		a := axis{t.Shape[i], strides[t.Attrs.Perm[i]]}
		if n := len(axes) - 1; n >= 0 && a.stride == axes[n].size*axes[n].stride {
			axes[n].size *= a.size
		} else {
			axes = append(axes, a)
		}
	}
	inner, outer := axes[0], axes[1:]
	return byRows(t.Shape.Elements()/inner.size, inner.size, func(row int) {
		from, rest := 0, row
		for _, o := range outer {
			from += rest % o.size * o.stride
			rest /= o.size
		}
		to := dst.data[row*inner.size:][:inner.size]
		if inner.stride == 1 {
			copy(to, x.data[from:])
			return
		}
		for i := range to {
			to[i] = x.data[from+i*inner.stride]
		}
	})
}

// around divides a shape at an axis: elements along it and below lie together, outer times.
func around(s tensor.Shape, axis int) (outer, run int) {
	return s[:axis].Elements(), s[axis:].Elements()
}

func concat(dst *value, parts []*value, t *tensor.Tensor) []*step {
	outer, width := around(t.Shape, t.Attrs.Axis)
	runs := make([]int, len(parts))
	for i, in := range t.Inputs {
		_, runs[i] = around(in.Shape, t.Attrs.Axis)
	}
	return byRows(outer, width, func(row int) {
		to := dst.data[row*width:][:width]
		for i, p := range parts {
			to = to[copy(to, p.data[row*runs[i]:][:runs[i]]):]
		}
	})
}

func slice(dst, x *value, t *tensor.Tensor) []*step {
	outer, run := around(t.Shape, t.Attrs.Axis)
	_, width := around(t.Inputs[0].Shape, t.Attrs.Axis)
	start := run / t.Shape[t.Attrs.Axis] * t.Attrs.Start
	return byRows(outer, run, func(row int) {
		copy(dst.data[row*run:][:run], x.data[row*width+start:])
	})
}

// row reads the index when it runs.
func row(dst, x, index *value, t *tensor.Tensor) []*step {
	rows, n := t.Inputs[0].Shape[0], t.Shape.Elements()
	return []*step{{parts: (n + chunk - 1) / chunk, run: func(_ *worker, part int) {
		lo, hi := part*chunk, min((part+1)*chunk, n)
		at := 0
		if i := float64(index.data[0]); i > 0 { // also false for a NaN
			at = int(min(i, float64(rows-1)))
		}
		copy(dst.data[lo:hi], x.data[at*n+lo:])
	}}}
}

func pad(dst, x *value, t *tensor.Tensor) []*step {
	in, out, p := t.Inputs[0].Shape, t.Shape, t.Attrs.Padding
	width, line, left := out[2]*out[3], in[2]*in[3], p.Left*in[3]
	return byRows(out[0]*out[1], width, func(row int) {
		to := dst.data[row*width:][:width]
		image, y := row/out[1], row%out[1]-p.Top
		if y < 0 || y >= in[1] {
			clear(to)
			return
		}
		clear(to[:left])
		copy(to[left:], x.data[(image*in[1]+y)*line:][:line])
		clear(to[left+line:])
	})
}

func upsample(dst, x *value, t *tensor.Tensor) []*step {
	in := t.Inputs[0].Shape
	c, line := in[3], in[2]*in[3]
	return byRows(in[0]*in[1], 4*line, func(row int) {
		from, to := x.data[row*line:][:line], dst.data[4*row*line:][:4*line]
		for i := 0; i < line; i += c {
			copy(to[2*i:], from[i:i+c])
			copy(to[2*i+c:], from[i:i+c])
		}
		copy(to[2*line:], to[:2*line])
	})
}

func avgPool2D(dst, x *value, t *tensor.Tensor) []*step {
	c, line := t.Shape[3], t.Shape[2]*t.Shape[3]
	return byRows(t.Shape[0]*t.Shape[1], line, func(row int) {
		above, below := x.data[4*row*line:][:2*line], x.data[(4*row+2)*line:][:2*line]
		to := dst.data[row*line:][:line]
		for i := 0; i < line; i += c {
			for j := i; j < i+c; j++ {
				to[j] = (above[i+j] + above[i+j+c] + below[i+j] + below[i+j+c]) / 4
			}
		}
	})
}
