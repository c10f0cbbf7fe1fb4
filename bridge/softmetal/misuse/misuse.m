//go:build softmetal && linux && cgo

#import <Foundation/Foundation.h>
#import <Metal/Metal.h>
#import <MetalPerformanceShadersGraph/MetalPerformanceShadersGraph.h>
#include <stdlib.h>
#include <string.h>
#include "misuse.h"

// What the mistakes are made with.
struct scene {
	id<MTLDevice> device;
	id<MTLCommandQueue> queue;
	id<MTLCommandBuffer> commands;
	id<MTLBuffer> buffer; // of 64 bytes
	MPSGraph *graph;
};

typedef void (*mistake)(struct scene *);

static id<MTLComputeCommandEncoder> encoder(struct scene *s) {
	return [s->commands computeCommandEncoder];
}

// Encoders. Each ends its encoder where the mistake leaves it open, since one that is released
// without stops the process.

static void long_bytes(struct scene *s) {
	id<MTLComputeCommandEncoder> e = encoder(s);
	char bytes[4096] = {0};
	@try {
		[e setBytes:bytes length:sizeof bytes atIndex:0];
	} @finally {
		[e endEncoding];
	}
}

static void buffer_index(struct scene *s) {
	id<MTLComputeCommandEncoder> e = encoder(s);
	@try {
		[e setBuffer:s->buffer offset:0 atIndex:31];
	} @finally {
		[e endEncoding];
	}
}

static void buffer_offset(struct scene *s) {
	id<MTLComputeCommandEncoder> e = encoder(s);
	@try {
		[e setBuffer:s->buffer offset:64 atIndex:0];
	} @finally {
		[e endEncoding];
	}
}

static void threadgroup_memory(struct scene *s) {
	id<MTLComputeCommandEncoder> e = encoder(s);
	@try {
		[e setThreadgroupMemoryLength:4 atIndex:0];
	} @finally {
		[e endEncoding];
	}
}

static void much_threadgroup_memory(struct scene *s) {
	id<MTLComputeCommandEncoder> e = encoder(s);
	@try {
		[e setThreadgroupMemoryLength:32784 atIndex:0];
	} @finally {
		[e endEncoding];
	}
}

static void no_pipeline(struct scene *s) {
	id<MTLComputeCommandEncoder> e = encoder(s);
	@try {
		[e dispatchThreadgroups:MTLSizeMake(1, 1, 1) threadsPerThreadgroup:MTLSizeMake(1, 1, 1)];
	} @finally {
		[e endEncoding];
	}
}

// with_kernel dispatches a kernel.
static void with_kernel(struct scene *s, MTLSize grid, MTLSize group) {
	MTLCompileOptions *options = [[MTLCompileOptions new] autorelease];
	[options setLanguageVersion:MTLLanguageVersion3_0];
	id<MTLLibrary> l = [[s->device newLibraryWithSource:@"#include <metal_stdlib>\nkernel void none() {}\n" options:options error:NULL] autorelease];
	id<MTLFunction> f = [[l newFunctionWithName:@"none"] autorelease];
	MTLComputePipelineDescriptor *d = [[MTLComputePipelineDescriptor new] autorelease];
	[d setComputeFunction:f];
	id<MTLComputePipelineState> p = [[s->device newComputePipelineStateWithDescriptor:d options:MTLPipelineOptionNone reflection:NULL error:NULL] autorelease];
	id<MTLComputeCommandEncoder> e = encoder(s);
	@try {
		[e setComputePipelineState:p];
		[e dispatchThreadgroups:grid threadsPerThreadgroup:group];
	} @finally {
		[e endEncoding];
	}
}

static void many_threads(struct scene *s) {
	with_kernel(s, MTLSizeMake(1, 1, 1), MTLSizeMake(1025, 1, 1));
}

static void no_threadgroups(struct scene *s) {
	with_kernel(s, MTLSizeMake(0, 1, 1), MTLSizeMake(1, 1, 1));
}

static void two_encoders(struct scene *s) {
	id<MTLComputeCommandEncoder> e = encoder(s);
	@try {
		[s->commands blitCommandEncoder];
	} @finally {
		[e endEncoding];
	}
}

static void ended_twice(struct scene *s) {
	id<MTLComputeCommandEncoder> e = encoder(s);
	[e endEncoding];
	[e endEncoding];
}

static void used_after_end(struct scene *s) {
	id<MTLComputeCommandEncoder> e = encoder(s);
	[e endEncoding];
	[e setBuffer:s->buffer offset:0 atIndex:0];
}

static void commit_while_encoding(struct scene *s) {
	id<MTLComputeCommandEncoder> e = encoder(s);
	@try {
		[s->commands commit];
	} @finally {
		[e endEncoding];
	}
}

