// The kernels that Go calls. Each is compiled once per instruction set; cpu_use picks one.

#ifndef CPU_KERNELS_H
#define CPU_KERNELS_H

#include <stdint.h>

// A stored product operand is panels of PANEL columns: panel p holds, for every k, the elements
// [k][PANEL·p … PANEL·p + PANEL − 1] of the [k][n] matrix, with zeros past column n.
enum { PANEL = 32 };

// Floats of working memory that a product of unpacked operands needs: one block of its right
// operand.
enum { PRODUCT_SCRATCH = 384 * 256 };

// Storage types of weights.
enum { STORED_F32, STORED_F16, STORED_BF16, STORED_F64 };

// A convolution as a product: row (image, y, x) of the left operand is the kh·kw·c patch of the
// input [n, h, w, c] under output pixel (y, x) of [n, oh, ow].
struct window {
	int64_t h, w, c, oh, ow, kh, kw, stride, top, left;
};

struct kernels {
#define KERNEL(name, parameters, arguments) void(*name) parameters;
#include "kernel_list.h"
#undef KERNEL
};

#define KERNEL(name, parameters, arguments) void cpu_##name parameters;
#include "kernel_list.h"
#undef KERNEL

// cpu_use chooses the instruction set with the longest vectors that the machine has, of at most
// lanes floats, and returns their length. No kernel may be running.
int cpu_use(int lanes);

#endif
