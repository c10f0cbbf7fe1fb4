// Every kernel, as KERNEL(name, parameters, arguments). Arrays are float32, sizes and strides are
// in elements, and rows are contiguous unless a stride is given. See kernels.h.

// dst[n] = src[n] of a storage type, which need not be aligned.
KERNEL(convert, (float *dst, const void *src, int type, int64_t n), (dst, src, type, n))

// dst [rows][columns] = a + b; b moves by its strides, 0 or more.
KERNEL(add, (float *dst, const float *a, const float *b, int64_t rows, int64_t columns,
	int64_t row_stride, int64_t column_stride),
	(dst, a, b, rows, columns, row_stride, column_stride))
KERNEL(mul, (float *dst, const float *a, const float *b, int64_t rows, int64_t columns,
	int64_t row_stride, int64_t column_stride),
	(dst, a, b, rows, columns, row_stride, column_stride))
KERNEL(affine, (float *dst, const float *x, float scale, float shift, int64_t n),
	(dst, x, scale, shift, n))
KERNEL(silu, (float *dst, const float *x, int64_t n), (dst, x, n))
KERNEL(gelu, (float *dst, const float *x, int64_t n), (dst, x, n))
KERNEL(quick_gelu, (float *dst, const float *x, int64_t n), (dst, x, n))

// Mean and sum of squared deviations of x [rows][c] for each of groups; scratch [3][c].
KERNEL(group_moments, (double *mean, double *squares, const float *x, int64_t rows, int64_t c,
	int64_t groups, float *scratch), (mean, squares, x, rows, c, groups, scratch))

// (x − shift)·scale + bias per channel of x [rows][c], then SiLU if activate.
KERNEL(group_apply, (float *dst, const float *x, const float *shift, const float *scale,
	const float *bias, int activate, int64_t rows, int64_t c),
	(dst, x, shift, scale, bias, activate, rows, c))
KERNEL(layer_norm, (float *dst, const float *x, const float *weight, const float *bias, float eps,
	int64_t rows, int64_t c), (dst, x, weight, bias, eps, rows, c))
KERNEL(softmax, (float *dst, const float *x, int64_t rows, int64_t n), (dst, x, rows, n))

// One tile of online softmax: see attention.go.
KERNEL(attend, (float *scores, int64_t ld, float scale, float *most, float *sum, float *out,
	int64_t ldo, int64_t rows, int64_t keys, int64_t d, int64_t visible),
	(scores, ld, scale, most, sum, out, ldo, rows, keys, d, visible))

// Row i of x [rows][n], ld elements apart, divided by by[i].
KERNEL(divide_rows, (float *x, int64_t ld, const float *by, int64_t rows, int64_t n),
	(x, ld, by, rows, n))

// With CPU_BLAS, products are those of a BLAS library.
#ifndef CPU_BLAS

// One panel of the transpose of src [columns][channels][taps]; k is (tap, channel).
KERNEL(pack_weights, (float *dst, const void *src, int type, int64_t columns, int64_t channels,
	int64_t taps), (dst, src, type, columns, channels, taps))

// c [m][n] = a [m][k] times panels b, + bias [n] unless NULL.
KERNEL(product_packed, (float *c, int64_t ldc, const float *a, int64_t lda, const float *b,
	const float *bias, int64_t m, int64_t n, int64_t k), (c, ldc, a, lda, b, bias, m, n, k))

// Rows first to first + m of a convolution: c [m][n] = patches of x times panels b.
KERNEL(product_window, (float *c, int64_t ldc, const float *x, const struct window *window,
	int64_t first, const float *b, const float *bias, int64_t m, int64_t n),
	(c, ldc, x, window, first, b, bias, m, n))

// c [m][n] = a [m][k] times b [k][n], or b [n][k] transposed, + c if accumulate.
KERNEL(product, (float *c, int64_t ldc, const float *a, int64_t lda, const float *b, int64_t ldb,
	int transposed, int accumulate, int64_t m, int64_t n, int64_t k, float *scratch),
	(c, ldc, a, lda, b, ldb, transposed, accumulate, m, n, k, scratch))

#endif
