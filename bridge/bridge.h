/* The C interface to Metal: one function per thing that Metal does, over opaque handles.
 *
 * Ownership: what a _new, _open or _begin returns is the caller's and is released once by the
 * matching _free, which allows NULL. Metal's command buffers retain what they use, so a handle
 * may be freed while the device still works on it. Nothing is kept of a pointer after a call
 * returns, except by mtl_buffer_wrap. Each function is one autorelease pool and returns no
 * autoreleased object.
 *
 * Errors: a function that can fail returns NULL for success, else an error that the caller
 * frees; its results come through the last parameters and are unchanged when it fails.
 *
 * Arguments: the caller, package bridge, has checked what this header asks of them: neither Metal
 * without its validation layer nor MPSGraph, which ends the process, does it in time.
 *
 * Sizes and offsets are in bytes unless said otherwise. A device and what is made from it serve
 * one thread at a time; which one does not matter. */
#ifndef LDM_MAC_BRIDGE_H
#define LDM_MAC_BRIDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mtl_error *mtl_error_t;
typedef struct mtl_device *mtl_device_t;     /* MTLDevice and one MTLCommandQueue */
typedef struct mtl_heap *mtl_heap_t;         /* MTLHeap of type placement */
typedef struct mtl_buffer *mtl_buffer_t;     /* MTLBuffer in shared storage */
typedef struct mtl_library *mtl_library_t;   /* MTLLibrary */
typedef struct mtl_archive *mtl_archive_t;   /* MTLBinaryArchive */
typedef struct mtl_pipeline *mtl_pipeline_t; /* MTLComputePipelineState */
typedef struct mtl_graph *mtl_graph_t;       /* MPSGraphExecutable */
typedef struct mtl_event *mtl_event_t;       /* MTLSharedEvent */
typedef struct mtl_commands *mtl_commands_t; /* MPSCommandBuffer */

/* Handles of every kind but errors that were made and not yet freed, in this process. */
int64_t mtl_live_objects(void);

/* Errors */

enum mtl_error_kind {
	MTL_ERROR_OTHER = 0,
	MTL_ERROR_NO_DEVICE = 1,
	MTL_ERROR_OUT_OF_MEMORY = 2, /* a buffer or heap was refused, or a command buffer ran out */
};

/* One line or, for a compiler's messages, several; starts with Apple's domain and code where
 * there is an NSError: "MTLCommandBufferErrorDomain 8: ...". Valid until the error is freed. */
const char *mtl_error_message(mtl_error_t);
enum mtl_error_kind mtl_error_kind(mtl_error_t);
void mtl_error_free(mtl_error_t);

/* Device */

struct mtl_device_info {
	char name[128];             /* "Apple M3 Max" */
	char architecture[64];      /* "applegpu_g15s" on macOS 14 and later, else empty */
	uint64_t max_buffer;        /* MTLDevice.maxBufferLength */
	uint64_t working_set;       /* MTLDevice.recommendedMaxWorkingSetSize */
	uint64_t allocated;         /* MTLDevice.currentAllocatedSize, at the time of the call */
	uint64_t threadgroup_memory;/* MTLDevice.maxThreadgroupMemoryLength */
	uint64_t heap_alignment;    /* of offsets in a heap, for a buffer of 1 MiB */
	int32_t apple_family;       /* 7 for M1, 8 for M2, 9 for M3 and M4; 0 when below 7 */
	bool unified_memory;
};

mtl_error_t mtl_device_open(mtl_device_t *out);
void mtl_device_info(mtl_device_t, struct mtl_device_info *out);
void mtl_device_free(mtl_device_t);

/* Memory. len > 0. */

/* Zero-filled. */
mtl_error_t mtl_buffer_new(mtl_device_t, size_t len, mtl_buffer_t *out);
/* No copy: mem and len are multiples of the page size, mem is C memory or a mapping, of one
 * allocation, which the caller keeps until the buffer is freed and no command uses it. */
mtl_error_t mtl_buffer_wrap(mtl_device_t, void *mem, size_t len, mtl_buffer_t *out);
/* A heap whose buffers may overlap: what was written through one is what another, that begins
 * at the same place, reads. Accesses of commands to overlapping buffers are ordered as encoded. */
mtl_error_t mtl_heap_new(mtl_device_t, size_t len, mtl_heap_t *out);
/* Not zero-filled. offset is a multiple of the device's heap_alignment. */
mtl_error_t mtl_heap_buffer(mtl_heap_t, size_t offset, size_t len, mtl_buffer_t *out);
void mtl_heap_free(mtl_heap_t); /* its buffers keep the memory alive */
void *mtl_buffer_contents(mtl_buffer_t); /* valid until the buffer is freed */
void mtl_buffer_free(mtl_buffer_t);

/* Kernels */

/* Compiles MSL 3.0 source text; the error has the compiler's messages with line numbers. */
mtl_error_t mtl_library_new(mtl_device_t, const char *source, size_t len, mtl_library_t *out);
void mtl_library_free(mtl_library_t);

/* Compiled pipelines kept in a file. path that does not exist gives an empty archive; one that
 * Metal cannot read (another OS, another device, damage) is an error. */
mtl_error_t mtl_archive_open(mtl_device_t, const char *path, mtl_archive_t *out);
/* Writes the archive to path if a pipeline was added since it was opened or saved. */
mtl_error_t mtl_archive_save(mtl_archive_t, const char *path);
void mtl_archive_free(mtl_archive_t);

