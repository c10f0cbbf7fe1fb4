//go:build softmetal && linux && cgo

// This file multiplies matrices. The right factor is packed in panels of 16 columns, so that the
// innermost loop reads one row of a panel and multiplies it with one element of each of 6 rows of the
// left factor: 12 vectors of 8 sums, which fit the 16 registers of AVX2. On x86-64 the package is
// compiled for AVX2, FMA and F16C.

#include "product.h"
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 8, COLUMNS = 2 * WIDTH, ROWS = 6 };

typedef float wide __attribute__((vector_size(WIDTH * sizeof(float)), aligned(4)));
typedef _Float16 narrow __attribute__((vector_size(WIDTH * sizeof(_Float16)), aligned(2)));

struct soft_panels soft_pack(const float *b, size_t k, size_t n, size_t row, size_t column) {
	size_t panels = (n + COLUMNS - 1) / COLUMNS;
	struct soft_panels p = {calloc(panels * COLUMNS, k * sizeof(float)), k, n};
	if (p.data == NULL) abort();
	for (size_t at = 0; at < panels; at++) {
		size_t first = at * COLUMNS, count = n - first < COLUMNS ? n - first : COLUMNS;
		float *to = p.data + first * k;
		for (size_t i = 0; i < k; i++)
			for (size_t j = 0; j < count; j++) to[i * COLUMNS + j] = b[i * row + (first + j) * column];
	}
	return p;
}

void soft_panels_free(struct soft_panels p) {
	free(p.data);
}

static inline __attribute__((always_inline)) void rows(const float *a, size_t lead, size_t count, const float *panel, size_t k,
	float *sums, bool half) {
	wide sum[ROWS][2] = {0};
	for (size_t i = 0; i < k; i++) {
		wide b[2];
		memcpy(b, panel + i * COLUMNS, sizeof b);
		for (size_t r = 0; r < count; r++)
			for (size_t v = 0; v < 2; v++) {
				sum[r][v] += a[r * lead + i] * b[v];
				if (half) sum[r][v] = __builtin_convertvector(__builtin_convertvector(sum[r][v], narrow), wide);
			}
	}
	memcpy(sums, sum, count * sizeof sum[0]);
}

void soft_multiply(const float *a, size_t m, struct soft_panels b, float *c, bool half) {
	float sums[ROWS * COLUMNS];
	for (size_t first = 0; first < b.n; first += COLUMNS) {
		size_t columns = b.n - first < COLUMNS ? b.n - first : COLUMNS;
		const float *panel = b.data + first * b.k;
		for (size_t row = 0; row < m; row += ROWS) {
			size_t count = m - row < ROWS ? m - row : ROWS;
			const float *at = a + row * b.k;
			if (count == ROWS && half) rows(at, b.k, ROWS, panel, b.k, sums, true);
			else if (count == ROWS) rows(at, b.k, ROWS, panel, b.k, sums, false);
			else rows(at, b.k, count, panel, b.k, sums, half);
			for (size_t r = 0; r < count; r++)
				memcpy(c + (row + r) * b.n + first, sums + r * COLUMNS, columns * sizeof(float));
		}
	}
}

void soft_from_half(float *to, const void *from, size_t n) {
	const _Float16 *h = from;
	for (size_t i = 0; i < n; i++) to[i] = (float)h[i];
}

void soft_to_half(void *to, const float *from, size_t n) {
	_Float16 *h = to;
	for (size_t i = 0; i < n; i++) h[i] = (_Float16)from[i];
}

void soft_round_half(float *x, size_t n) {
	for (size_t i = 0; i < n; i++) x[i] = (float)(_Float16)x[i];
}
