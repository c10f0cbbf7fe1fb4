//go:build (darwin || softmetal) && cgo

// This file implements bridge.h. It is all of the project's Objective-C that runs on a Mac.
//
// Objects are counted by hand, through KEEP and DROP, so that the file is right with and without
// ARC. Handles are C structs that own the objects in them. There are no blocks, no subscripts and
// no messages to bare id: GNUstep's runtime lacks the first two, and the checks of the darwin build
// need to know each receiver's class.

#import <Foundation/Foundation.h>
#import <Metal/Metal.h>
#import <MetalPerformanceShaders/MetalPerformanceShaders.h>
#import <MetalPerformanceShadersGraph/MetalPerformanceShadersGraph.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bridge.h"

#if __has_feature(objc_arc)
#define KEEP(object) (object)
#define DROP(object) ((void)((object) = nil))
#else
#define KEEP(object) [(object) retain]
#define DROP(object) ((void)([(object) release], (object) = nil))
#endif

struct mtl_error {
	enum mtl_error_kind kind;
	char *message;
};

struct mtl_device {
	id<MTLDevice> device;
	id<MTLCommandQueue> queue;
};

struct mtl_heap {
	id<MTLDevice> device;
	id<MTLHeap> heap;
};

struct mtl_buffer {
	id<MTLBuffer> buffer;
};

struct mtl_library {
	id<MTLDevice> device;
	id<MTLLibrary> library;
};

struct mtl_archive {
	id<MTLBinaryArchive> archive;
	bool changed; // since it was opened or saved
};

struct mtl_pipeline {
	id<MTLComputePipelineState> state;
};

enum { MAX_OPERANDS = 3 };

// A tensor as a graph sees it: the shape and type of a whole buffer.
struct operand {
	MPSShape *shape;
	MPSDataType type;
};

struct mtl_graph {
	MPSGraphExecutable *executable;
	struct operand operands[MAX_OPERANDS], result;
	size_t count;
	size_t feeds[MAX_OPERANDS]; // the executable's feed i is operand feeds[i]
};

struct mtl_event {
	id<MTLSharedEvent> event;
};

struct mtl_commands {
	MPSCommandBuffer *buffer;
	id<MTLComputeCommandEncoder> encoder; // open, or nil
	id<MTLCommandBuffer> current;         // what buffer encodes to
	NSMutableArray<id<MTLCommandBuffer>> *submitted; // by MPSGraph on its own, while it encoded
	size_t bound; // indices of encoder that may hold a buffer
	bool committed;
};

// Handles

static int64_t live; // handles made and not unmade

static void *make(size_t size) {
	void *handle = calloc(1, size);
	if (handle == NULL) abort(); // a few dozen bytes
	__atomic_add_fetch(&live, 1, __ATOMIC_SEQ_CST);
	return handle;
}

static void unmake(void *handle) {
	free(handle);
	__atomic_sub_fetch(&live, 1, __ATOMIC_SEQ_CST);
}

int64_t mtl_live_objects(void) {
	return __atomic_load_n(&live, __ATOMIC_SEQ_CST);
}

// Errors

static mtl_error_t fail(enum mtl_error_kind kind, const char *format, ...) __attribute__((format(printf, 2, 3)));

static mtl_error_t fail(enum mtl_error_kind kind, const char *format, ...) {
	va_list arguments;
	va_start(arguments, format);
	char *message = NULL;
	if (vasprintf(&message, format, arguments) < 0) abort();
	va_end(arguments);
	mtl_error_t e = calloc(1, sizeof *e);
	if (e == NULL) abort();
	e->kind = kind;
	e->message = message;
	return e;
}

// failed is the error for what Metal refused; e may be nil.
static mtl_error_t failed(NSError *e, const char *otherwise) {
	if (e == nil) return fail(MTL_ERROR_OTHER, "%s", otherwise);
	bool memory = [[e domain] isEqualToString:MTLCommandBufferErrorDomain] && [e code] == MTLCommandBufferErrorOutOfMemory;
	return fail(memory ? MTL_ERROR_OUT_OF_MEMORY : MTL_ERROR_OTHER, "%s %ld: %s", [[e domain] UTF8String], (long)[e code],
		[[e localizedDescription] UTF8String]);
}

