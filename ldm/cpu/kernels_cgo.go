//go:build cgo

package cpu

/*
#cgo CFLAGS: -O3 -std=gnu11
#cgo LDFLAGS: -lm
#include "kernels.h"
#cgo noescape cpu_convert
#cgo nocallback cpu_convert
#cgo noescape cpu_add
#cgo nocallback cpu_add
#cgo noescape cpu_mul
#cgo nocallback cpu_mul
#cgo noescape cpu_affine
#cgo nocallback cpu_affine
#cgo noescape cpu_silu
#cgo nocallback cpu_silu
#cgo noescape cpu_gelu
#cgo nocallback cpu_gelu
#cgo noescape cpu_quick_gelu
#cgo nocallback cpu_quick_gelu
#cgo noescape cpu_group_moments
#cgo nocallback cpu_group_moments
#cgo noescape cpu_group_apply
#cgo nocallback cpu_group_apply
#cgo noescape cpu_layer_norm
#cgo nocallback cpu_layer_norm
#cgo noescape cpu_softmax
#cgo nocallback cpu_softmax
#cgo noescape cpu_attend
#cgo nocallback cpu_attend
#cgo noescape cpu_divide_rows
#cgo nocallback cpu_divide_rows
*/
import "C"

import (
	"unsafe"

	"ldm-mac/ldm/tensor"
)

// This file calls the kernels of kernels.h; kernels.h says what each one does.

func init() { useLanes(16) }

// useLanes chooses the instruction set with the longest vectors, of at most n floats, and returns
// their length.
func useLanes(n int) int { return int(C.cpu_use(C.int(n))) }

func first(x []float32) *C.float { return (*C.float)(unsafe.SliceData(x)) }

func flag(b bool) C.int {
	if b {
		return 1
	}
	return 0
}

func stored(d tensor.DType) C.int {
	switch d {
	case tensor.F16:
		return C.STORED_F16
	case tensor.BF16:
		return C.STORED_BF16
	case tensor.F64:
		return C.STORED_F64
	}
	return C.STORED_F32
}

func convert(dst []float32, src []byte, d tensor.DType) {
	C.cpu_convert(first(dst), unsafe.Pointer(unsafe.SliceData(src)), stored(d), C.int64_t(len(dst)))
}

func add(dst, a, b []float32, rows, columns, rowStride, columnStride int) {
	C.cpu_add(first(dst), first(a), first(b), C.int64_t(rows), C.int64_t(columns), C.int64_t(rowStride), C.int64_t(columnStride))
}

func mul(dst, a, b []float32, rows, columns, rowStride, columnStride int) {
	C.cpu_mul(first(dst), first(a), first(b), C.int64_t(rows), C.int64_t(columns), C.int64_t(rowStride), C.int64_t(columnStride))
}

func affine(dst, x []float32, scale, shift float32) {
	C.cpu_affine(first(dst), first(x), C.float(scale), C.float(shift), C.int64_t(len(x)))
}

func silu(dst, x []float32) { C.cpu_silu(first(dst), first(x), C.int64_t(len(x))) }

func gelu(dst, x []float32) { C.cpu_gelu(first(dst), first(x), C.int64_t(len(x))) }

func quickGELU(dst, x []float32) { C.cpu_quick_gelu(first(dst), first(x), C.int64_t(len(x))) }

func groupMoments(mean, squares []float64, x []float32, rows, c int, scratch []float32) {
	C.cpu_group_moments((*C.double)(unsafe.SliceData(mean)), (*C.double)(unsafe.SliceData(squares)), first(x),
		C.int64_t(rows), C.int64_t(c), C.int64_t(len(mean)), first(scratch))
}

func groupApply(dst, x, shift, scale, bias []float32, activate bool, rows, c int) {
	C.cpu_group_apply(first(dst), first(x), first(shift), first(scale), first(bias), flag(activate), C.int64_t(rows), C.int64_t(c))
}

func layerNorm(dst, x, weight, bias []float32, eps float32, rows, c int) {
	C.cpu_layer_norm(first(dst), first(x), first(weight), first(bias), C.float(eps), C.int64_t(rows), C.int64_t(c))
}

func softmax(dst, x []float32, rows, n int) {
	C.cpu_softmax(first(dst), first(x), C.int64_t(rows), C.int64_t(n))
}

func attend(scores matrix, scale float32, most, sum []float32, out matrix, rows, keys, d, visible int) {
	C.cpu_attend(first(scores.data), C.int64_t(scores.stride), C.float(scale), first(most), first(sum),
		first(out.data), C.int64_t(out.stride), C.int64_t(rows), C.int64_t(keys), C.int64_t(d), C.int64_t(visible))
}

func divideRows(x matrix, by []float32, rows, n int) {
	C.cpu_divide_rows(first(x.data), C.int64_t(x.stride), first(by), C.int64_t(rows), C.int64_t(n))
}