static void commit_twice(struct scene *s) {
	[s->commands commit];
	@try {
		[s->commands commit];
	} @finally {
		[s->commands waitUntilCompleted];
	}
}

static void encode_after_commit(struct scene *s) {
	[s->commands commit];
	[s->commands waitUntilCompleted];
	encoder(s);
}

static void wait_before_commit(struct scene *s) {
	[s->commands waitUntilCompleted];
}

static void wait_while_encoding(struct scene *s) {
	id<MTLComputeCommandEncoder> e = encoder(s);
	@try {
		[s->commands encodeWaitForEvent:[[s->device newSharedEvent] autorelease] value:1];
	} @finally {
		[e endEncoding];
	}
}

static void wait_after_commit(struct scene *s) {
	[s->commands commit];
	[s->commands waitUntilCompleted];
	[s->commands encodeWaitForEvent:[[s->device newSharedEvent] autorelease] value:1];
}

static void event_backwards(struct scene *s) {
	id<MTLSharedEvent> e = [[s->device newSharedEvent] autorelease];
	[e setSignaledValue:2];
	[e setSignaledValue:1];
}

static void copy_beyond(struct scene *s) {
	id<MTLBlitCommandEncoder> e = [s->commands blitCommandEncoder];
	@try {
		[e copyFromBuffer:s->buffer sourceOffset:32 toBuffer:s->buffer destinationOffset:0 size:36];
	} @finally {
		[e endEncoding];
	}
}

static void copy_odd(struct scene *s) {
	id<MTLBlitCommandEncoder> e = [s->commands blitCommandEncoder];
	@try {
		[e copyFromBuffer:s->buffer sourceOffset:0 toBuffer:s->buffer destinationOffset:32 size:3];
	} @finally {
		[e endEncoding];
	}
}

// Memory

static void unaligned_memory(struct scene *s) {
	char bytes[64];
	[s->device newBufferWithBytesNoCopy:bytes + 1 length:16384 options:MTLResourceStorageModeShared deallocator:nil];
}

static void partial_page(struct scene *s) {
	void *bytes = aligned_alloc(16384, 16384);
	@try {
		[s->device newBufferWithBytesNoCopy:bytes length:100 options:MTLResourceStorageModeShared deallocator:nil];
	} @finally {
		free(bytes);
	}
}

static id<MTLHeap> heap(struct scene *s) {
	MTLHeapDescriptor *d = [[MTLHeapDescriptor new] autorelease];
	[d setType:MTLHeapTypePlacement];
	[d setHazardTrackingMode:MTLHazardTrackingModeTracked];
	[d setSize:512];
	return [[s->device newHeapWithDescriptor:d] autorelease];
}

static void heap_offset(struct scene *s) {
	[heap(s) newBufferWithLength:4 options:MTLResourceStorageModeShared offset:16];
}

static void beyond_heap(struct scene *s) {
	[heap(s) newBufferWithLength:257 options:MTLResourceStorageModeShared offset:256];
}

static void untracked_heap(struct scene *s) {
	MTLHeapDescriptor *d = [[MTLHeapDescriptor new] autorelease];
	[d setType:MTLHeapTypePlacement];
	[d setSize:512];
	[s->device newHeapWithDescriptor:d];
}

// Graphs

static MPSGraphTensor *tensor(struct scene *s, MPSShape *shape, MPSDataType type) {
	return [s->graph placeholderWithShape:shape dataType:type name:nil];
}

static void many_elements(struct scene *s) {
	tensor(s, @[ @32, @4096, @16384 ], MPSDataTypeFloat32);
}

static void mixed_types(struct scene *s) {
	[s->graph additionWithPrimaryTensor:tensor(s, @[ @8, @128 ], MPSDataTypeFloat32)
	                    secondaryTensor:tensor(s, @[ @128 ], MPSDataTypeFloat16) name:nil];
}

static void unequal_bias(struct scene *s) {
	[s->graph additionWithPrimaryTensor:tensor(s, @[ @8, @128 ], MPSDataTypeFloat32)
	                    secondaryTensor:tensor(s, @[ @64 ], MPSDataTypeFloat32) name:nil];
}

static void product(struct scene *s, MPSShape *a, MPSShape *b, MPSDataType type) {
	[s->graph matrixMultiplicationWithPrimaryTensor:tensor(s, a, MPSDataTypeFloat32) secondaryTensor:tensor(s, b, type) name:nil];
}

static void inner_sizes(struct scene *s) {
	product(s, @[ @2, @3 ], @[ @4, @2 ], MPSDataTypeFloat32);
}

static void batch_sizes(struct scene *s) {
	product(s, @[ @2, @1, @3 ], @[ @3, @3, @1 ], MPSDataTypeFloat32);
}

