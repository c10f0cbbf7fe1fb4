//go:build !cgo

package cpu

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

// sgemm is dst = a·b, or a·bᵀ, or that added to dst: dst is [m, n], a is [m, k].
func sgemm(dst, a, b matrix, transposed, accumulate bool, m, n, k int) {
	// gonum starts goroutines of its own for four blocks of 64×64 or more; the workers are enough.
	const height, width = 64, 128
	t, beta := blas.NoTrans, float32(0)
	if transposed {
		t = blas.Trans
	}
	if accumulate {
		beta = 1
	}
	for i := 0; i < m; i += height {
		for j := 0; j < n; j += width {
			right := b.data
			if transposed {
				right = right[j*b.stride:]
			} else {
				right = right[j:]
			}
			gonum.Implementation{}.Sgemm(blas.NoTrans, t, min(height, m-i), min(width, n-j), k,
				1, a.data[i*a.stride:], a.stride, right, b.stride, beta, dst.data[i*dst.stride+j:], dst.stride)
		}
	}
}
