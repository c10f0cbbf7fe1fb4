// Matrix products (Goto and van de Geijn 2008, "Anatomy of High-Performance Matrix
// Multiplication"): the right operand comes in panels, a block of it stays in the second-level
// cache, and a tile of the result is summed in registers. An element's sum runs over k in blocks
// of DEPTH, each in order; so its bits do not depend on where in the result it lies.

enum {
	DEPTH = 384,              // of a block along k
	WIDTH = 256,              // of a block of the right operand, in columns
	TILE_STRIDE = DEPTH + 16, // of a tile's left operand: by a power of two, rows would share
	                          // the sets of the first-level cache
	TILE_WIDTH = TILE_VECTORS * LANES,
};

_Static_assert(PRODUCT_SCRATCH == DEPTH * WIDTH, "a block of the right operand is the scratch");

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

// tile sums rows × vectors over depth, and adds start, a row, or what c holds if start is NULL.
// rows and vectors are constants where it is called.
INLINE void tile(const int rows, const int vectors, float *c, int64_t ldc, const float *a,
	const float *b, const float *start, int64_t depth)
{
	vf acc[TILE_ROWS][TILE_VECTORS];
	UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < vectors; j++)
		acc[i][j] = (vf){0};
	for (int64_t p = 0; p < depth; p++) {
		vf row[TILE_VECTORS];
		UNROLL for (int j = 0; j < vectors; j++) row[j] = load(b + p * PANEL + j * LANES);
		UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < vectors; j++)
			acc[i][j] += a[i * TILE_STRIDE + p] * row[j];
	}
	UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < vectors; j++)
		store(c + i * ldc + j * LANES, acc[i][j] + load((start ? start : c + i * ldc) + j * LANES));
}

// tile_rows is tile of up to TILE_ROWS rows.
INLINE void tile_rows(int64_t rows, const int vectors, float *c, int64_t ldc, const float *a,
	const float *b, const float *start, int64_t depth)
{
	switch (rows) {
#define ROWS(n)                                                                                   \
	case n:                                                                                       \
		tile(n, vectors, c, ldc, a, b, start, depth);                                             \
		break;
		ROWS(1) ROWS(2) ROWS(3) ROWS(4)
#if TILE_ROWS > 4
		ROWS(5) ROWS(6)
#endif
#if TILE_ROWS > 6
		ROWS(7) ROWS(8) ROWS(9) ROWS(10) ROWS(11) ROWS(12)
#endif
	}
}

// tiles multiplies up to TILE_ROWS rows, a [rows][TILE_STRIDE], with one panel, for its first
// columns columns.
static void tiles(float *c, int64_t ldc, const float *a, const float *b, const float *start,
	int64_t rows, int64_t columns, int64_t depth)
{
	float edge[TILE_ROWS * PANEL];
	for (int64_t j = 0; j < columns; j += TILE_WIDTH) {
		int64_t n = columns - j;
		const int narrow = n <= LANES;
		int64_t width = narrow ? LANES : TILE_WIDTH;
		float *out = c + j;
		int64_t ld = ldc;
		if (n < width) {
			out = edge;
			ld = PANEL;
			if (!start)
				for (int64_t i = 0; i < rows; i++)
					memcpy(edge + i * PANEL, c + i * ldc + j, 4 * n);
		}
		if (narrow)
			tile_rows(rows, 1, out, ld, a, b + j, start ? start + j : start, depth);
		else
			tile_rows(rows, TILE_VECTORS, out, ld, a, b + j, start ? start + j : start, depth);
		if (n < width)
			for (int64_t i = 0; i < rows; i++)
				memcpy(c + i * ldc + j, edge + i * PANEL, 4 * n);
	}
}

// copy_rows fetches a block of the left operand from a matrix.
INLINE void copy_rows(float *dst, const float *a, int64_t lda, int64_t rows, int64_t depth)
{
	for (int64_t i = 0; i < rows; i++)
		memcpy(dst + i * TILE_STRIDE, a + i * lda, 4 * depth);
}

// copy_patches fetches elements k to k + depth of the patches of pixels first to first + rows. In
// each row of the kernel, a patch is kw·c consecutive floats of the image.
static void copy_patches(float *dst, const float *x, const struct window *win, int64_t first,
	int64_t rows, int64_t k, int64_t depth)
{
	int64_t run = win->kw * win->c, line = win->w * win->c;
	for (int64_t i = 0; i < rows; i++, dst += TILE_STRIDE) {
		int64_t pixel = first + i, ox = pixel % win->ow, rest = pixel / win->ow;
		int64_t oy = rest % win->oh, image = rest / win->oh;
		int64_t left = (ox * win->stride - win->left) * win->c;
		for (int64_t done = 0; done < depth;) {
			int64_t ky = (k + done) / run, from = (k + done) % run;
			int64_t n = run - from < depth - done ? run - from : depth - done;
			int64_t y = oy * win->stride - win->top + ky;
			int64_t start = left + from, stop = start + n; // in the line
			int64_t lo = start < 0 ? 0 : start, hi = stop > line ? line : stop;
			if (y < 0 || y >= win->h || lo >= hi) {
				memset(dst + done, 0, 4 * n);
			} else {
				if (lo > start)
					memset(dst + done, 0, 4 * (lo - start));
				memcpy(dst + done + (lo - start), x + (image * win->h + y) * line + lo,
					4 * (hi - lo));
				if (stop > hi)
					memset(dst + done + (hi - start), 0, 4 * (stop - hi));
			}
			done += n;
		}
	}
}

