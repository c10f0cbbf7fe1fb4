// The function of Accelerate that ldm/cpu uses, written from public facts. With
// ACCELERATE_NEW_LAPACK, macOS 13.3's interface, its symbol ends in $NEWLAPACK and its integers are
// ints, or longs where ACCELERATE_LAPACK_ILP64 is defined too.

#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#if !defined(ACCELERATE_NEW_LAPACK) || defined(ACCELERATE_LAPACK_ILP64)
#error "these stubs know the interface of ACCELERATE_NEW_LAPACK with ints alone"
#endif

typedef int __LAPACK_int;

enum CBLAS_ORDER { CblasRowMajor = 101, CblasColMajor = 102 };
typedef enum CBLAS_ORDER CBLAS_ORDER;
enum CBLAS_TRANSPOSE { CblasNoTrans = 111, CblasTrans = 112, CblasConjTrans = 113 };
typedef enum CBLAS_TRANSPOSE CBLAS_TRANSPOSE;

void cblas_sgemm(const enum CBLAS_ORDER order, const enum CBLAS_TRANSPOSE transa,
	const enum CBLAS_TRANSPOSE transb, const __LAPACK_int m, const __LAPACK_int n,
	const __LAPACK_int k, const float alpha, const float *_Nullable a, const __LAPACK_int lda,
	const float *_Nullable b, const __LAPACK_int ldb, const float beta, float *_Nullable c,
	const __LAPACK_int ldc) __asm__("_cblas_sgemm$NEWLAPACK");
