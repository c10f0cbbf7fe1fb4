// The declarations of Metal that bridge.m uses, in our own words. The stand-ins of package softmetal
// implement this file, and the check of the darwin build compiles against it.
//
// Facts: selectors, argument and result types and enumerators as in darwinkit v0.5.0
// (github.com/progrium/darwinkit macos/metal), nullability and ownership as in objc2-metal 0.3.2
// (crates.io), versions as in dotnet/macios src/metal.cs. What darwinkit lacks says so.
#pragma once
#import <Foundation/Foundation.h>
#include <stdint.h>

#define MTL_ENUM(type, name) typedef enum name : type name; enum name : type
#define MTL_OPTIONS(type, name) typedef enum __attribute__((flag_enum)) name : type name; enum name : type
#define MTL_SINCE(version) __attribute__((availability(macos, introduced = version)))


// The stand-ins set both before they include this file: their classes count themselves, and GNUstep's
// runtime wants the instance variables in the declaration.
#ifndef MTL_FIELDS
#define MTL_ROOT NSObject
#define MTL_FIELDS(class)
#endif


#pragma clang assume_nonnull begin

@protocol MTLDevice, MTLFunction, MTLLibrary, MTLBinaryArchive, MTLComputePipelineState;
@class MTLComputePipelineReflection;

// MTLTypes.h

typedef struct {
	NSUInteger width, height, depth;
} MTLSize;

static inline MTLSize MTLSizeMake(NSUInteger width, NSUInteger height, NSUInteger depth) {
	MTLSize s = {width, height, depth};
	return s;
}

typedef struct {
	NSUInteger size, align;
} MTLSizeAndAlign;

// MTLResource.h, MTLBuffer.h

MTL_OPTIONS(NSUInteger, MTLResourceOptions) {
	MTLResourceStorageModeShared = 0,
	MTLResourceStorageModePrivate = 2 << 4,
	MTLResourceHazardTrackingModeUntracked = 1 << 8,
	MTLResourceHazardTrackingModeTracked = 2 << 8,
};

MTL_ENUM(NSUInteger, MTLStorageMode) {
	MTLStorageModeShared = 0,
	MTLStorageModePrivate = 2,
};

MTL_ENUM(NSUInteger, MTLHazardTrackingMode) {
	MTLHazardTrackingModeDefault = 0,
	MTLHazardTrackingModeUntracked = 1,
	MTLHazardTrackingModeTracked = 2,
};

@protocol MTLBuffer <NSObject>
- (NSUInteger)length;
- (void *)contents __attribute__((objc_returns_inner_pointer));
- (void)setLabel:(nullable NSString *)label;
@end

#ifdef __BLOCKS__
typedef void (^MTLDeallocator)(void *pointer, NSUInteger length);
#else
typedef void *MTLDeallocator; // as wide as a block
#endif

// MTLHeap.h

MTL_ENUM(NSInteger, MTLHeapType) {
	MTLHeapTypeAutomatic = 0,
	MTLHeapTypePlacement = 1,
};

@interface MTLHeapDescriptor : MTL_ROOT <NSCopying> MTL_FIELDS(MTLHeapDescriptor)
- (void)setSize:(NSUInteger)size;
- (void)setStorageMode:(MTLStorageMode)mode;
- (void)setHazardTrackingMode:(MTLHazardTrackingMode)mode;
- (void)setType:(MTLHeapType)type;
@end

@protocol MTLHeap <NSObject>
- (nullable id<MTLBuffer>)newBufferWithLength:(NSUInteger)length options:(MTLResourceOptions)options offset:(NSUInteger)offset;
@end

// MTLLibrary.h

MTL_ENUM(NSUInteger, MTLLanguageVersion) {
	MTLLanguageVersion2_4 = (2 << 16) + 4,
	MTLLanguageVersion3_0 = 3 << 16, // macOS 13; not in darwinkit: bkaradzic/metal-cpp MTLLibrary.hpp
};

MTL_ENUM(NSUInteger, MTLDataType) {
	MTLDataTypeFloat = 3,
	MTLDataTypeInt = 29,
	MTLDataTypeUInt = 33,
	MTLDataTypeBool = 53,
};

MTL_ENUM(NSUInteger, MTLLibraryError) {
	MTLLibraryErrorUnsupported = 1,
	MTLLibraryErrorInternal = 2,
	MTLLibraryErrorCompileFailure = 3,
	MTLLibraryErrorCompileWarning = 4,
	MTLLibraryErrorFunctionNotFound = 5,
	MTLLibraryErrorFileNotFound = 6,
};

