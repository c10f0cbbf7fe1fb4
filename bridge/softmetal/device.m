//go:build softmetal && linux && cgo

// This file stands in for the device: it says what an M1 says of itself, and makes everything else.

#import "object.h"
#include <unistd.h>

id<MTLDevice> MTLCreateSystemDefaultDevice(void) {
	soft_start();
	return soft_faults.no_device ? nil : [SoftDevice new];
}

@implementation MTLArchitecture

- (NSString *)name {
	return @"softmetal";
}

@end

@implementation SoftDevice

- (bool)take:(NSUInteger)length {
	if (length == 0 || length > [self maxBufferLength] || allocated + length > soft_settings.memory) return false;
	if (soft_strikes(&soft_faults.allocation)) return false;
	allocated += length;
	return true;
}

- (void)giveBack:(NSUInteger)length {
	allocated -= length;
}

- (NSString *)name {
	return @"softmetal";
}

- (MTLArchitecture *)architecture {
	return [[MTLArchitecture new] autorelease];
}

- (BOOL)hasUnifiedMemory {
	return YES;
}

- (BOOL)supportsFamily:(MTLGPUFamily)family {
	return family == MTLGPUFamilyApple7;
}

- (NSUInteger)maxBufferLength {
	return (NSUInteger)8 << 30;
}

- (NSUInteger)currentAllocatedSize {
	return allocated;
}

- (uint64_t)recommendedMaxWorkingSetSize {
	return soft_settings.memory;
}

- (NSUInteger)maxThreadgroupMemoryLength {
	return SM_MAX_THREADGROUP_BYTES;
}

- (id<MTLCommandQueue>)newCommandQueue {
	return [[SoftQueue alloc] initWithDevice:self];
}

- (id<MTLBuffer>)newBufferWithLength:(NSUInteger)length options:(MTLResourceOptions)options {
	if (options != MTLResourceStorageModeShared) soft_invalid(self, _cmd, @"options 0x%lx are not used here", (unsigned long)options);
	return [[SoftBuffer alloc] initWithDevice:self length:length];
}

- (id<MTLBuffer>)newBufferWithBytesNoCopy:(void *)pointer
                                   length:(NSUInteger)length
                                  options:(MTLResourceOptions)options
                              deallocator:(MTLDeallocator)deallocator {
	NSUInteger page = (NSUInteger)getpagesize();
	if (options != MTLResourceStorageModeShared || deallocator != nil) soft_invalid(self, _cmd, @"options or deallocator are not used here");
	if ((uintptr_t)pointer % page != 0) soft_invalid(self, _cmd, @"pointer %p is not page aligned", pointer);
	if (length == 0 || length % page != 0) soft_invalid(self, _cmd, @"length %lu is not page aligned", (unsigned long)length);
	if (length > [self maxBufferLength] || soft_strikes(&soft_faults.allocation)) return nil;
	return [[SoftBuffer alloc] initWithBytes:pointer length:soft_faults.no_sharing ? 0 : length];
}

- (MTLSizeAndAlign)heapBufferSizeAndAlignWithLength:(NSUInteger)length options:(MTLResourceOptions)options {
	if (options != MTLResourceStorageModeShared) soft_invalid(self, _cmd, @"options 0x%lx are not used here", (unsigned long)options);
	NSUInteger align = soft_settings.heap_alignment;
	MTLSizeAndAlign s = {(length + align - 1) / align * align, align};
	return s;
}

- (id<MTLHeap>)newHeapWithDescriptor:(MTLHeapDescriptor *)d {
	if (d->type != MTLHeapTypePlacement || d->storage != MTLStorageModeShared || d->hazards != MTLHazardTrackingModeTracked)
		soft_invalid(self, _cmd, @"a heap that is not placed, shared and tracked");
	if (d->size == 0 || d->size % soft_settings.heap_alignment != 0) soft_invalid(self, _cmd, @"size %lu", (unsigned long)d->size);
	return [[SoftHeap alloc] initWithDevice:self length:d->size];
}

- (id<MTLSharedEvent>)newSharedEvent {
	return soft_strikes(&soft_faults.event) ? nil : [SoftEvent new];
}

- (id<MTLLibrary>)newLibraryWithSource:(NSString *)source options:(MTLCompileOptions *)options error:(NSError **)error {
	if (options == nil || options->version != MTLLanguageVersion3_0) soft_invalid(self, _cmd, @"the language is not MSL 3.0");
	return [[SoftLibrary alloc] initWithSource:source error:error];
}

- (id<MTLBinaryArchive>)newBinaryArchiveWithDescriptor:(MTLBinaryArchiveDescriptor *)d error:(NSError **)error {
	return [[SoftArchive alloc] initWithURL:d->url error:error];
}

- (id<MTLComputePipelineState>)newComputePipelineStateWithDescriptor:(MTLComputePipelineDescriptor *)d
                                                             options:(MTLPipelineOption)options
                                                          reflection:(MTLComputePipelineReflection **)reflection
                                                               error:(NSError **)error {
	if (d->function == nil) soft_invalid(self, _cmd, @"computeFunction must not be nil");
	if (reflection != NULL) soft_invalid(self, _cmd, @"reflection is not used here");
	bool kept = false;
	for (SoftArchive *a in d->archives) kept = kept || [a->keys containsObject:[d->function key]];
	if (!kept && (options & MTLPipelineOptionFailOnBinaryArchiveMiss)) {
		if (error != NULL) *error = soft_error(@"CompilerError", 1, @"the pipeline is not in the archives");
		return nil;
	}
	if (!kept) soft_counts.pipelines++;
	return [[SoftPipeline alloc] initWithFunction:d->function];
}

@end
