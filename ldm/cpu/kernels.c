//go:build cgo

// This file forwards each kernel to one instruction set.

#include "kernels.h"

extern const struct kernels cpu_kernels_base;
#if defined(__x86_64__)
extern const struct kernels cpu_kernels_avx2, cpu_kernels_avx512;
#endif

static const struct kernels *kernels = &cpu_kernels_base;

int cpu_use(int lanes)
{
	(void)lanes;
#if defined(__x86_64__)
	__builtin_cpu_init();
	if (lanes >= 16 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
		__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
		kernels = &cpu_kernels_avx512;
		return 16;
	}
	if (lanes >= 8 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
		kernels = &cpu_kernels_avx2;
		return 8;
	}
#endif
	kernels = &cpu_kernels_base;
	return 4;
}

#define KERNEL(name, parameters, arguments)                                                       \
	void cpu_##name parameters { kernels->name arguments; }
#include "kernel_list.h"
