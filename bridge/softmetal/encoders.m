//go:build softmetal && linux && cgo

// This file stands in for the encoders. It stops what Metal's validation layer stops; the rest is for
// the kernel runtime to find.

#import "object.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// SoftDispatch is a kernel with its bindings, as they were when it was encoded.
@interface SoftDispatch : SoftCommand {
  @public
	SoftPipeline *pipeline;
	id bound[SM_MAX_BUFFERS];
	NSUInteger offsets[SM_MAX_BUFFERS];
	struct sm_launch launch;
}
@end

@implementation SoftDispatch

- (NSString *)run {
	struct sm_binding bindings[SM_MAX_BUFFERS];
	struct sm_constant constants[SOFT_MAX_CONSTANTS];
	SoftFunction *f = pipeline->function;
	launch.bindings = bindings;
	launch.constants = constants;
	launch.binding_count = 0;
	launch.constant_count = f->count;
	for (uint32_t i = 0; i < SM_MAX_BUFFERS; i++) {
		if (bound[i] == nil) continue;
		struct sm_binding *b = &bindings[launch.binding_count++];
		b->index = i;
		if ([bound[i] isKindOfClass:[SoftBuffer class]]) {
			SoftBuffer *buffer = bound[i];
			b->bytes = buffer->start + offsets[i];
			b->length = buffer->length - offsets[i];
		} else {
			b->bytes = [(NSMutableData *)bound[i] mutableBytes];
			b->length = [(NSMutableData *)bound[i] length];
		}
	}
	for (uint32_t i = 0; i < f->count; i++) {
		constants[i].value = f->constants[i].value;
		constants[i].size = f->constants[i].size;
		constants[i].index = f->constants[i].index;
	}
	soft_counts.launches++;
	struct sm_options options = {soft_settings.seed, sm_library_checked(f->library->library) ? soft_settings.checkers : 0};
	struct sm_fault fault = {0};
	if (sm_dispatch(f->library->library, f->kernel, &launch, &options, &fault)) return nil;
	return [NSString stringWithUTF8String:fault.message];
}

- (void)dealloc {
	[pipeline release];
	for (int i = 0; i < SM_MAX_BUFFERS; i++) [bound[i] release];
	[super dealloc];
}

@end

@interface SoftCopy : SoftCommand {
  @public
	SoftBuffer *from, *to;
	NSUInteger fromOffset, toOffset, size;
}
@end

@implementation SoftCopy

- (NSString *)run {
	char *target = to->start + toOffset, *source = from->start + fromOffset;
	if (target < source + size && source < target + size) return @"copy: source and destination overlap";
	memcpy(target, source, size);
	soft_counts.copies++;
	soft_counts.bytes += 2 * size;
	return nil;
}

- (void)dealloc {
	[from release];
	[to release];
	[super dealloc];
}

@end

@implementation SoftEncoder

- (id)initWithBuffer:(SoftCommandBuffer *)b {
	buffer = [b retain];
	return self;
}

- (void)check:(SEL)method {
	if (ended) soft_invalid(self, method, @"encoding has ended");
}

- (void)setLabel:(NSString *)label {
	(void)label;
}

- (void)endEncoding {
	[self check:_cmd];
	ended = true;
	buffer->encoding = false;
}

- (void)dealloc {
	if (!ended) {
		fputs("softmetal: Command encoder released without endEncoding\n", stderr);
		abort();
	}
	[buffer release];
	[super dealloc];
}

@end

@implementation SoftComputeEncoder

- (void)setComputePipelineState:(id<MTLComputePipelineState>)state {
	[self check:_cmd];
	if (state == nil) soft_invalid(self, _cmd, @"computePipelineState must not be nil");
	[state retain];
	[pipeline release];
	pipeline = (SoftPipeline *)state;
}

- (void)bind:(id)what offset:(NSUInteger)offset atIndex:(NSUInteger)index method:(SEL)method {
	[self check:method];
	if (index >= SM_MAX_BUFFERS) soft_invalid(self, method, @"buffer binding index (%lu) must be < %d", (unsigned long)index, SM_MAX_BUFFERS);
	[what retain];
	[bound[index] release];
	bound[index] = what;
	offsets[index] = offset;
}

