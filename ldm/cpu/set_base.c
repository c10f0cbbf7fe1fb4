//go:build cgo

// The kernels for any machine: SSE2 on x86-64, NEON on arm64.

#if defined(__aarch64__)
#define TILE_ROWS 6
#define TILE_VECTORS 4
#else
#define TILE_ROWS 4
#define TILE_VECTORS 2
#endif
#define LANES 4
#define SET cpu_kernels_base
#include "set.h"
