// Stands for <metal_stdlib>: the first thing in every kernel file that the rewriter made.
// SM_STRICT makes the address spaces part of the types; nothing can run then.
// SM_CHECKED says that loads and stores are instrumented.
#pragma once
#include "atomic.h"
#include "kernel.h"
#include "math.h"
#include "matrix.h"
#include "simd.h"
#include "types.h"
#include "vector.h"

// Words that MSL does not have: any use is an error that names the word.
#pragma GCC poison double goto throw try catch virtual dynamic_cast typeid thread_local new delete