static mtl_error_t raised(NSException *e) {
	return fail(MTL_ERROR_OTHER, "%s: %s", [[e name] UTF8String], [[e reason] UTF8String]);
}

const char *mtl_error_message(mtl_error_t e) {
	return e->message;
}

enum mtl_error_kind mtl_error_kind(mtl_error_t e) {
	return e->kind;
}

void mtl_error_free(mtl_error_t e) {
	if (e == NULL) return;
	free(e->message);
	free(e);
}

// Device

mtl_error_t mtl_device_open(mtl_device_t *out) {
	@autoreleasepool {
		id<MTLDevice> device = MTLCreateSystemDefaultDevice();
		if (device == nil) return fail(MTL_ERROR_NO_DEVICE, "the system has none that this process may use");
		id<MTLCommandQueue> queue = [device newCommandQueue];
		if (queue == nil) {
			DROP(device);
			return fail(MTL_ERROR_OTHER, "the device gives no command queue");
		}
		mtl_device_t d = make(sizeof *d);
		d->device = device;
		d->queue = queue;
		*out = d;
		return NULL;
	}
}

void mtl_device_info(mtl_device_t d, struct mtl_device_info *out) {
	@autoreleasepool {
		memset(out, 0, sizeof *out);
		snprintf(out->name, sizeof out->name, "%s", [[d->device name] UTF8String]);
		snprintf(out->architecture, sizeof out->architecture, "%s", [[[d->device architecture] name] UTF8String]);
		out->max_buffer = [d->device maxBufferLength];
		out->working_set = [d->device recommendedMaxWorkingSetSize];
		out->allocated = [d->device currentAllocatedSize];
		out->threadgroup_memory = [d->device maxThreadgroupMemoryLength];
		out->heap_alignment = [d->device heapBufferSizeAndAlignWithLength:1 << 20 options:MTLResourceStorageModeShared].align;
		out->unified_memory = [d->device hasUnifiedMemory];
		for (int family = MTLGPUFamilyApple7; family <= MTLGPUFamilyApple9; family++)
			if ([d->device supportsFamily:(MTLGPUFamily)family]) out->apple_family = family - MTLGPUFamilyApple7 + 7;
	}
}

void mtl_device_free(mtl_device_t d) {
	if (d == NULL) return;
	@autoreleasepool {
		DROP(d->queue);
		DROP(d->device);
		unmake(d);
	}
}

// Memory

// owned makes a handle of a new buffer, which it takes over; nil is an error.
static mtl_error_t owned(id<MTLBuffer> buffer, size_t len, mtl_buffer_t *out) {
	if (buffer == nil) return fail(MTL_ERROR_OUT_OF_MEMORY, "the device refuses %zu bytes", len);
	mtl_buffer_t b = make(sizeof *b);
	b->buffer = buffer;
	*out = b;
	return NULL;
}

mtl_error_t mtl_buffer_new(mtl_device_t d, size_t len, mtl_buffer_t *out) {
	@autoreleasepool {
		return owned([d->device newBufferWithLength:len options:MTLResourceStorageModeShared], len, out);
	}
}

mtl_error_t mtl_buffer_wrap(mtl_device_t d, void *mem, size_t len, mtl_buffer_t *out) {
	@autoreleasepool {
		id<MTLBuffer> buffer = [d->device newBufferWithBytesNoCopy:mem length:len options:MTLResourceStorageModeShared deallocator:nil];
		// The virtual devices of CI machines return a buffer of length 0 (actions/runner-images#10663).
		if (buffer != nil && ([buffer length] < len || [buffer contents] != mem)) {
			DROP(buffer);
			return fail(MTL_ERROR_OTHER, "the device does not share memory that it did not allocate");
		}
		return owned(buffer, len, out);
	}
}

mtl_error_t mtl_heap_new(mtl_device_t d, size_t len, mtl_heap_t *out) {
	@autoreleasepool {
		MTLHeapDescriptor *descriptor = [MTLHeapDescriptor new];
		[descriptor setType:MTLHeapTypePlacement];
		[descriptor setStorageMode:MTLStorageModeShared];
		[descriptor setHazardTrackingMode:MTLHazardTrackingModeTracked]; // the default of heaps is none
		[descriptor setSize:[d->device heapBufferSizeAndAlignWithLength:len options:MTLResourceStorageModeShared].size];
		id<MTLHeap> heap = [d->device newHeapWithDescriptor:descriptor];
		DROP(descriptor);
		if (heap == nil) return fail(MTL_ERROR_OUT_OF_MEMORY, "the device refuses %zu bytes", len);
		mtl_heap_t h = make(sizeof *h);
		h->device = KEEP(d->device);
		h->heap = heap;
		*out = h;
		return NULL;
	}
}

