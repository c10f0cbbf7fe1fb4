//go:build cgo && (darwin || blas)

package cpu

/*
#cgo CFLAGS: -DCPU_BLAS
#cgo darwin CFLAGS: -DACCELERATE_NEW_LAPACK
#cgo darwin LDFLAGS: -framework Accelerate
#cgo linux LDFLAGS: -lopenblas
#ifdef __APPLE__
#include <Accelerate/Accelerate.h>
static void one_thread(void) {}
#else
#include <cblas.h>
void openblas_set_num_threads(int);
static void one_thread(void) { openblas_set_num_threads(1); }
#endif

static void product(float *c, int ldc, const float *a, int lda, const float *b, int ldb,
	int transposed, int accumulate, int m, int n, int k)
{
	cblas_sgemm(CblasRowMajor, CblasNoTrans, transposed ? CblasTrans : CblasNoTrans, m, n, k, 1, a,
		lda, b, ldb, accumulate, c, ldc);
}
#cgo noescape product
#cgo nocallback product
*/
import "C"

// The workers are enough: the library starts no threads of its own for a product. Accelerate
// needs no such request.
func init() { C.one_thread() }

// sgemm is dst = a·b, or a·bᵀ, or that added to dst: dst is [m, n], a is [m, k].
func sgemm(dst, a, b matrix, transposed, accumulate bool, m, n, k int) {
	C.product(first(dst.data), C.int(dst.stride), first(a.data), C.int(a.stride), first(b.data), C.int(b.stride),
		C.int(flag(transposed)), C.int(flag(accumulate)), C.int(m), C.int(n), C.int(k))
}
