// Element-wise kernels.

// dst may be src; so the compiler's own vector code would not run.
#define MAP(name, expression) MAP_WITH(name, (float *dst, const float *src, int64_t n), expression)
#define MAP_WITH(name, parameters, expression)                                                    \
	static void name parameters                                                                   \
	{                                                                                             \
		int64_t i = 0;                                                                            \
		for (; i + LANES <= n; i += LANES) {                                                      \
			vf x = load(src + i);                                                                 \
			store(dst + i, expression);                                                           \
		}                                                                                         \
		if (i < n) {                                                                              \
			vf x = load_part(src + i, n - i);                                                     \
			store_part(dst + i, expression, n - i);                                               \
		}                                                                                         \
	}

MAP(silu, silu_of(x))
MAP(gelu, gelu_of(x))
MAP(quick_gelu, quick_gelu_of(x))

MAP_WITH(affine, (float *dst, const float *src, float scale, float shift, int64_t n),
	x * scale + shift)

#define COMBINE(name, op)                                                                         \
	static void name(float *dst, const float *a, const float *b, int64_t rows, int64_t columns,   \
		int64_t row_stride, int64_t column_stride)                                                \
	{                                                                                             \
		for (int64_t r = 0; r < rows; r++, dst += columns, a += columns, b += row_stride) {       \
			int64_t i = 0;                                                                        \
			if (column_stride == 1)                                                               \
				for (; i + LANES <= columns; i += LANES)                                          \
					store(dst + i, load(a + i) op load(b + i));                                   \
			else                                                                                  \
				for (; i + LANES <= columns; i += LANES)                                          \
					store(dst + i, load(a + i) op *b);                                            \
			for (; i < columns; i++)                                                              \
				dst[i] = a[i] op b[i * column_stride];                                            \
		}                                                                                         \
	}

COMBINE(add, +)
COMBINE(mul, *)
