//go:build softmetal && linux && cgo

// This file stands in for the queue, its command buffers and the events they wait for. What is committed
// runs when it is first waited for, or when a later command buffer of the queue is: a result that is read
// too early is not there yet. With the setting eager it runs at once, or when its event is signalled: an
// input that is written too late is not there yet.
//
// Who waits for a command buffer that itself waits for an event waits forever, for nobody else is there
// to signal it. Here the command buffer ends in an error.

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

@implementation SoftEvent

- (id)init {
	queues = [NSMutableSet new];
	return self;
}

- (void)setLabel:(NSString *)label {
	(void)label;
}

- (uint64_t)signaledValue {
	return value;
}

- (void)setSignaledValue:(uint64_t)v {
	if (v < value) soft_invalid(self, _cmd, @"%llu is less than the value %llu", (unsigned long long)v, (unsigned long long)value);
	value = v;
	if (!soft_settings.eager) return;
	for (SoftQueue *q in queues) [q advance];
}

- (void)dealloc {
	[queues release];
	[super dealloc];
}

@end

@implementation SoftWait

- (bool)over {
	return soft_faults.no_waits || event->value >= value;
}

- (void)dealloc {
	[event release];
	[super dealloc];
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

- (void)advance {
	while ([pending count] > 0) {
		SoftCommandBuffer *first = [pending objectAtIndex:0];
		if ([first run] != nil) return;
		[pending removeObjectAtIndex:0];
	}
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

- (void)encodeWaitForEvent:(id<MTLEvent>)event value:(uint64_t)value {
	if (status != MTLCommandBufferStatusNotEnqueued) soft_invalid(self, _cmd, @"encoding after commit");
	if (encoding) soft_invalid(self, _cmd, @"a wait inside an encoder");
	SoftWait *w = [SoftWait new];
	w->event = [(SoftEvent *)event retain];
	w->value = value;
	[w->event->queues addObject:queue];
	[commands addObject:w];
	[w release];
}

- (void)commit {
	if (encoding) soft_invalid(self, _cmd, @"commit command buffer with uncommitted encoder");
	if (status != MTLCommandBufferStatusNotEnqueued) soft_invalid(self, _cmd, @"commit an already committed command buffer");
	status = MTLCommandBufferStatusCommitted;
	soft_counts.command_buffers++;
	[queue->pending addObject:self];
	if (soft_settings.eager) [queue advance];
}

// finish runs what the queue holds up to this command buffer.
- (void)finish {
	while (status == MTLCommandBufferStatusCommitted) {
		SoftCommandBuffer *first = [[queue->pending objectAtIndex:0] retain];
		[queue->pending removeObjectAtIndex:0];
		NSString *waits = [first run];
		if (waits != nil) {
			soft_counts.deadlocks++;
			[first end:[NSString stringWithFormat:@"deadlock: %@, and nobody is left to signal it", waits]];
		}
		[first release];
	}
}

- (NSString *)run {
	NSString *wrong = nil;
	if (!running) {
		running = true;
		start = now();
		if (soft_strikes(&soft_faults.command_buffer)) {
			[self end:@"injected"];
			return nil;
		}
	}
	for (; wrong == nil && next < [commands count]; next++) {
		SoftCommand *c = [commands objectAtIndex:next];
		if ([c isKindOfClass:[SoftWait class]]) {
			SoftWait *w = (SoftWait *)c;
			if (![w over])
				return [NSString stringWithFormat:@"it waits for the value %llu of an event that has %llu", (unsigned long long)w->value,
					(unsigned long long)w->event->value];
			continue;
		}
		NSAutoreleasePool *pool = [NSAutoreleasePool new];
		wrong = [[c run] retain];
		[pool release];
		[wrong autorelease];
	}
	[self end:wrong];
	return nil;
}

- (void)end:(NSString *)wrong {
	stop = now();
	NSInteger code = soft_faults.code != 0 && [wrong isEqualToString:@"injected"] ? soft_faults.code : MTLCommandBufferErrorInternal;
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

- (void)encodeWaitForEvent:(id<MTLEvent>)event value:(uint64_t)value {
	[current encodeWaitForEvent:event value:value];
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
