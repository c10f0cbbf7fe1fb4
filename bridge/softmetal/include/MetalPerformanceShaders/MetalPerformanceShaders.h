// The declarations of MetalPerformanceShaders that bridge.m uses, in our own words; facts as in
// Metal.h, from darwinkit's macos/mps and dotnet/macios src/metalperformanceshaders.cs.
#pragma once
#import <Metal/Metal.h>

#pragma clang assume_nonnull begin

MTL_ENUM(uint32_t, MPSDataType) {
	MPSDataTypeFloatBit = 0x10000000,
	MPSDataTypeFloat32 = MPSDataTypeFloatBit | 32,
	MPSDataTypeFloat16 = MPSDataTypeFloatBit | 16,
};

typedef NSArray<NSNumber *> MPSShape;

// A command buffer that MPS may commit and replace by a new one while it encodes.
@interface MPSCommandBuffer : MTL_ROOT <MTLCommandBuffer> MTL_FIELDS(MPSCommandBuffer)
+ (instancetype)commandBufferWithCommandBuffer:(id<MTLCommandBuffer>)commandBuffer;
- (id<MTLCommandBuffer>)commandBuffer; // the one that is encoded to at present
- (void)commitAndContinue;
@end

#pragma clang assume_nonnull end