mtl_error_t mtl_heap_buffer(mtl_heap_t h, size_t offset, size_t len, mtl_buffer_t *out) {
	@autoreleasepool {
		NSUInteger align = [h->device heapBufferSizeAndAlignWithLength:len options:MTLResourceStorageModeShared].align;
		if (offset % align != 0) return fail(MTL_ERROR_OTHER, "the offset is not a multiple of %lu", (unsigned long)align);
		return owned([h->heap newBufferWithLength:len options:MTLResourceStorageModeShared offset:offset], len, out);
	}
}

void mtl_heap_free(mtl_heap_t h) {
	if (h == NULL) return;
	@autoreleasepool {
		DROP(h->heap);
		DROP(h->device);
		unmake(h);
	}
}

void *mtl_buffer_contents(mtl_buffer_t b) {
	@autoreleasepool {
		return [b->buffer contents];
	}
}

void mtl_buffer_free(mtl_buffer_t b) {
	if (b == NULL) return;
	@autoreleasepool {
		DROP(b->buffer);
		unmake(b);
	}
}

// Kernels

mtl_error_t mtl_library_new(mtl_device_t d, const char *source, size_t len, mtl_library_t *out) {
	@autoreleasepool {
		NSString *text = [[NSString alloc] initWithBytes:source length:len encoding:NSUTF8StringEncoding];
		if (text == nil) return fail(MTL_ERROR_OTHER, "the source is not UTF-8");
		MTLCompileOptions *options = [MTLCompileOptions new];
		[options setLanguageVersion:MTLLanguageVersion3_0];
		NSError *e = nil;
		id<MTLLibrary> library = [d->device newLibraryWithSource:text options:options error:&e]; // e may be a warning
		DROP(options);
		DROP(text);
		if (library == nil) return failed(e, "the compiler gives no reason");
		mtl_library_t l = make(sizeof *l);
		l->device = KEEP(d->device);
		l->library = library;
		*out = l;
		return NULL;
	}
}

void mtl_library_free(mtl_library_t l) {
	if (l == NULL) return;
	@autoreleasepool {
		DROP(l->library);
		DROP(l->device);
		unmake(l);
	}
}

static NSURL *file(const char *path) {
	return [NSURL fileURLWithPath:[NSString stringWithUTF8String:path]];
}

mtl_error_t mtl_archive_open(mtl_device_t d, const char *path, mtl_archive_t *out) {
	@autoreleasepool {
		MTLBinaryArchiveDescriptor *descriptor = [MTLBinaryArchiveDescriptor new];
		if (access(path, F_OK) == 0) [descriptor setUrl:file(path)];
		NSError *e = nil;
		id<MTLBinaryArchive> archive = [d->device newBinaryArchiveWithDescriptor:descriptor error:&e];
		DROP(descriptor);
		if (archive == nil) return failed(e, "the device does not read it");
		mtl_archive_t a = make(sizeof *a);
		a->archive = archive;
		*out = a;
		return NULL;
	}
}

mtl_error_t mtl_archive_save(mtl_archive_t a, const char *path) {
	@autoreleasepool {
		if (!a->changed) return NULL;
		char part[4096];
		if (snprintf(part, sizeof part, "%s.%ld", path, (long)getpid()) >= (int)sizeof part)
			return fail(MTL_ERROR_OTHER, "the path is too long");
		NSError *e = nil;
		if (![a->archive serializeToURL:file(part) error:&e]) {
			unlink(part);
			return failed(e, "the device does not write it");
		}
		if (rename(part, path) != 0) {
			unlink(part);
			return fail(MTL_ERROR_OTHER, "%s cannot be renamed", part);
		}
		a->changed = false;
		return NULL;
	}
}

void mtl_archive_free(mtl_archive_t a) {
	if (a == NULL) return;
	@autoreleasepool {
		DROP(a->archive);
		unmake(a);
	}
}

