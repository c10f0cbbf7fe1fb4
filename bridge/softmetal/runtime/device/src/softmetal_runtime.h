// The C interface of the software Metal's kernel runtime.
//
// A kernel library is a shared object that cmd/mslc made of .metal files; it carries its own
// executor, so libraries share nothing and two may hold kernels of one name. A dispatch runs every
// thread of every threadgroup on the calling thread and returns when all are done or at the first
// fault. One library runs one dispatch at a time: a second caller waits.
#ifndef SOFTMETAL_RUNTIME_H
#define SOFTMETAL_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
	SM_MAX_BUFFERS = 31,                // buffer argument slots 0 to 30, "Metal Feature Set Tables"
	SM_MAX_THREADGROUP_BYTES = 32768,   // static and dynamic together, same source
	SM_THREADGROUP_ALIGNMENT = 16,      // of setThreadgroupMemoryLength:atIndex:
	SM_MAX_THREADS_PER_THREADGROUP = 1024,
	SM_SIMDGROUP_THREADS = 32,
};

struct sm_library;
struct sm_kernel;

enum sm_argument_kind { SM_ARGUMENT_BUFFER, SM_ARGUMENT_THREADGROUP };

// An argument of a kernel that the host has to bind.
struct sm_argument {
	const char *name;
	uint32_t kind;  // enum sm_argument_kind
	uint32_t index; // of buffer(index) or threadgroup(index)
	uint32_t size;  // sizeof of what the pointer or reference points to, in bytes
	uint32_t align; // its alignment, in bytes
	bool read_only; // constant, or device const
	bool reference; // a reference: the binding holds at least size bytes
	bool (*exists)(void); // for the executor: whether the argument's function constant is true; NULL where it has none
};

enum sm_type {
	SM_TYPE_BOOL,
	SM_TYPE_CHAR,
	SM_TYPE_UCHAR,
	SM_TYPE_SHORT,
	SM_TYPE_USHORT,
	SM_TYPE_INT,
	SM_TYPE_UINT,
	SM_TYPE_HALF,
	SM_TYPE_FLOAT,
	SM_TYPE_OTHER, // a vector or a 64-bit integer: not for function constants of this project
};

// A function constant that a kernel depends on, directly or through what it calls.
struct sm_constant_info {
	const char *name;
	uint32_t index;
	uint32_t type;     // enum sm_type
	uint32_t size;     // in bytes
	bool required;     // false where the source asks is_function_constant_defined(name)
};

// What is known of a kernel before it runs. The pointers live as long as the library.
struct sm_kernel_info {
	const char *name;
	const struct sm_argument *arguments;
	const struct sm_constant_info *constants;
	uint32_t argument_count, constant_count;
	uint32_t max_threads; // per threadgroup: max_total_threads_per_threadgroup, else 1024
};

// Memory bound to buffer(index): a buffer from its offset to its end, or the bytes of setBytes.
struct sm_binding {
	void *bytes;
	uint64_t length;
	uint32_t index;
};

// The value of function_constant(index).
struct sm_constant {
	const void *value;
	uint32_t size; // in bytes; must be that of the constant's type
	uint32_t index;
};

struct sm_size { uint32_t x, y, z; };

// A dispatchThreadgroups: grid counts threadgroups, group counts threads of each.
struct sm_launch {
	const struct sm_binding *bindings;
	const struct sm_constant *constants;
	uint32_t binding_count, constant_count;
	struct sm_size grid, group;
	uint32_t threadgroup_bytes[SM_MAX_BUFFERS]; // length of threadgroup(i), 0 where unused
};

enum {
	SM_CHECK_BOUNDS = 1,        // accesses outside bound buffers and threadgroup memory, misalignment
	SM_CHECK_RACES = 2,         // unordered accesses of two threads to the same byte, one a write
	SM_CHECK_UNINITIALISED = 4, // reads of threadgroup memory that this threadgroup did not write
	SM_CHECK_ALL = 7,
};

struct sm_options {
	uint32_t seed;     // of the order of threads, simdgroups and threadgroups; 0 is ascending
	uint32_t checkers; // SM_CHECK_ bits; others than 0 need a library compiled with mslc -check
};

enum sm_fault_kind {
	SM_FAULT_NONE,
	SM_FAULT_LAUNCH,        // the dispatch itself is wrong: bindings, constants, sizes
	SM_FAULT_BOUNDS,
	SM_FAULT_ALIGNMENT,
	SM_FAULT_RACE,
	SM_FAULT_UNINITIALISED,
	SM_FAULT_BARRIER,       // a barrier that not every thread of the group reaches
	SM_FAULT_COLLECTIVE,    // a simdgroup operation that not all 32 threads reach
	SM_FAULT_MEMORY,        // threadgroup memory above the limit
	SM_FAULT_ARITHMETIC,    // an integer division by zero
};

// What went wrong first. Fields that do not apply are 0 or empty.
struct sm_fault {
	uint32_t kind;             // enum sm_fault_kind
	uint32_t line;             // 0 where unknown
	struct sm_size threadgroup, thread; // positions in the grid and in the threadgroup
	int32_t other;             // index in its threadgroup of the second thread, -1 where none
	uint64_t offset, bytes;    // of the access: offset in the buffer or variable, and its length
	char kernel[64], file[192];
	char message[512];         // the whole of it as one sentence, with kernel, thread, file and line
};

// Opens a library that mslc made. NULL on failure, with the reason in error. Close it once.
struct sm_library *sm_library_open(const char *path, char *error, size_t error_size);
void sm_library_close(struct sm_library *library);

// Whether the library was compiled with -check.
bool sm_library_checked(const struct sm_library *library);

// The kernels of a library, in the order of the source.
uint32_t sm_library_functions(const struct sm_library *library);
const struct sm_kernel *sm_library_function(const struct sm_library *library, uint32_t index);

// The kernel of that name, or NULL. Kernels belong to the library.
const struct sm_kernel *sm_kernel_find(const struct sm_library *library, const char *name);
struct sm_kernel_info sm_kernel_info(const struct sm_kernel *kernel);

// Runs a kernel. Returns whether it ended without a fault; else *fault says which.
bool sm_dispatch(struct sm_library *library, const struct sm_kernel *kernel, const struct sm_launch *launch,
                 const struct sm_options *options, struct sm_fault *fault);

#ifdef __cplusplus
}
#endif
#endif
