// What a kernel library shows to the host that opened it. Both sides are of one source tree; the
// version guards against a library that an older tool left in a cache.
#pragma once
#include "softmetal_runtime.h"

#define SM_LIBRARY_VERSION 1
#define SM_LIBRARY_SYMBOL "sm_library_table_get"

struct sm_thread;

struct sm_kernel {
	struct sm_kernel_info info;
	void (*run)(const struct sm_thread *thread); // calls the kernel for one thread
};

struct sm_library_table {
	uint32_t version;
	uint32_t kernel_count;
	const struct sm_kernel *kernels;
	bool checked;
	// As sm_dispatch; *address is that of the faulty instruction, from the library's start, or 0.
	bool (*dispatch)(const struct sm_kernel *kernel, const struct sm_launch *launch,
	                 const struct sm_options *options, struct sm_fault *fault, uint64_t *address);
};