// specialised returns a function with its constants set, retained, or nil.
static id<MTLFunction> specialised(mtl_library_t l, NSString *name, const struct mtl_constant *constants, size_t count, NSError **e) {
	if (count == 0) return [l->library newFunctionWithName:name];
	MTLFunctionConstantValues *values = [MTLFunctionConstantValues new];
	for (size_t i = 0; i < count; i++) // on a little-endian machine a bool is the first byte
		[values setConstantValue:&constants[i].bits type:(MTLDataType)constants[i].type atIndex:constants[i].index];
	id<MTLFunction> function = [l->library newFunctionWithName:name constantValues:values error:e];
	DROP(values);
	return function;
}

// built returns a pipeline, retained, or nil: from the archive if there is one and it has it.
static id<MTLComputePipelineState> built(mtl_library_t l, id<MTLFunction> function, mtl_archive_t a, NSError **e) {
	MTLComputePipelineDescriptor *descriptor = [MTLComputePipelineDescriptor new];
	[descriptor setComputeFunction:function];
	id<MTLComputePipelineState> state = nil;
	if (a != NULL) {
		[descriptor setBinaryArchives:@[ a->archive ]];
		state = [l->device newComputePipelineStateWithDescriptor:descriptor options:MTLPipelineOptionFailOnBinaryArchiveMiss reflection:NULL error:e];
	}
	if (state == nil) {
		state = [l->device newComputePipelineStateWithDescriptor:descriptor options:MTLPipelineOptionNone reflection:NULL error:e];
		// An archive that does not take the pipeline costs the next start its time, and nothing else.
		if (state != nil && a != NULL && [a->archive addComputePipelineFunctionsWithDescriptor:descriptor error:NULL]) a->changed = true;
	}
	DROP(descriptor);
	return state;
}

mtl_error_t mtl_pipeline_new(mtl_library_t l, const char *name, const struct mtl_constant *constants, size_t count,
	mtl_archive_t a, mtl_pipeline_t *out) {
	@autoreleasepool {
		NSError *e = nil;
		id<MTLFunction> function = specialised(l, [NSString stringWithUTF8String:name], constants, count, &e);
		if (function == nil) return failed(e, "the library has no such kernel, or the kernel needs constants");
		id<MTLComputePipelineState> state = built(l, function, a, &e);
		DROP(function);
		if (state == nil) return failed(e, "the device gives no reason");
		mtl_pipeline_t p = make(sizeof *p);
		p->state = state;
		*out = p;
		return NULL;
	}
}

void mtl_pipeline_info(mtl_pipeline_t p, uint32_t *simd_width, uint32_t *max_threads, uint32_t *threadgroup_memory) {
	@autoreleasepool {
		*simd_width = (uint32_t)[p->state threadExecutionWidth];
		*max_threads = (uint32_t)[p->state maxTotalThreadsPerThreadgroup];
		*threadgroup_memory = (uint32_t)[p->state staticThreadgroupMemoryLength];
	}
}

void mtl_pipeline_free(mtl_pipeline_t p) {
	if (p == NULL) return;
	@autoreleasepool {
		DROP(p->state);
		unmake(p);
	}
}

// Graphs

// A graph that is being built: [a or data, b or weights] and perhaps a bias.
struct draft {
	MPSGraph *graph;
	struct operand operands[MAX_OPERANDS], result;
	size_t count;
	NSArray<MPSGraphTensor *> *inputs; // count placeholders
	MPSGraphTensor *first, *second;    // the operands in the type in which they are multiplied
};

static struct operand tensor(MPSShape *shape, uint32_t type) {
	struct operand o = {shape, type == MTL_F16 ? MPSDataTypeFloat16 : MPSDataTypeFloat32};
	return o;
}

// cast returns t as type, which it may be already.
static MPSGraphTensor *cast(MPSGraph *g, MPSGraphTensor *t, MPSDataType type) {
	return [t dataType] == type ? t : [g castTensor:t toType:type name:nil];
}

// start makes the placeholders. Operands of two types are multiplied in float32.
static void start(struct draft *n, bool upcast) {
	NSMutableArray<MPSGraphTensor *> *inputs = [NSMutableArray array];
	for (size_t i = 0; i < n->count; i++)
		[inputs addObject:[n->graph placeholderWithShape:n->operands[i].shape dataType:n->operands[i].type name:nil]];
	MPSDataType type = n->operands[0].type;
	if (upcast || n->operands[1].type != type) type = MPSDataTypeFloat32;
	n->inputs = inputs;
	n->first = cast(n->graph, [inputs objectAtIndex:0], type);
	n->second = cast(n->graph, [inputs objectAtIndex:1], type);
}

