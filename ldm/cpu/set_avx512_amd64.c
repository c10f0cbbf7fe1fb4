//go:build cgo

// The kernels for x86-64 processors with 512-bit vectors.

#define TILE_ROWS 12
#define TILE_VECTORS 2
#define LANES 16
#define TARGET "avx2,fma,avx512f,avx512dq,avx512bw,avx512vl"
#define SET cpu_kernels_avx512
#include "set.h"