static void product_rank(struct scene *s) {
	product(s, @[ @3 ], @[ @3 ], MPSDataTypeFloat32);
}

static void product_types(struct scene *s) {
	product(s, @[ @2, @3 ], @[ @3, @2 ], MPSDataTypeFloat16);
}

static void long_side(struct scene *s) {
	product(s, @[ @32769, @1 ], @[ @1, @1 ], MPSDataTypeFloat32);
}

static void convolution(struct scene *s, MPSShape *data, MPSShape *weights) {
	MPSGraphConvolution2DOpDescriptor *d = [MPSGraphConvolution2DOpDescriptor descriptorWithStrideInX:1 strideInY:1
		dilationRateInX:1 dilationRateInY:1 groups:1 paddingLeft:0 paddingRight:0 paddingTop:0 paddingBottom:0
		paddingStyle:MPSGraphPaddingStyleExplicit dataLayout:MPSGraphTensorNamedDataLayoutNHWC
		weightsLayout:MPSGraphTensorNamedDataLayoutOIHW];
	[s->graph convolution2DWithSourceTensor:tensor(s, data, MPSDataTypeFloat32) weightsTensor:tensor(s, weights, MPSDataTypeFloat32)
	                             descriptor:d name:nil];
}

static void many_channels(struct scene *s) {
	convolution(s, @[ @1, @1, @1, @1 ], @[ @65537, @1, @1, @1 ]);
}

static void input_channels(struct scene *s) {
	convolution(s, @[ @1, @4, @4, @3 ], @[ @8, @4, @1, @1 ]);
}

static void large_kernel(struct scene *s) {
	convolution(s, @[ @1, @2, @2, @3 ], @[ @8, @3, @3, @3 ]);
}

static void convolution_rank(struct scene *s) {
	convolution(s, @[ @4, @4, @3 ], @[ @8, @3, @1, @1 ]);
}

static void transpose_axis(struct scene *s) {
	[s->graph transposeTensor:tensor(s, @[ @2, @3 ], MPSDataTypeFloat32) dimension:0 withDimension:2 name:nil];
}

static void other_graph(struct scene *s) {
	MPSGraph *other = [[MPSGraph new] autorelease];
	[other castTensor:tensor(s, @[ @2 ], MPSDataTypeFloat32) toType:MPSDataTypeFloat16 name:nil];
}

static MPSGraphTensorData *data(struct scene *s, MPSShape *shape, MPSDataType type) {
	id<MTLBuffer> b = [[s->device newBufferWithLength:64 options:MTLResourceStorageModeShared] autorelease];
	return [[[MPSGraphTensorData alloc] initWithMTLBuffer:b shape:shape dataType:type] autorelease];
}

static void small_buffer(struct scene *s) {
	data(s, @[ @256 ], MPSDataTypeFloat32);
}

// multiply compiles [2, 3] x [3, 4] fed with these placeholders, and encodes it.
static void multiply(struct scene *s, bool feed, NSArray *inputs, MPSGraphTensorData *result) {
	MPSGraphTensor *a = tensor(s, @[ @2, @3 ], MPSDataTypeFloat32), *b = tensor(s, @[ @3, @4 ], MPSDataTypeFloat32);
	MPSGraphTensor *c = [s->graph matrixMultiplicationWithPrimaryTensor:a secondaryTensor:b name:nil];
	MPSGraphShapedType *first = [[[MPSGraphShapedType alloc] initWithShape:@[ @2, @3 ] dataType:MPSDataTypeFloat32] autorelease];
	MPSGraphShapedType *second = [[[MPSGraphShapedType alloc] initWithShape:@[ @3, @4 ] dataType:MPSDataTypeFloat32] autorelease];
	NSDictionary *feeds = feed ? @{a : first, b : second} : @{a : first};
	MPSGraphExecutable *e = [s->graph compileWithDevice:[MPSGraphDevice deviceWithMTLDevice:s->device] feeds:feeds targetTensors:@[ c ]
	                                   targetOperations:nil compilationDescriptor:nil];
	[e encodeToCommandBuffer:[MPSCommandBuffer commandBufferWithCommandBuffer:s->commands] inputsArray:inputs resultsArray:@[ result ]
	     executionDescriptor:nil];
}

static void no_feed(struct scene *s) {
	multiply(s, false, @[], data(s, @[ @2, @4 ], MPSDataTypeFloat32));
}

static void order_of_creation(struct scene *s) {
	multiply(s, true, @[ data(s, @[ @2, @3 ], MPSDataTypeFloat32), data(s, @[ @3, @4 ], MPSDataTypeFloat32) ], data(s, @[ @2, @4 ], MPSDataTypeFloat32));
}