// finish adds the bias, if there is one, and compiles the graph.
static mtl_error_t finish(mtl_device_t d, const struct draft *n, MPSGraphTensor *product, mtl_graph_t *out) {
	if (product == nil) return fail(MTL_ERROR_OTHER, "MPSGraph does not take these sizes");
	if (n->count == MAX_OPERANDS) {
		MPSGraphTensor *bias = cast(n->graph, [n->inputs objectAtIndex:2], [product dataType]);
		product = [n->graph additionWithPrimaryTensor:product secondaryTensor:bias name:nil];
	}
	product = cast(n->graph, product, n->result.type);
	NSMutableDictionary<MPSGraphTensor *, MPSGraphShapedType *> *feeds = [NSMutableDictionary dictionary];
	for (size_t i = 0; i < n->count; i++) {
		MPSGraphShapedType *type = [[MPSGraphShapedType alloc] initWithShape:n->operands[i].shape dataType:n->operands[i].type];
		[feeds setObject:type forKey:[n->inputs objectAtIndex:i]];
		DROP(type);
	}
	MPSGraphCompilationDescriptor *descriptor = [MPSGraphCompilationDescriptor new];
	[descriptor setOptimizationLevel:MPSGraphOptimizationLevel0]; // level 1 may move work to the Neural Engine
	MPSGraphExecutable *executable = [n->graph compileWithDevice:[MPSGraphDevice deviceWithMTLDevice:d->device] feeds:feeds
		targetTensors:@[ product ] targetOperations:nil compilationDescriptor:descriptor];
	DROP(descriptor);
	NSArray<MPSGraphTensor *> *order = [executable feedTensors];
	if ([order count] != n->count) return fail(MTL_ERROR_OTHER, "MPSGraph does not compile it");
	mtl_graph_t g = make(sizeof *g);
	g->executable = KEEP(executable);
	g->count = n->count;
	g->result.shape = KEEP(n->result.shape);
	g->result.type = n->result.type;
	for (size_t i = 0; i < n->count; i++) {
		g->operands[i].shape = KEEP(n->operands[i].shape);
		g->operands[i].type = n->operands[i].type;
		g->feeds[i] = [n->inputs indexOfObject:[order objectAtIndex:i]];
	}
	*out = g;
	return NULL;
}

mtl_error_t mtl_matmul_new(mtl_device_t d, const struct mtl_matmul_desc *desc, mtl_graph_t *out) {
	@autoreleasepool {
		uint32_t rows = desc->transpose_b ? desc->n : desc->k, columns = desc->transpose_b ? desc->k : desc->n;
		mtl_error_t e = NULL;
		struct draft n = {.graph = [MPSGraph new], .count = desc->bias ? 3 : 2};
		n.operands[0] = tensor(@[ @(desc->batch), @(desc->m), @(desc->k) ], desc->a_type);
		n.operands[1] = tensor(@[ @(desc->batch), @(rows), @(columns) ], desc->b_type);
		n.operands[2] = tensor(@[ @(desc->n) ], desc->b_type);
		n.result = tensor(@[ @(desc->batch), @(desc->m), @(desc->n) ], desc->a_type);
		@try {
			start(&n, desc->upcast);
			if (desc->transpose_b) n.second = [n.graph transposeTensor:n.second dimension:1 withDimension:2 name:nil];
			MPSGraphTensor *product = [n.graph matrixMultiplicationWithPrimaryTensor:n.first secondaryTensor:n.second name:nil];
			e = finish(d, &n, product, out);
		} @catch (NSException *x) {
			e = raised(x);
		}
		DROP(n.graph);
		return e;
	}
}

