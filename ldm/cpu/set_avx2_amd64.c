//go:build cgo

// The kernels for x86-64 processors with 256-bit vectors.

#define TILE_ROWS 6
#define TILE_VECTORS 2
#define LANES 8
#define TARGET "avx2,fma"
#define SET cpu_kernels_avx2
#include "set.h"
