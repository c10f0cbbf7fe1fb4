//go:build cgo && !darwin && !blas

package cpu

/*
#include "kernels.h"
#cgo noescape cpu_pack_weights
#cgo nocallback cpu_pack_weights
#cgo noescape cpu_product_packed
#cgo nocallback cpu_product_packed
#cgo noescape cpu_product_window
#cgo nocallback cpu_product_window
#cgo noescape cpu_product
#cgo nocallback cpu_product
*/
import "C"

import (
	"unsafe"

	"ldm-mac/ldm/tensor"
)

// This file calls the products of product.h. The sums of a row do not depend on the rows that are
// computed with it.
const productsSplitBatches = false

// productScratch is how many floats a product needs to pack operands.
const productScratch = C.PRODUCT_SCRATCH

// packedSize is the number of floats that a packed operand [k, n] takes: whole panels.
func packedSize(n, k int) int { return (n + panel - 1) / panel * panel * k }

// packPanel packs columns panel·i to panel·(i+1) of b, which src holds.
func packPanel(b *packed, i int, src []byte, d tensor.DType, channels, taps int) {
	columns := min(panel, b.n-i*panel)
	C.cpu_pack_weights(first(b.data[i*panel*b.k:]), unsafe.Pointer(unsafe.SliceData(src)), stored(d),
		C.int64_t(columns), C.int64_t(channels), C.int64_t(taps))
}

// column is where column i, a multiple of panel, of a packed operand and its bias begin.
func (b *packed) column(i int) (data, bias *C.float) {
	if b.bias != nil {
		bias = first(b.bias[i:])
	}
	return first(b.data[i*b.k:]), bias
}

// productPacked is dst = a·b for columns column to column+columns of b and dst's rows rows.
func productPacked(dst, a matrix, b *packed, column, rows, columns int) {
	data, bias := b.column(column)
	C.cpu_product_packed(first(dst.data), C.int64_t(dst.stride), first(a.data), C.int64_t(a.stride), data, bias,
		C.int64_t(rows), C.int64_t(columns), C.int64_t(b.k))
}

// productWindow is productPacked for the patches of x under output pixels row to row+rows.
func productWindow(dst matrix, x []float32, win *window, b *packed, row, column, rows, columns int, _ []float32) {
	data, bias := b.column(column)
	C.cpu_product_window(first(dst.data), C.int64_t(dst.stride), first(x), (*C.struct_window)(unsafe.Pointer(win)),
		C.int64_t(row), data, bias, C.int64_t(rows), C.int64_t(columns))
}

// product is dst = a·b, or a·bᵀ, or that added to dst: dst is [m, n], a is [m, k].
func product(dst, a, b matrix, transposed, accumulate bool, m, n, k int, scratch []float32) {
	C.cpu_product(first(dst.data), C.int64_t(dst.stride), first(a.data), C.int64_t(a.stride),
		first(b.data), C.int64_t(b.stride), flag(transposed), flag(accumulate),
		C.int64_t(m), C.int64_t(n), C.int64_t(k), first(scratch))
}