@interface MTLCompileOptions : MTL_ROOT <NSCopying> MTL_FIELDS(MTLCompileOptions)
- (void)setLanguageVersion:(MTLLanguageVersion)version;
@end

@interface MTLFunctionConstantValues : MTL_ROOT <NSCopying> MTL_FIELDS(MTLFunctionConstantValues)
- (void)setConstantValue:(const void *)value type:(MTLDataType)type atIndex:(NSUInteger)index;
@end

@protocol MTLFunction <NSObject>
- (NSString *)name;
@end

@protocol MTLLibrary <NSObject>
- (nullable id<MTLFunction>)newFunctionWithName:(NSString *)name;
- (nullable id<MTLFunction>)newFunctionWithName:(NSString *)name
                                 constantValues:(MTLFunctionConstantValues *)values
                                          error:(NSError *_Nullable *_Nullable)error;
@end

// MTLComputePipeline.h, MTLBinaryArchive.h

@interface MTLComputePipelineDescriptor : MTL_ROOT <NSCopying> MTL_FIELDS(MTLComputePipelineDescriptor)
- (void)setComputeFunction:(nullable id<MTLFunction>)function;
- (void)setBinaryArchives:(nullable NSArray<id<MTLBinaryArchive>> *)archives;
@end

@protocol MTLComputePipelineState <NSObject>
- (NSUInteger)maxTotalThreadsPerThreadgroup;
- (NSUInteger)threadExecutionWidth;
- (NSUInteger)staticThreadgroupMemoryLength;
@end

MTL_OPTIONS(NSUInteger, MTLPipelineOption) {
	MTLPipelineOptionNone = 0,
	MTLPipelineOptionFailOnBinaryArchiveMiss = 1 << 2,
};

MTL_ENUM(NSUInteger, MTLBinaryArchiveError) {
	MTLBinaryArchiveErrorNone = 0,
	MTLBinaryArchiveErrorInvalidFile = 1,
	MTLBinaryArchiveErrorUnexpectedElement = 2,
	MTLBinaryArchiveErrorCompilationFailure = 3,
};

@interface MTLBinaryArchiveDescriptor : MTL_ROOT <NSCopying> MTL_FIELDS(MTLBinaryArchiveDescriptor)
- (void)setUrl:(nullable NSURL *)url;
@end

@protocol MTLBinaryArchive <NSObject>
- (BOOL)addComputePipelineFunctionsWithDescriptor:(MTLComputePipelineDescriptor *)descriptor error:(NSError *_Nullable *_Nullable)error;
- (BOOL)serializeToURL:(NSURL *)url error:(NSError *_Nullable *_Nullable)error;
@end

// MTLCommandEncoder.h, MTLComputeCommandEncoder.h, MTLBlitCommandEncoder.h

@protocol MTLCommandEncoder <NSObject>
- (void)setLabel:(nullable NSString *)label;
- (void)endEncoding;
@end

@protocol MTLComputeCommandEncoder <MTLCommandEncoder>
- (void)setComputePipelineState:(id<MTLComputePipelineState>)state;
- (void)setBytes:(const void *)bytes length:(NSUInteger)length atIndex:(NSUInteger)index;
- (void)setBuffer:(nullable id<MTLBuffer>)buffer offset:(NSUInteger)offset atIndex:(NSUInteger)index;
- (void)setThreadgroupMemoryLength:(NSUInteger)length atIndex:(NSUInteger)index;
- (void)dispatchThreadgroups:(MTLSize)threadgroups threadsPerThreadgroup:(MTLSize)threads;
@end

@protocol MTLBlitCommandEncoder <MTLCommandEncoder>
- (void)copyFromBuffer:(id<MTLBuffer>)source
          sourceOffset:(NSUInteger)sourceOffset
              toBuffer:(id<MTLBuffer>)destination
     destinationOffset:(NSUInteger)destinationOffset
                  size:(NSUInteger)size;
@end

// MTLEvent.h

@protocol MTLEvent <NSObject>
- (void)setLabel:(nullable NSString *)label;
@end

@protocol MTLSharedEvent <MTLEvent>
- (uint64_t)signaledValue;
- (void)setSignaledValue:(uint64_t)value;
@end

// MTLCommandBuffer.h, MTLCommandQueue.h