static void pack_weights(float *dst, const void *src, int type, int64_t columns, int64_t channels,
	int64_t taps)
{
	enum { BLOCK = 256, LD = BLOCK + 16 }; // see TILE_STRIDE
	static const int size[] = {4, 2, 2, 8};
	float rows[PANEL * LD];
	int64_t length = channels * taps, channel = 0, tap = 0;
	memset(rows, 0, sizeof rows);
	for (int64_t at = 0; at < length; at += BLOCK) {
		int64_t n = length - at < BLOCK ? length - at : BLOCK;
		for (int64_t j = 0; j < columns; j++)
			convert(rows + j * LD, (const char *)src + (j * length + at) * size[type], type, n);
		for (int64_t i = 0; i < n; i++) {
			float *out = dst + (tap * channels + channel) * PANEL;
			for (int j = 0; j < PANEL; j++)
				out[j] = rows[j * LD + i];
			if (++tap == taps) {
				tap = 0;
				channel++;
			}
		}
	}
}

// pack_block makes panels of b [depth][columns], or of its transpose, whose rows are ldb apart.
static void pack_block(float *dst, const float *b, int64_t ldb, int transposed, int64_t depth,
	int64_t columns)
{
	for (int64_t j = 0; j < columns; j += PANEL, dst += depth * PANEL) {
		int64_t n = columns - j < PANEL ? columns - j : PANEL;
		if (n < PANEL)
			memset(dst, 0, 4 * depth * PANEL);
		if (transposed)
			for (int64_t i = 0; i < n; i++)
				for (int64_t p = 0; p < depth; p++)
					dst[p * PANEL + i] = b[(j + i) * ldb + p];
		else
			for (int64_t p = 0; p < depth; p++)
				memcpy(dst + p * PANEL, b + p * ldb + j, 4 * n);
	}
}

// operands says where a product finds its operands: the left one is a matrix a, or patches of an
// image if window is set; the right one is packed, or packed here if scratch is set.
struct operands {
	const float *a, *b, *bias;
	const struct window *window;
	float *scratch;
	int64_t lda, ldb, first;
	int transposed, accumulate;
};

INLINE void multiply(float *c, int64_t ldc, const struct operands *o, int64_t m, int64_t n,
	int64_t k)
{
	static const float zeros[PANEL];
	float a[TILE_ROWS * TILE_STRIDE];
	int64_t row_tiles = (m + TILE_ROWS - 1) / TILE_ROWS;
	for (int64_t p = 0; p < k; p += DEPTH) {
		int64_t depth = k - p < DEPTH ? k - p : DEPTH;
		for (int64_t j = 0; j < n; j += WIDTH) {
			int64_t columns = n - j < WIDTH ? n - j : WIDTH;
			const float *b = o->b + j * k + p * PANEL;
			int64_t panel = k * PANEL;
			if (o->scratch) {
				const float *block = o->transposed ? o->b + j * o->ldb + p : o->b + p * o->ldb + j;
				pack_block(o->scratch, block, o->ldb, o->transposed, depth, columns);
				b = o->scratch;
				panel = depth * PANEL;
			}
			for (int64_t t = 0; t < row_tiles; t++) {
				int64_t i = t * m / row_tiles, rows = (t + 1) * m / row_tiles - i;
				if (o->window)
					copy_patches(a, o->a, o->window, o->first + i, rows, p, depth);
				else
					copy_rows(a, o->a + i * o->lda + p, o->lda, rows, depth);
				for (int64_t q = 0; q < columns; q += PANEL) {
					const float *start = o->bias ? o->bias + j + q : zeros;
					tiles(c + i * ldc + j + q, ldc, a, b + q / PANEL * panel,
						p > 0 || o->accumulate ? 0 : start, rows,
						columns - q < PANEL ? columns - q : PANEL, depth);
				}
			}
		}
	}
}

static void product_packed(float *c, int64_t ldc, const float *a, int64_t lda, const float *b,
	const float *bias, int64_t m, int64_t n, int64_t k)
{
	struct operands o = {.a = a, .lda = lda, .b = b, .bias = bias};
	multiply(c, ldc, &o, m, n, k);
}

static void product_window(float *c, int64_t ldc, const float *x, const struct window *window,
	int64_t first, const float *b, const float *bias, int64_t m, int64_t n)
{
	struct operands o = {.a = x, .window = window, .first = first, .b = b, .bias = bias};
	multiply(c, ldc, &o, m, n, window->kh * window->kw * window->c);
}

static void product(float *c, int64_t ldc, const float *a, int64_t lda, const float *b, int64_t ldb,
	int transposed, int accumulate, int64_t m, int64_t n, int64_t k, float *scratch)
{
	struct operands o = {.a = a, .lda = lda, .b = b, .ldb = ldb, .transposed = transposed,
		.accumulate = accumulate, .scratch = scratch};
	multiply(c, ldc, &o, m, n, k);
}
