//go:build !cgo

package cpu

import (
	"math"

	"ldm-mac/ldm/tensor"
)

// This file has the kernels of kernels.h, which says what each one does, in plain Go.

func convert(dst []float32, src []byte, d tensor.DType) {
	if err := tensor.DecodeFloats(dst, src, d); err != nil {
		panic(err) // check has seen the type
	}
}

func add(dst, a, b []float32, rows, columns, rowStride, columnStride int) {
	for r := range rows {
		d, x, y := dst[r*columns:][:columns], a[r*columns:][:columns], b[r*rowStride:]
		for i := range d {
			d[i] = x[i] + y[i*columnStride]
		}
	}
}

func mul(dst, a, b []float32, rows, columns, rowStride, columnStride int) {
	for r := range rows {
		d, x, y := dst[r*columns:][:columns], a[r*columns:][:columns], b[r*rowStride:]
		for i := range d {
			d[i] = x[i] * y[i*columnStride]
		}
	}
}

func affine(dst, x []float32, scale, shift float32) {
	for i, f := range x {
		dst[i] = f*scale + shift
	}
}

func silu(dst, x []float32) {
	for i, f := range x {
		dst[i] = siluOf(f)
	}
}

func siluOf(x float32) float32 { return float32(float64(x) / (1 + math.Exp(-float64(x)))) }

func gelu(dst, x []float32) {
	for i, f := range x {
		dst[i] = float32(0.5 * float64(f) * math.Erfc(-float64(f)/math.Sqrt2))
	}
}

func quickGELU(dst, x []float32) {
	for i, f := range x {
		dst[i] = float32(float64(f) / (1 + math.Exp(-1.702*float64(f))))
	}
}

func groupMoments(mean, squares []float64, x []float32, rows, c int, _ []float32) {
	width := c / len(mean)
	n := float64(rows * width)
	for g := range mean {
		var total, deviations float64
		for r := range rows {
			for _, f := range x[r*c+g*width:][:width] {
				total += float64(f)
			}
		}
		m := total / n
		for r := range rows {
			for _, f := range x[r*c+g*width:][:width] {
				d := float64(f) - m
				deviations += d * d
			}
		}
		mean[g], squares[g] = m, deviations
	}
}

func groupApply(dst, x, shift, scale, bias []float32, activate bool, rows, c int) {
	for r := range rows {
		d, row := dst[r*c:][:c], x[r*c:][:c]
		for i, f := range row {
			y := (f-shift[i])*scale[i] + bias[i]
			if activate {
				y = siluOf(y)
			}
			d[i] = y
		}
	}
}

func layerNorm(dst, x, weight, bias []float32, eps float32, rows, c int) {
	for r := range rows {
		d, row := dst[r*c:][:c], x[r*c:][:c]
		var mean, squares float64
		for _, f := range row {
			mean += float64(f)
		}
		mean /= float64(c)
		for _, f := range row {
			squares += (float64(f) - mean) * (float64(f) - mean)
		}
		scale := 1 / math.Sqrt(squares/float64(c)+float64(eps))
		for i, f := range row {
			d[i] = float32((float64(f)-mean)*scale)*weight[i] + bias[i]
		}
	}
}

// exponentials replaces x by exp(x·scale - most) and returns the sum.
func exponentials(dst, x []float32, scale, most float32) float32 {
	var sum float64
	for i, f := range x {
		dst[i] = float32(math.Exp(float64(f*scale - most)))
		sum += float64(dst[i])
	}
	return float32(sum)
}

// peak is the largest x·scale.
func peak(x []float32, scale float32) float32 {
	most := x[0] * scale
	for _, f := range x[1:] {
		most = max(most, f*scale)
	}
	return most
}

func softmax(dst, x []float32, rows, n int) {
	for r := range rows {
		d, row := dst[r*n:][:n], x[r*n:][:n]
		multiply(d, 1/exponentials(d, row, 1, peak(row, 1)))
	}
}

func multiply(x []float32, factor float32) {
	for i := range x {
		x[i] *= factor
	}
}

func attend(scores matrix, scale float32, most, sum []float32, out matrix, rows, keys, d, visible int) {
	for r := range rows {
		row := scores.data[r*scores.stride:][:keys]
		n := min(max(visible+r, 0), keys)
		clear(row[n:])
		if n == 0 {
			continue
		}
		if m := peak(row[:n], scale); m > most[r] {
			if sum[r] > 0 {
				factor := float32(math.Exp(float64(most[r] - m)))
				sum[r] *= factor
				multiply(out.data[r*out.stride:][:d], factor)
			}
			most[r] = m
		}
		sum[r] += exponentials(row[:n], row[:n], scale, most[r])
	}
}

func divideRows(x matrix, by []float32, rows, n int) {
	for r := range rows {
		multiply(x.data[r*x.stride:][:n], 1/by[r])
	}
}