mtl_error_t mtl_conv2d_new(mtl_device_t d, const struct mtl_conv2d_desc *desc, mtl_graph_t *out) {
	@autoreleasepool {
		uint32_t oh = (desc->h + desc->top + desc->bottom - desc->kernel_h) / desc->stride + 1;
		uint32_t ow = (desc->w + desc->left + desc->right - desc->kernel_w) / desc->stride + 1;
		mtl_error_t e = NULL;
		struct draft n = {.graph = [MPSGraph new], .count = desc->bias ? 3 : 2};
		n.operands[0] = tensor(@[ @(desc->n), @(desc->h), @(desc->w), @(desc->c) ], desc->data_type);
		n.operands[1] = tensor(@[ @(desc->out), @(desc->c), @(desc->kernel_h), @(desc->kernel_w) ], desc->weight_type);
		n.operands[2] = tensor(@[ @(desc->out) ], desc->weight_type);
		n.result = tensor(@[ @(desc->n), @(oh), @(ow), @(desc->out) ], desc->data_type);
		@try {
			start(&n, desc->upcast);
			MPSGraphConvolution2DOpDescriptor *how = [MPSGraphConvolution2DOpDescriptor descriptorWithStrideInX:desc->stride
				strideInY:desc->stride dilationRateInX:1 dilationRateInY:1 groups:1 paddingLeft:desc->left paddingRight:desc->right
				paddingTop:desc->top paddingBottom:desc->bottom paddingStyle:MPSGraphPaddingStyleExplicit
				dataLayout:MPSGraphTensorNamedDataLayoutNHWC weightsLayout:MPSGraphTensorNamedDataLayoutOIHW];
			MPSGraphTensor *product = nil;
			if (how != nil) product = [n.graph convolution2DWithSourceTensor:n.first weightsTensor:n.second descriptor:how name:nil];
			e = finish(d, &n, product, out);
		} @catch (NSException *x) {
			e = raised(x);
		}
		DROP(n.graph);
		return e;
	}
}

void mtl_graph_free(mtl_graph_t g) {
	if (g == NULL) return;
	@autoreleasepool {
		DROP(g->executable);
		DROP(g->result.shape);
		for (size_t i = 0; i < g->count; i++) DROP(g->operands[i].shape);
		unmake(g);
	}
}

// Events

mtl_error_t mtl_event_new(mtl_device_t d, mtl_event_t *out) {
	@autoreleasepool {
		id<MTLSharedEvent> event = [d->device newSharedEvent];
		if (event == nil) return fail(MTL_ERROR_OTHER, "the device gives no event");
		mtl_event_t e = make(sizeof *e);
		e->event = event;
		*out = e;
		return NULL;
	}
}

void mtl_event_signal(mtl_event_t e, uint64_t value) {
	@autoreleasepool {
		if ([e->event signaledValue] < value) [e->event setSignaledValue:value];
	}
}

void mtl_event_free(mtl_event_t e) {
	if (e == NULL) return;
	@autoreleasepool {
		DROP(e->event);
		unmake(e);
	}
}

// Commands

mtl_error_t mtl_commands_begin(mtl_device_t d, const char *label, mtl_commands_t *out) {
	@autoreleasepool {
		id<MTLCommandBuffer> first = [d->queue commandBuffer];
		if (first == nil) return fail(MTL_ERROR_OTHER, "the queue gives no command buffer");
		[first setLabel:[NSString stringWithUTF8String:label]];
		mtl_commands_t c = make(sizeof *c);
		c->buffer = KEEP([MPSCommandBuffer commandBufferWithCommandBuffer:first]);
		c->current = KEEP(first);
		c->submitted = [NSMutableArray new];
		*out = c;
		return NULL;
	}
}

// follow notes when MPSGraph has committed the command buffer and gone on with a new one.
static void follow(mtl_commands_t c) {
	id<MTLCommandBuffer> now = [c->buffer commandBuffer];
	if (now == c->current) return;
	[c->submitted addObject:c->current];
	DROP(c->current);
	c->current = KEEP(now);
}

static void end(mtl_commands_t c) {
	[c->encoder endEncoding];
	DROP(c->encoder);
}