enum mtl_constant_type { /* MTLDataType's values */
	MTL_CONSTANT_FLOAT = 3,
	MTL_CONSTANT_INT = 29,
	MTL_CONSTANT_UINT = 33,
	MTL_CONSTANT_BOOL = 53,
};

struct mtl_constant { /* [[function_constant(index)]] */
	uint32_t index;
	uint32_t type; /* enum mtl_constant_type */
	uint32_t bits; /* the value's four bytes; 0 or 1 for bool */
};

/* archive may be NULL; else the pipeline is taken from it, or added. */
mtl_error_t mtl_pipeline_new(mtl_library_t, const char *function, const struct mtl_constant *constants,
	size_t count, mtl_archive_t archive, mtl_pipeline_t *out);
/* simd_width: threads that run in step (32); max_threads: the most in a threadgroup;
 * threadgroup_memory: bytes that the kernel itself declares. */
void mtl_pipeline_info(mtl_pipeline_t, uint32_t *simd_width, uint32_t *max_threads, uint32_t *threadgroup_memory);
void mtl_pipeline_free(mtl_pipeline_t);

/* Graphs: matrix products and convolutions of MPSGraph, compiled for one shape. Their operands
 * begin at offset 0 of their buffers: MPSGraphTensorData takes no offset. */

enum mtl_dtype { MTL_F32 = 0, MTL_F16 = 1 };

/* [batch, m, k] x [batch, k, n] (or [batch, n, k] when transpose_b) + bias [n] = [batch, m, n].
 * Operands: a, b, then the bias if there is one. */
struct mtl_matmul_desc {
	uint32_t batch, m, n, k;
	uint32_t a_type; /* enum mtl_dtype: of a and of the result */
	uint32_t b_type; /* of b and the bias */
	bool transpose_b, bias;
	bool upcast; /* operands are cast to fp32 for the product; so are they where types differ */
};

/* NHWC data [n, h, w, c], OIHW weights [out, c, kernel_h, kernel_w], bias [out], result
 * [n, oh, ow, out] with oh = (h + top + bottom - kernel_h) / stride + 1, likewise ow.
 * Operands: data, weights, then the bias if there is one. */
struct mtl_conv2d_desc {
	uint32_t n, h, w, c, out, kernel_h, kernel_w, stride;
	uint32_t top, bottom, left, right; /* rows and columns of zeros */
	uint32_t data_type;   /* enum mtl_dtype: of data and result */
	uint32_t weight_type; /* of weights and bias */
	bool bias, upcast;    /* as for the product */
};

mtl_error_t mtl_matmul_new(mtl_device_t, const struct mtl_matmul_desc *, mtl_graph_t *out);
mtl_error_t mtl_conv2d_new(mtl_device_t, const struct mtl_conv2d_desc *, mtl_graph_t *out);
void mtl_graph_free(mtl_graph_t);

/* Events: numbers that only grow, from 0, for commands to wait for. */

mtl_error_t mtl_event_new(mtl_device_t, mtl_event_t *out);
/* Raises the event to value, unless it is there already. What the caller wrote before is what commands
 * that wait for the value see. */
void mtl_event_signal(mtl_event_t, uint64_t value);
void mtl_event_free(mtl_event_t);

/* Commands: encoded in order, each after what the ones before it wrote. After the first error
 * the commands can only be freed. */

struct mtl_binding {
	mtl_buffer_t buffer;
	uint64_t offset; /* a multiple of 4 */
};

struct mtl_size {
	uint32_t x, y, z;
};

enum {
	MTL_MAX_ARGS = 4095,   /* bytes of setBytes:length:atIndex:, "smaller than 4 kilobytes" */
	MTL_MAX_BINDINGS = 30, /* buffer indices 1 to 30 */
};

/* label is seen in Apple's tools and in error messages. */
mtl_error_t mtl_commands_begin(mtl_device_t, const char *label, mtl_commands_t *out);
/* args go to buffer(0) unless args_len is 0, bindings to buffer(1), buffer(2), ... A binding
 * without a buffer leaves its index unbound. threadgroup_memory, a multiple of 16, is the length
 * of threadgroup(0). grid counts threadgroups, group the threads in one. */
mtl_error_t mtl_commands_dispatch(mtl_commands_t, mtl_pipeline_t, const void *args, size_t args_len,
	const struct mtl_binding *bindings, size_t count, uint32_t threadgroup_memory,
	struct mtl_size grid, struct mtl_size group);
/* operands as the graph's descriptor says, each at the start of a buffer that holds it whole. */
mtl_error_t mtl_commands_graph(mtl_commands_t, mtl_graph_t, const mtl_buffer_t *operands, mtl_buffer_t result);
mtl_error_t mtl_commands_copy(mtl_commands_t, struct mtl_binding from, struct mtl_binding to, size_t len);
/* What is encoded from here on runs when the event has reached value. Until then nothing runs that is
 * committed to the device later. */
void mtl_commands_wait_event(mtl_commands_t, mtl_event_t, uint64_t value);
/* How many command buffers MPSGraph has committed on its own while graphs were encoded: what was
 * encoded before they were may run already. */
size_t mtl_commands_submitted(mtl_commands_t);
/* Hands the commands to the device and returns at once. */
void mtl_commands_commit(mtl_commands_t);
/* Waits for committed commands and reports what went wrong on the device. gpu_seconds is the
 * device's time between start and end. May be called again. */
mtl_error_t mtl_commands_wait(mtl_commands_t, double *gpu_seconds);
/* Commands that were not committed are dropped; those that were, by MPSGraph too, are waited for, so
 * that events they wait for are signalled before. */
void mtl_commands_free(mtl_commands_t);

#endif
