// Products of matrices of float32, and float16 conversion, for the MPSGraph stand-in.
#ifndef SOFTMETAL_PRODUCT_H
#define SOFTMETAL_PRODUCT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The right factor in the order in which soft_multiply reads it.
struct soft_panels {
	float *data;
	size_t k, n;
};

// Element (i, j) of the k x n factor is b[i * row + j * column].
struct soft_panels soft_pack(const float *b, size_t k, size_t n, size_t row, size_t column);
void soft_panels_free(struct soft_panels);

// c[m][n] = a[m][k] x b. half rounds every partial sum to float16, as hardware that adds in float16
// does; else sums are of float32.
void soft_multiply(const float *a, size_t m, struct soft_panels b, float *c, bool half);

void soft_from_half(float *to, const void *from, size_t n);
void soft_to_half(void *to, const float *from, size_t n);
void soft_round_half(float *x, size_t n); // to the nearest float16

#endif