mtl_error_t mtl_commands_dispatch(mtl_commands_t c, mtl_pipeline_t p, const void *args, size_t args_len,
	const struct mtl_binding *bindings, size_t count, uint32_t threadgroup_memory, struct mtl_size grid, struct mtl_size group) {
	@autoreleasepool {
		if (c->encoder == nil) {
			c->encoder = KEEP([c->current computeCommandEncoder]); // serial: its dispatches run in order
			if (c->encoder == nil) return fail(MTL_ERROR_OTHER, "the command buffer gives no encoder");
			c->bound = 0;
		}
		[c->encoder setComputePipelineState:p->state];
		if (args_len > 0) [c->encoder setBytes:args length:args_len atIndex:0];
		for (size_t i = 0; i < count || i < c->bound; i++) { // an encoder keeps what the dispatch before it bound
			bool binds = i < count && bindings[i].buffer != NULL;
			[c->encoder setBuffer:binds ? bindings[i].buffer->buffer : nil offset:binds ? bindings[i].offset : 0 atIndex:i + 1];
		}
		c->bound = count;
		if (threadgroup_memory > 0) [c->encoder setThreadgroupMemoryLength:threadgroup_memory atIndex:0];
		[c->encoder dispatchThreadgroups:MTLSizeMake(grid.x, grid.y, grid.z) threadsPerThreadgroup:MTLSizeMake(group.x, group.y, group.z)];
		return NULL;
	}
}

static MPSGraphTensorData *view(mtl_buffer_t b, struct operand o) {
	MPSGraphTensorData *data = [MPSGraphTensorData alloc];
	data = [data initWithMTLBuffer:b->buffer shape:o.shape dataType:o.type];
#if !__has_feature(objc_arc)
	[data autorelease];
#endif
	return data;
}

mtl_error_t mtl_commands_graph(mtl_commands_t c, mtl_graph_t g, const mtl_buffer_t *operands, mtl_buffer_t result) {
	@autoreleasepool {
		mtl_error_t e = NULL;
		end(c);
		@try {
			NSMutableArray<MPSGraphTensorData *> *inputs = [NSMutableArray arrayWithCapacity:g->count];
			for (size_t i = 0; i < g->count; i++) [inputs addObject:view(operands[g->feeds[i]], g->operands[g->feeds[i]])];
			[g->executable encodeToCommandBuffer:c->buffer inputsArray:inputs resultsArray:@[ view(result, g->result) ] executionDescriptor:nil];
		} @catch (NSException *x) {
			e = raised(x);
		}
		follow(c);
		return e;
	}
}

mtl_error_t mtl_commands_copy(mtl_commands_t c, struct mtl_binding from, struct mtl_binding to, size_t len) {
	@autoreleasepool {
		end(c);
		id<MTLBlitCommandEncoder> encoder = [c->current blitCommandEncoder];
		if (encoder == nil) return fail(MTL_ERROR_OTHER, "the command buffer gives no encoder");
		[encoder copyFromBuffer:from.buffer->buffer sourceOffset:from.offset toBuffer:to.buffer->buffer destinationOffset:to.offset size:len];
		[encoder endEncoding];
		return NULL;
	}
}

void mtl_commands_wait_event(mtl_commands_t c, mtl_event_t e, uint64_t value) {
	@autoreleasepool {
		end(c); // a wait is between encoders
		[c->current encodeWaitForEvent:e->event value:value];
	}
}

size_t mtl_commands_submitted(mtl_commands_t c) {
	@autoreleasepool {
		return [c->submitted count];
	}
}

void mtl_commands_commit(mtl_commands_t c) {
	@autoreleasepool {
		end(c);
		[c->buffer commit];
		c->committed = true;
	}
}

// ended waits for a command buffer, adds the device's time and reports its error, unless there is one.
static void ended(id<MTLCommandBuffer> b, double *seconds, mtl_error_t *e) {
	[b waitUntilCompleted];
	if ([b status] == MTLCommandBufferStatusCompleted) *seconds += [b GPUEndTime] - [b GPUStartTime];
	else if (*e == NULL) *e = failed([b error], "the command buffer did not complete");
}

mtl_error_t mtl_commands_wait(mtl_commands_t c, double *gpu_seconds) {
	@autoreleasepool {
		double seconds = 0;
		mtl_error_t e = NULL;
		for (id<MTLCommandBuffer> b in c->submitted) ended(b, &seconds, &e);
		ended(c->current, &seconds, &e);
		if (e == NULL) *gpu_seconds = seconds;
		return e;
	}
}

void mtl_commands_free(mtl_commands_t c) {
	if (c == NULL) return;
	@autoreleasepool {
		end(c);
		for (id<MTLCommandBuffer> b in c->submitted) [b waitUntilCompleted];
		if (c->committed) [c->current waitUntilCompleted];
		DROP(c->submitted);
		DROP(c->current);
		DROP(c->buffer);
		unmake(c);
	}
}
