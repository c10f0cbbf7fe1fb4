//go:build !cgo || darwin || blas

package cpu

import "ldm-mac/ldm/tensor"

// This file makes products of calls of sgemm. A BLAS library may sum a row in another order when
// other rows are computed with it; so parts do not span images.
const productsSplitBatches = true

// productScratch is how many floats a product needs: the patches of a convolution, of which there
// is at least one row.
const productScratch = 1 << 19

// packedSize is the number of floats that a packed operand takes: [n, k].
func packedSize(n, k int) int { return n * k }

// packPanel packs columns panel·i to panel·(i+1) of b, which src holds.
func packPanel(b *packed, i int, src []byte, d tensor.DType, channels, taps int) {
	columns, length := min(panel, b.n-i*panel), channels*taps
	dst := b.data[i*panel*length:]
	if taps == 1 {
		convert(dst[:columns*length], src, d)
		return
	}
	row := make([]float32, length)
	for j := range columns {
		convert(row, src[j*length*d.Size():(j+1)*length*d.Size()], d)
		for channel := range channels {
			for tap := range taps {
				dst[j*length+tap*channels+channel] = row[channel*taps+tap]
			}
		}
	}
}

// productPacked is dst = a·b for columns column to column+columns of b and dst's rows rows.
func productPacked(dst, a matrix, b *packed, column, rows, columns int) {
	if b.bias != nil {
		for i := range rows {
			copy(dst.data[i*dst.stride:][:columns], b.bias[column:])
		}
	}
	sgemm(dst, a, matrix{b.data[column*b.k:], b.k}, true, b.bias != nil, rows, columns, b.k)
}

// productWindow is productPacked for the patches of x under output pixels row to row+rows.
func productWindow(dst matrix, x []float32, win *window, b *packed, row, column, rows, columns int, scratch []float32) {
	strip := max(1, min(rows, len(scratch)/b.k))
	for done := 0; done < rows; done += strip {
		strip = min(strip, rows-done)
		for i := range strip {
			win.patch(scratch[i*b.k:(i+1)*b.k], x, row+done+i)
		}
		productPacked(matrix{dst.data[done*dst.stride:], dst.stride}, matrix{scratch, b.k}, b, column, strip, columns)
	}
}

// patch copies what the kernel sees at an output pixel. In each row of the kernel, that is kw·c
// consecutive floats of the image.
func (win *window) patch(dst, x []float32, pixel int) {
	ow, oh := int(win.ow), int(win.oh)
	ox, oy, image := pixel%ow, pixel/ow%oh, pixel/ow/oh
	run, line := int(win.kw*win.c), int(win.w*win.c)
	start := (ox*int(win.stride) - int(win.left)) * int(win.c)
	lo := min(max(start, 0), line)
	hi := max(min(start+run, line), lo)
	for ky := range int(win.kh) {
		row := dst[ky*run : (ky+1)*run]
		y := oy*int(win.stride) - int(win.top) + ky
		if y < 0 || y >= int(win.h) || lo == hi {
			clear(row)
			continue
		}
		clear(row[:lo-start])
		copy(row[lo-start:], x[(image*int(win.h)+y)*line:][lo:hi])
		clear(row[hi-start:])
	}
}

// product is dst = a·b, or a·bᵀ, or that added to dst: dst is [m, n], a is [m, k].
func product(dst, a, b matrix, transposed, accumulate bool, m, n, k int, _ []float32) {
	sgemm(dst, a, b, transposed, accumulate, m, n, k)
}
