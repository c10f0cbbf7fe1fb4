// A sample with what bridge.m does: the tests make mistakes in it.

#import <Foundation/Foundation.h>
#import <Metal/Metal.h>
#import <MetalPerformanceShaders/MetalPerformanceShaders.h>
#import <MetalPerformanceShadersGraph/MetalPerformanceShadersGraph.h>

#if __has_feature(objc_arc)
#define DROP(object) ((void)((object) = nil))
#else
#define DROP(object) ((void)([(object) release], (object) = nil))
#endif

// fill runs kernel "fill" of a source over n threads, n a multiple of 32.
int fill(const char *source, void *out, NSUInteger n);

int fill(const char *source, void *out, NSUInteger n)
{
	@autoreleasepool {
		id<MTLDevice> device = MTLCreateSystemDefaultDevice();
		id<MTLCommandQueue> queue = [device newCommandQueue];
		NSError *e = nil;
		NSString *text = [NSString stringWithUTF8String:source];
		id<MTLLibrary> library = [device newLibraryWithSource:text options:nil error:&e];
		id<MTLFunction> function = [library newFunctionWithName:@"fill"];
		MTLComputePipelineDescriptor *descriptor = [MTLComputePipelineDescriptor new];
		[descriptor setComputeFunction:function];
		id<MTLComputePipelineState> state = [device newComputePipelineStateWithDescriptor:descriptor
		                                                                         options:MTLPipelineOptionNone
		                                                                      reflection:NULL
		                                                                           error:&e];
		id<MTLBuffer> buffer = [device newBufferWithLength:n options:MTLResourceStorageModeShared];
		id<MTLCommandBuffer> commands = [queue commandBuffer];
		id<MTLComputeCommandEncoder> encoder = [commands computeCommandEncoder];
		[encoder setComputePipelineState:state];
		[encoder setBuffer:buffer offset:0 atIndex:0];
		[encoder dispatchThreadgroups:MTLSizeMake(n / 32, 1, 1) threadsPerThreadgroup:MTLSizeMake(32, 1, 1)];
		[encoder endEncoding];
		[commands commit];
		[commands waitUntilCompleted];
		int failed = [commands status] != MTLCommandBufferStatusCompleted;
		memcpy(out, [buffer contents], n);
		DROP(buffer);
		DROP(state);
		DROP(descriptor);
		DROP(function);
		DROP(library);
		DROP(queue);
		DROP(device);
		return failed;
	}
}

// product is a product of two square matrices as a graph.
MPSGraphTensor *product(MPSGraph *graph, NSUInteger n);

MPSGraphTensor *product(MPSGraph *graph, NSUInteger n)
{
	MPSShape *shape = @[ @(n), @(n) ];
	MPSGraphTensor *a = [graph placeholderWithShape:shape dataType:MPSDataTypeFloat32 name:@"a"];
	MPSGraphTensor *b = [graph placeholderWithShape:shape dataType:MPSDataTypeFloat32 name:@"b"];
	return [graph matrixMultiplicationWithPrimaryTensor:a secondaryTensor:b name:nil];
}

// newGraph is an MPSGraph that the caller owns, and a command buffer of MPS.
MPSGraph *newGraph(id<MTLCommandBuffer> commands, MPSCommandBuffer *_Nonnull *_Nonnull out) __attribute__((ns_returns_retained));

MPSGraph *newGraph(id<MTLCommandBuffer> commands, MPSCommandBuffer **out)
{
	*out = [MPSCommandBuffer commandBufferWithCommandBuffer:commands];
	return [MPSGraph new];
}
