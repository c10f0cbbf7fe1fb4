// What kernels ask of the executor. Everything here is private to one library.
#pragma once
#include "library.h"

// Where in the kernels' source something is called.
struct sm_site {
	const char *file;
	uint32_t line;
};
#define SM_SITE sm_site{__builtin_FILE(), __builtin_LINE()}

// What the threads of a threadgroup share: built-in arguments and bindings.
struct sm_group {
	uint32_t position[3];
	uint32_t threads_per_threadgroup[3], threadgroups_per_grid[3], threads_per_grid[3];
	uint32_t simdgroups;
	void *buffers[SM_MAX_BUFFERS];      // by buffer(index)
	void *threadgroups[SM_MAX_BUFFERS]; // by threadgroup(index)
};

// A thread's own built-in arguments.
struct sm_thread {
	const sm_group *group;
	uint32_t position_in_grid[3], position_in_threadgroup[3];
	uint32_t index, lane, simdgroup;
};

// A resolver does a simdgroup operation for all lanes; lanes[i] is what lane i passed.
typedef void (*sm_resolver)(void *const *lanes);

extern "C" {

// The lane of the thread that runs now.
extern uint32_t sm_lane;

// Waits for the whole threadgroup, or for the simdgroup, and orders the memory named by flags.
enum { SM_MEMORY_DEVICE = 1, SM_MEMORY_THREADGROUP = 2 };
void sm_threadgroup_barrier(uint32_t flags, sm_site site);
void sm_simdgroup_barrier(uint32_t flags, sm_site site);

// Waits until all lanes of the simdgroup are here, then resolve runs once for all of them.
void sm_exchange(void *lane, sm_resolver resolve, sm_site site);

// Ends the dispatch with a fault in a simdgroup operation. For resolvers.
[[noreturn]] void sm_fault_collective(const char *what);

// The memory of a threadgroup variable, the same for every thread of the group; key tells it from
// others of its name.
void *sm_threadgroup_variable(const void *key, uint64_t size, uint64_t align, const char *name, sm_site site);

// Checks an atomic access, which neither races nor is seen by the compiler's instrumentation.
void sm_atomic_access(const volatile void *address, uint64_t size, sm_site site);

// Function constants of a library: set before each dispatch.
struct sm_function_constant {
	struct sm_constant_info info;
	void *value;
	bool *defined;
};

}

// Made by the rewriter at the end of each library.
extern "C" const sm_kernel sm_kernels[];
extern "C" const uint32_t sm_kernel_count;
extern "C" const sm_function_constant sm_function_constants[];
extern "C" const uint32_t sm_function_constant_count;
extern "C" const bool sm_checked;