- (void)setBytes:(const void *)bytes length:(NSUInteger)length atIndex:(NSUInteger)index {
	if (length == 0 || length >= 4096) soft_invalid(self, _cmd, @"length(%lu) must be smaller than 4 kilobytes", (unsigned long)length);
	[self bind:[NSMutableData dataWithBytes:bytes length:length] offset:0 atIndex:index method:_cmd];
}

- (void)setBuffer:(id<MTLBuffer>)b offset:(NSUInteger)offset atIndex:(NSUInteger)index {
	if (b != nil && offset >= [b length])
		soft_invalid(self, _cmd, @"offset(%lu) must be < [buffer length](%lu)", (unsigned long)offset, (unsigned long)[b length]);
	[self bind:b offset:offset atIndex:index method:_cmd];
}

- (void)setThreadgroupMemoryLength:(NSUInteger)length atIndex:(NSUInteger)index {
	[self check:_cmd];
	if (length % SM_THREADGROUP_ALIGNMENT != 0) soft_invalid(self, _cmd, @"length(%lu) must be a multiple of 16 bytes.", (unsigned long)length);
	if (length > SM_MAX_THREADGROUP_BYTES) soft_invalid(self, _cmd, @"length(%lu) must be <= %d.", (unsigned long)length, SM_MAX_THREADGROUP_BYTES);
	if (index >= SM_MAX_BUFFERS) soft_invalid(self, _cmd, @"index(%lu) must be < %d", (unsigned long)index, SM_MAX_BUFFERS);
	threadgroup[index] = (uint32_t)length;
}

- (void)dispatchThreadgroups:(MTLSize)grid threadsPerThreadgroup:(MTLSize)threads {
	[self check:_cmd];
	if (pipeline == nil) soft_invalid(self, _cmd, @"A Metal pipeline state must be set");
	NSUInteger most = [pipeline maxTotalThreadsPerThreadgroup], all = threads.width * threads.height * threads.depth;
	if (all == 0 || all > most) soft_invalid(self, _cmd, @"threadsPerThreadgroup(%lu) must be <= %lu. (kernel threadgroup size limit)", (unsigned long)all, (unsigned long)most);
	if (grid.width * grid.height * grid.depth == 0) soft_invalid(self, _cmd, @"threadgroupsPerGrid must not be 0.");
	SoftDispatch *d = [SoftDispatch new];
	d->pipeline = [pipeline retain];
	for (int i = 0; i < SM_MAX_BUFFERS; i++) {
		d->bound[i] = [bound[i] retain];
		d->offsets[i] = offsets[i];
		d->launch.threadgroup_bytes[i] = threadgroup[i];
	}
	d->launch.grid = (struct sm_size){(uint32_t)grid.width, (uint32_t)grid.height, (uint32_t)grid.depth};
	d->launch.group = (struct sm_size){(uint32_t)threads.width, (uint32_t)threads.height, (uint32_t)threads.depth};
	[buffer add:d];
	[d release];
}

- (void)dealloc {
	[pipeline release];
	for (int i = 0; i < SM_MAX_BUFFERS; i++) [bound[i] release];
	[super dealloc];
}

@end

@implementation SoftBlitEncoder

- (void)copyFromBuffer:(id<MTLBuffer>)source
          sourceOffset:(NSUInteger)sourceOffset
              toBuffer:(id<MTLBuffer>)destination
     destinationOffset:(NSUInteger)destinationOffset
                  size:(NSUInteger)size {
	[self check:_cmd];
	SoftBuffer *from = (SoftBuffer *)source, *to = (SoftBuffer *)destination;
	if (sourceOffset > from->length || size > from->length - sourceOffset) soft_invalid(self, _cmd, @"sourceOffset + size is beyond the source");
	if (destinationOffset > to->length || size > to->length - destinationOffset) soft_invalid(self, _cmd, @"destinationOffset + size is beyond the destination");
	if (sourceOffset % 4 != 0 || destinationOffset % 4 != 0 || size % 4 != 0) soft_invalid(self, _cmd, @"offsets and size must be multiples of 4");
	SoftCopy *c = [SoftCopy new];
	c->from = [from retain];
	c->to = [to retain];
	c->fromOffset = sourceOffset;
	c->toOffset = destinationOffset;
	c->size = size;
	[buffer add:c];
	[c release];
}

@end
