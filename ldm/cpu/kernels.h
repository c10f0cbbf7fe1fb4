// The kernels that Go calls. Each is compiled once per instruction set; cpu_use picks one. Arrays are float32, sizes and strides are in elements, and rows are
// contiguous unless a stride is given. KERNELS lists every kernel as
// (name, parameters, arguments).

#ifndef CPU_KERNELS_H
#define CPU_KERNELS_H

#include <stdint.h>

// A stored product operand is panels of PANEL columns: panel p holds, for every k, the elements
// [k][PANEL·p … PANEL·p + PANEL − 1] of the [k][n] matrix, with zeros past column n.
enum { PANEL = 32 };

// Floats of working memory that a product of unpacked operands needs: one block of its right
// operand.
enum { PRODUCT_SCRATCH = 384 * 256 };

// Storage types of weights.
enum { STORED_F32, STORED_F16, STORED_BF16, STORED_F64 };

// A convolution as a product: row (image, y, x) of the left operand is the kh·kw·c patch of the
// input [n, h, w, c] under output pixel (y, x) of [n, oh, ow].
struct window {
	int64_t h, w, c, oh, ow, kh, kw, stride, top, left;
};

// clang-format off
#define SHARED_KERNELS(K)                                                                           \
	/* dst[n] = src[n] of a storage type, which need not be aligned. */                           \
	K(convert, (float *dst, const void *src, int type, int64_t n), (dst, src, type, n))           \
	/* dst [rows][columns] = a + b; b moves by its strides, 0 or more. */                         \
	K(add, (float *dst, const float *a, const float *b, int64_t rows, int64_t columns,            \
		int64_t row_stride, int64_t column_stride),                                               \
		(dst, a, b, rows, columns, row_stride, column_stride))                                    \
	K(mul, (float *dst, const float *a, const float *b, int64_t rows, int64_t columns,            \
		int64_t row_stride, int64_t column_stride),                                               \
		(dst, a, b, rows, columns, row_stride, column_stride))                                    \
	K(affine, (float *dst, const float *x, float scale, float shift, int64_t n),                  \
		(dst, x, scale, shift, n))                                                                \
	K(silu, (float *dst, const float *x, int64_t n), (dst, x, n))                                 \
	K(gelu, (float *dst, const float *x, int64_t n), (dst, x, n))                                 \
	K(quick_gelu, (float *dst, const float *x, int64_t n), (dst, x, n))                           \
	/* Mean and sum of squared deviations of x [rows][c] for each of groups; scratch [3][c]. */   \
	K(group_moments, (double *mean, double *squares, const float *x, int64_t rows, int64_t c,     \
		int64_t groups, float *scratch), (mean, squares, x, rows, c, groups, scratch))            \
	/* (x − shift)·scale + bias per channel of x [rows][c], then SiLU if activate. */             \
	K(group_apply, (float *dst, const float *x, const float *shift, const float *scale,           \
		const float *bias, int activate, int64_t rows, int64_t c),                                \
		(dst, x, shift, scale, bias, activate, rows, c))                                          \
	K(layer_norm, (float *dst, const float *x, const float *weight, const float *bias, float eps, \
		int64_t rows, int64_t c), (dst, x, weight, bias, eps, rows, c))                           \
	K(softmax, (float *dst, const float *x, int64_t rows, int64_t n), (dst, x, rows, n))          \
	/* One tile of online softmax: see attention.go. */                                           \
	K(attend, (float *scores, int64_t ld, float scale, float *most, float *sum, float *out,       \
		int64_t ldo, int64_t rows, int64_t keys, int64_t d, int64_t visible),                     \
		(scores, ld, scale, most, sum, out, ldo, rows, keys, d, visible))                         \
	/* Row i of x [rows][n], ld elements apart, divided by by[i]. */                              \
	K(divide_rows, (float *x, int64_t ld, const float *by, int64_t rows, int64_t n),              \
		(x, ld, by, rows, n))

#define PRODUCT_KERNELS(K) \
	/* One panel of the transpose of src [columns][channels][taps]; k is (tap, channel). */       \
	K(pack_weights, (float *dst, const void *src, int type, int64_t columns, int64_t channels,    \
		int64_t taps), (dst, src, type, columns, channels, taps))                                 \
	/* c [m][n] = a [m][k] times panels b, + bias [n] unless NULL. */                             \
	K(product_packed, (float *c, int64_t ldc, const float *a, int64_t lda, const float *b,        \
		const float *bias, int64_t m, int64_t n, int64_t k), (c, ldc, a, lda, b, bias, m, n, k))  \
	/* Rows first to first + m of a convolution: c [m][n] = patches of x times panels b. */       \
	K(product_window, (float *c, int64_t ldc, const float *x, const struct window *window,        \
		int64_t first, const float *b, const float *bias, int64_t m, int64_t n),                  \
		(c, ldc, x, window, first, b, bias, m, n))                                                \
	/* c [m][n] = a [m][k] times b [k][n], or b [n][k] transposed, + c if accumulate. */          \
	K(product, (float *c, int64_t ldc, const float *a, int64_t lda, const float *b, int64_t ldb,  \
		int transposed, int accumulate, int64_t m, int64_t n, int64_t k, float *scratch),         \
		(c, ldc, a, lda, b, ldb, transposed, accumulate, m, n, k, scratch))

// With CPU_BLAS, products are those of a BLAS library.
#ifdef CPU_BLAS
#define KERNELS(K) SHARED_KERNELS(K)
#else
#define KERNELS(K) SHARED_KERNELS(K) PRODUCT_KERNELS(K)
#endif
// clang-format on

#define FIELD(name, parameters, arguments) void(*name) parameters;
struct kernels {
	KERNELS(FIELD)
};

#define PROTOTYPE(name, parameters, arguments) void cpu_##name parameters;
KERNELS(PROTOTYPE)

// cpu_use chooses the instruction set with the longest vectors that the machine has, of at most
// lanes floats, and returns their length. No kernel may be running.
int cpu_use(int lanes);

#endif