MTL_ENUM(NSUInteger, MTLCommandBufferStatus) {
	MTLCommandBufferStatusNotEnqueued = 0,
	MTLCommandBufferStatusEnqueued = 1,
	MTLCommandBufferStatusCommitted = 2,
	MTLCommandBufferStatusScheduled = 3,
	MTLCommandBufferStatusCompleted = 4,
	MTLCommandBufferStatusError = 5,
};

MTL_ENUM(NSUInteger, MTLCommandBufferError) {
	MTLCommandBufferErrorNone = 0,
	MTLCommandBufferErrorInternal = 1,
	MTLCommandBufferErrorTimeout = 2,
	MTLCommandBufferErrorPageFault = 3,
	MTLCommandBufferErrorNotPermitted = 7,
	MTLCommandBufferErrorOutOfMemory = 8,
	MTLCommandBufferErrorInvalidResource = 9,
};

extern NSString *const MTLCommandBufferErrorDomain;

@protocol MTLCommandBuffer <NSObject>
- (void)setLabel:(nullable NSString *)label;
- (nullable id<MTLComputeCommandEncoder>)computeCommandEncoder;
- (nullable id<MTLBlitCommandEncoder>)blitCommandEncoder;
- (void)encodeWaitForEvent:(id<MTLEvent>)event value:(uint64_t)value;
- (void)commit;
- (void)waitUntilCompleted;
- (MTLCommandBufferStatus)status;
- (nullable NSError *)error;
- (double)GPUStartTime;
- (double)GPUEndTime;
@end

@protocol MTLCommandQueue <NSObject>
- (id<MTLDevice>)device;
- (nullable id<MTLCommandBuffer>)commandBuffer;
@end

// MTLDevice.h

MTL_ENUM(NSInteger, MTLGPUFamily) {
	MTLGPUFamilyApple7 = 1007, // M1
	MTLGPUFamilyApple8 = 1008, // M2; from here not in darwinkit: bkaradzic/metal-cpp MTLDevice.hpp
	MTLGPUFamilyApple9 = 1009, // M3, M4
};

MTL_SINCE(14.0)
@interface MTLArchitecture : MTL_ROOT <NSCopying> MTL_FIELDS(MTLArchitecture) // not in darwinkit: dotnet/macios metal.cs
- (NSString *)name;
@end

@protocol MTLDevice <NSObject>
- (NSString *)name;
- (MTLArchitecture *)architecture MTL_SINCE(14.0); // not in darwinkit: dotnet/macios metal.cs
- (BOOL)hasUnifiedMemory;
- (BOOL)supportsFamily:(MTLGPUFamily)family;
- (NSUInteger)maxBufferLength;
- (NSUInteger)currentAllocatedSize;
- (uint64_t)recommendedMaxWorkingSetSize;
- (NSUInteger)maxThreadgroupMemoryLength;
- (nullable id<MTLCommandQueue>)newCommandQueue;
- (nullable id<MTLBuffer>)newBufferWithLength:(NSUInteger)length options:(MTLResourceOptions)options;
- (nullable id<MTLBuffer>)newBufferWithBytesNoCopy:(void *)pointer
                                            length:(NSUInteger)length
                                           options:(MTLResourceOptions)options
                                       deallocator:(nullable MTLDeallocator)deallocator;
- (MTLSizeAndAlign)heapBufferSizeAndAlignWithLength:(NSUInteger)length options:(MTLResourceOptions)options;
- (nullable id<MTLHeap>)newHeapWithDescriptor:(MTLHeapDescriptor *)descriptor;
- (nullable id<MTLSharedEvent>)newSharedEvent;
- (nullable id<MTLLibrary>)newLibraryWithSource:(NSString *)source
                                        options:(nullable MTLCompileOptions *)options
                                          error:(NSError *_Nullable *_Nullable)error;
- (nullable id<MTLBinaryArchive>)newBinaryArchiveWithDescriptor:(MTLBinaryArchiveDescriptor *)descriptor
                                                          error:(NSError *_Nullable *_Nullable)error;
- (nullable id<MTLComputePipelineState>)
    newComputePipelineStateWithDescriptor:(MTLComputePipelineDescriptor *)descriptor
                                  options:(MTLPipelineOption)options
                               reflection:(MTLComputePipelineReflection *_Nullable *_Nullable)reflection
                                    error:(NSError *_Nullable *_Nullable)error;
@end

extern id<MTLDevice> _Nullable MTLCreateSystemDefaultDevice(void) __attribute__((ns_returns_retained));

#pragma clang assume_nonnull end
