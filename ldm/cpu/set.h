// All kernels for one instruction set. The including file defines LANES, the floats of a vector;
// TILE_ROWS and TILE_VECTORS, the size of a product's tile in registers; SET, the name of the
// table; and TARGET, the compiler's name of the set unless it is the default.

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels.h"

#define TEXT(x) #x
#define PRAGMA(x) _Pragma(TEXT(x))

#if defined(TARGET) && defined(__clang__)
PRAGMA(clang attribute push(__attribute__((target(TARGET))), apply_to = function))
#elif defined(TARGET)
PRAGMA(GCC target(TARGET))
#endif

#include "vector.h"

#include "elementwise.h"
#include "norm.h"
#include "convert.h"
#ifndef CPU_BLAS
#include "product.h"
#endif

#define KERNEL(name, parameters, arguments) .name = name,
const struct kernels SET = {
#include "kernel_list.h"
};

#if defined(TARGET) && defined(__clang__)
#pragma clang attribute pop
#endif
