//go:build softmetal && linux && cgo

// This file stands in for the queue and its command buffers. What is committed runs when it is first
// waited for, or when a later command buffer of the queue is: a result that is read too early is not
// there yet.

#import "object.h"
#include <time.h>

NSString *const MTLCommandBufferErrorDomain = @"MTLCommandBufferErrorDomain";

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

@implementation SoftCommand

- (NSString *)run {
	return nil;
}

@end

@implementation SoftQueue

- (id)initWithDevice:(SoftDevice *)d {
	device = [d retain];
	pending = [NSMutableArray new];
	return self;
}

- (id<MTLDevice>)device {
	return device;
}

- (id<MTLCommandBuffer>)commandBuffer {
	return [[[SoftCommandBuffer alloc] initWithQueue:self] autorelease];
}

- (void)dealloc {
	[pending release];
	[device release];
	[super dealloc];
}

@end

@implementation SoftCommandBuffer

- (id)initWithQueue:(SoftQueue *)q {
	queue = [q retain];
	commands = [NSMutableArray new];
	return self;
}

- (void)setLabel:(NSString *)l {
	[l retain];
	[label release];
	label = l;
}

- (void)add:(SoftCommand *)command {
	[commands addObject:command];
}

- (void)begin:(SEL)method {
	if (status != MTLCommandBufferStatusNotEnqueued) soft_invalid(self, method, @"encoding after commit");
	if (encoding) soft_invalid(self, method, @"A command encoder is already encoding to this command buffer");
	encoding = true;
	soft_counts.encoders++;
}

- (id<MTLComputeCommandEncoder>)computeCommandEncoder {
	[self begin:_cmd];
	return [[[SoftComputeEncoder alloc] initWithBuffer:self] autorelease];
}

- (id<MTLBlitCommandEncoder>)blitCommandEncoder {
	[self begin:_cmd];
	return [[[SoftBlitEncoder alloc] initWithBuffer:self] autorelease];
}

- (void)commit {
	if (encoding) soft_invalid(self, _cmd, @"commit command buffer with uncommitted encoder");
	if (status != MTLCommandBufferStatusNotEnqueued) soft_invalid(self, _cmd, @"commit an already committed command buffer");
	status = MTLCommandBufferStatusCommitted;
	soft_counts.command_buffers++;
	[queue->pending addObject:self];
	if (soft_settings.eager) [self finish];
}

// finish runs what the queue holds up to this command buffer.
- (void)finish {
	while (status == MTLCommandBufferStatusCommitted) {
		SoftCommandBuffer *first = [[queue->pending objectAtIndex:0] retain];
		[queue->pending removeObjectAtIndex:0];
		[first run];
		[first release];
	}
}

- (void)run {
	start = now();
	NSString *wrong = nil;
	NSInteger code = MTLCommandBufferErrorInternal;
	if (soft_strikes(&soft_faults.command_buffer)) {
		wrong = @"injected";
		if (soft_faults.code != 0) code = soft_faults.code;
	}
	for (SoftCommand *c in commands) {
		if (wrong != nil) break;
		NSAutoreleasePool *pool = [NSAutoreleasePool new];
		wrong = [[c run] retain];
		[pool release];
		[wrong autorelease];
	}
	stop = now();
	if (wrong != nil) error = [soft_error(MTLCommandBufferErrorDomain, code, @"%@: %@", label, wrong) retain];
	status = wrong != nil ? MTLCommandBufferStatusError : MTLCommandBufferStatusCompleted;
	[commands removeAllObjects]; // Metal too releases what a command buffer used when it is done
}

- (void)waitUntilCompleted {
	if (status < MTLCommandBufferStatusCommitted) soft_invalid(self, _cmd, @"waiting for a command buffer that is not committed");
	if (!waited) soft_counts.waits++;
	waited = true;
	[self finish];
}

- (MTLCommandBufferStatus)status {
	return status;
}

- (NSError *)error {
	return error;
}

- (double)GPUStartTime {
	return start;
}

- (double)GPUEndTime {
	return stop;
}

- (void)dealloc {
	[queue release];
	[commands release];
	[label release];
	[error release];
	[super dealloc];
}

@end

@implementation MPSCommandBuffer

+ (instancetype)commandBufferWithCommandBuffer:(id<MTLCommandBuffer>)buffer {
	MPSCommandBuffer *b = [[MPSCommandBuffer new] autorelease];
	b->current = [(SoftCommandBuffer *)buffer retain];
	return b;
}

- (id<MTLCommandBuffer>)commandBuffer {
	return current;
}

- (void)commitAndContinue {
	SoftCommandBuffer *next = [[SoftCommandBuffer alloc] initWithQueue:current->queue];
	[next setLabel:current->label];
	[current commit];
	[current release];
	current = next;
}

- (void)setLabel:(NSString *)label {
	[current setLabel:label];
}

- (id<MTLComputeCommandEncoder>)computeCommandEncoder {
	return [current computeCommandEncoder];
}

- (id<MTLBlitCommandEncoder>)blitCommandEncoder {
	return [current blitCommandEncoder];
}

- (void)commit {
	[current commit];
}

- (void)waitUntilCompleted {
	[current waitUntilCompleted];
}

- (MTLCommandBufferStatus)status {
	return [current status];
}

- (NSError *)error {
	return [current error];
}

- (double)GPUStartTime {
	return [current GPUStartTime];
}

- (double)GPUEndTime {
	return [current GPUEndTime];
}

- (void)dealloc {
	[current release];
	[super dealloc];
}

@end