static void type_of_input(struct scene *s) {
	multiply(s, true, @[ data(s, @[ @3, @4 ], MPSDataTypeFloat16), data(s, @[ @2, @3 ], MPSDataTypeFloat32) ], data(s, @[ @2, @4 ], MPSDataTypeFloat32));
}

static void shape_of_result(struct scene *s) {
	multiply(s, true, @[ data(s, @[ @3, @4 ], MPSDataTypeFloat32), data(s, @[ @2, @3 ], MPSDataTypeFloat32) ], data(s, @[ @4, @2 ], MPSDataTypeFloat32));
}

static void result_in_operand(struct scene *s) {
	MPSGraphTensorData *a = [[[MPSGraphTensorData alloc] initWithMTLBuffer:s->buffer shape:@[ @2, @3 ] dataType:MPSDataTypeFloat32] autorelease];
	MPSGraphTensorData *c = [[[MPSGraphTensorData alloc] initWithMTLBuffer:s->buffer shape:@[ @2, @4 ] dataType:MPSDataTypeFloat32] autorelease];
	multiply(s, true, @[ data(s, @[ @3, @4 ], MPSDataTypeFloat32), a ], c);
}

static void graph_while_encoding(struct scene *s) {
	id<MTLComputeCommandEncoder> e = encoder(s);
	@try {
		multiply(s, true, @[ data(s, @[ @3, @4 ], MPSDataTypeFloat32), data(s, @[ @2, @3 ], MPSDataTypeFloat32) ], data(s, @[ @2, @4 ], MPSDataTypeFloat32));
	} @finally {
		[e endEncoding];
	}
}

// Ends the process.
static void release_twice(struct scene *s) {
	id<MTLCommandQueue> q = [s->device newCommandQueue];
	[q release];
	[q release];
}

static void write_beyond(struct scene *s) {
	id<MTLBuffer> b = [s->device newBufferWithLength:60 options:MTLResourceStorageModeShared];
	((char *)[b contents])[60] = 1;
	[b release];
}

#define MISTAKE(function) {#function, function}
static const struct {
	const char *name;
	mistake make;
} all[] = {
	MISTAKE(long_bytes), MISTAKE(buffer_index), MISTAKE(buffer_offset), MISTAKE(threadgroup_memory), MISTAKE(much_threadgroup_memory),
	MISTAKE(no_pipeline), MISTAKE(many_threads), MISTAKE(no_threadgroups), MISTAKE(two_encoders), MISTAKE(ended_twice),
	MISTAKE(used_after_end), MISTAKE(commit_while_encoding), MISTAKE(commit_twice), MISTAKE(encode_after_commit),
	MISTAKE(wait_before_commit), MISTAKE(wait_while_encoding), MISTAKE(wait_after_commit), MISTAKE(event_backwards), MISTAKE(copy_beyond), MISTAKE(copy_odd), MISTAKE(unaligned_memory), MISTAKE(partial_page),
	MISTAKE(heap_offset), MISTAKE(beyond_heap), MISTAKE(untracked_heap), MISTAKE(many_elements), MISTAKE(mixed_types),
	MISTAKE(unequal_bias), MISTAKE(inner_sizes), MISTAKE(batch_sizes), MISTAKE(product_rank), MISTAKE(product_types),
	MISTAKE(long_side), MISTAKE(many_channels), MISTAKE(input_channels), MISTAKE(large_kernel), MISTAKE(convolution_rank),
	MISTAKE(transpose_axis), MISTAKE(other_graph), MISTAKE(small_buffer), MISTAKE(no_feed), MISTAKE(order_of_creation),
	MISTAKE(type_of_input), MISTAKE(shape_of_result), MISTAKE(result_in_operand), MISTAKE(graph_while_encoding),
	MISTAKE(release_twice), MISTAKE(write_beyond),
};

enum { COUNT = sizeof all / sizeof all[0] };

const char *misuse_name(size_t i) {
	return i < COUNT ? all[i].name : NULL;
}

char *misuse_commit(const char *name) {
	@autoreleasepool {
		struct scene s = {.device = [MTLCreateSystemDefaultDevice() autorelease]};
		s.queue = [[s.device newCommandQueue] autorelease];
		s.commands = [s.queue commandBuffer];
		s.buffer = [[s.device newBufferWithLength:64 options:MTLResourceStorageModeShared] autorelease];
		s.graph = [[MPSGraph new] autorelease];
		@try {
			for (size_t i = 0; i < COUNT; i++)
				if (strcmp(all[i].name, name) == 0) all[i].make(&s);
		} @catch (NSException *e) {
			return strdup([[e reason] UTF8String]);
		}
		return NULL;
	}
}
