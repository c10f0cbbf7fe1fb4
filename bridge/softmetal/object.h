// What the stand-ins share: settings, their base class, and the classes that implement Metal's
// protocols.
#import <Foundation/Foundation.h>
#include "runtime/softmetal_runtime.h"
#include "softmetal.h"

// SoftObject counts the stand-ins' objects. What Metal copies, descriptors and the tensors that are
// keys of dictionaries, is never changed after, so a copy is the thing itself.
@interface SoftObject : NSObject
- (id)copyWithZone:(NSZone *)zone;
@end

@class SoftFunction, SoftBuffer, SoftCommandBuffer;

// A value of a function constant.
struct soft_constant {
	uint32_t index, size, type; // type: enum sm_type
	unsigned char value[8];
};

enum { SOFT_MAX_CONSTANTS = 64 };

// The instance variables of Metal's own classes.
#define MTL_ROOT SoftObject
#define MTL_FIELDS(class) { @public SOFT_##class }
#define SOFT_MTLArchitecture
#define SOFT_MTLHeapDescriptor NSUInteger size; MTLStorageMode storage; MTLHazardTrackingMode hazards; MTLHeapType type;
#define SOFT_MTLCompileOptions MTLLanguageVersion version;
#define SOFT_MTLFunctionConstantValues struct soft_constant values[SOFT_MAX_CONSTANTS]; uint32_t count;
#define SOFT_MTLComputePipelineDescriptor SoftFunction *function; NSArray *archives;
#define SOFT_MTLBinaryArchiveDescriptor NSURL *url;
#define SOFT_MPSCommandBuffer SoftCommandBuffer *current;
#define SOFT_MPSGraphObject
#define SOFT_MPSGraphType
#define SOFT_MPSGraphShapedType NSArray *shape; MPSDataType type;
#define SOFT_MPSGraphDevice
#define SOFT_MPSGraphOperation
#define SOFT_MPSGraphTensor struct soft_node *node;
#define SOFT_MPSGraphTensorData SoftBuffer *buffer; NSArray *shape; MPSDataType type;
#define SOFT_MPSGraphCompilationDescriptor MPSGraphOptimization level;
#define SOFT_MPSGraphExecutable NSArray *tensors, *feeds; MPSGraphTensor *target;
#define SOFT_MPSGraphConvolution2DOpDescriptor struct soft_window window;
#define SOFT_MPSGraph NSMutableArray *tensors;

struct soft_window { // of a convolution
	uint32_t stride_x, stride_y, left, right, top, bottom, data_layout, weights_layout;
};

#import <Metal/Metal.h>
#import <MetalPerformanceShadersGraph/MetalPerformanceShadersGraph.h>

extern struct soft_settings soft_settings;
extern struct soft_faults soft_faults;
extern struct soft_counts soft_counts;

void soft_start(void); // reads the environment, the first time

// Whether a fault that counts down strikes now.
bool soft_strikes(uint32_t *countdown);

// Stops a wrong call with a message in the form of Apple's validation layer. It ends the process
// unless a test catches it: an NSException.
void soft_invalid(id object, SEL method, NSString *format, ...) __attribute__((noreturn));

NSError *soft_error(NSString *domain, NSInteger code, NSString *format, ...);

@interface SoftDevice : SoftObject <MTLDevice> {
  @public
	uint64_t allocated; // bytes
}
// Whether the device gives length bytes more; counts them if so.
- (bool)take:(NSUInteger)length;
- (void)giveBack:(NSUInteger)length;
@end

// Memory between two pages that may not be touched. Its end is as near to the second as an alignment
// of 16 allows; the bytes between are checked when it is freed.
struct soft_pages {
	char *start, *map;
	size_t length, mapped;
};

bool soft_pages_make(struct soft_pages *, size_t length); // zero-filled
void soft_pages_free(struct soft_pages *);

@interface SoftHeap : SoftObject <MTLHeap> {
  @public
	SoftDevice *device;
	struct soft_pages pages;
}
- (id)initWithDevice:(SoftDevice *)device length:(NSUInteger)length;
@end

@interface SoftBuffer : SoftObject <MTLBuffer> {
  @public
	SoftDevice *device;      // of which it takes memory, or nil
	SoftHeap *heap;          // in which it lies, or nil
	struct soft_pages pages; // its own, or empty
	char *start;
	NSUInteger length;
}
- (id)initWithDevice:(SoftDevice *)device length:(NSUInteger)length;
- (id)initWithBytes:(void *)bytes length:(NSUInteger)length;
- (id)initWithHeap:(SoftHeap *)heap offset:(NSUInteger)offset length:(NSUInteger)length;
@end

@interface SoftLibrary : SoftObject <MTLLibrary> {
  @public
	struct sm_library *library;
	uint64_t hash; // of the source
}
- (id)initWithSource:(NSString *)source error:(NSError **)error;
@end

@interface SoftFunction : SoftObject <MTLFunction> {
  @public
	SoftLibrary *library;
	const struct sm_kernel *kernel;
	struct soft_constant constants[SOFT_MAX_CONSTANTS];
	uint32_t count;
}
// Names the function and its constants, in an archive.
- (NSString *)key;
@end

@interface SoftPipeline : SoftObject <MTLComputePipelineState> {
  @public
	SoftFunction *function;
}
- (id)initWithFunction:(SoftFunction *)function;
@end

@interface SoftArchive : SoftObject <MTLBinaryArchive> {
  @public
	NSMutableSet *keys;
}
- (id)initWithURL:(NSURL *)url error:(NSError **)error;
@end

// A command of a command buffer.
@interface SoftCommand : SoftObject
// Does it; returns what went wrong, or nil.
- (NSString *)run;
@end

// A number, and the queues in which command buffers may wait for it.
@interface SoftEvent : SoftObject <MTLSharedEvent> {
  @public
	uint64_t value;
	NSMutableSet *queues;
}
@end

// SoftWait is the command to wait for an event.
@interface SoftWait : SoftCommand {
  @public
	SoftEvent *event;
	uint64_t value;
}
- (bool)over;
@end

@interface SoftQueue : SoftObject <MTLCommandQueue> {
  @public
	SoftDevice *device;
	NSMutableArray *pending; // command buffers committed and not run, in order
}
- (id)initWithDevice:(SoftDevice *)device;
- (void)advance; // runs what is committed, up to a command buffer that has to wait
@end

@interface SoftCommandBuffer : SoftObject <MTLCommandBuffer> {
  @public
	SoftQueue *queue;
	NSMutableArray *commands;
	NSString *label;
	NSError *error;
	MTLCommandBufferStatus status;
	bool encoding; // an encoder is open
	bool waited;
	bool running;
	NSUInteger next; // of the commands to run
	double start, stop; // seconds
}
- (id)initWithQueue:(SoftQueue *)queue;
- (void)add:(SoftCommand *)command;
- (NSString *)run; // returns nil at the end, or what it waits for before it goes on
- (void)end:(NSString *)wrong; // with an error unless that is nil
@end

// The common part of the encoders.
@interface SoftEncoder : SoftObject <MTLCommandEncoder> {
  @public
	SoftCommandBuffer *buffer;
	bool ended;
}
- (id)initWithBuffer:(SoftCommandBuffer *)buffer;
- (void)check:(SEL)method; // that encoding has not ended
@end

@interface SoftComputeEncoder : SoftEncoder <MTLComputeCommandEncoder> {
  @public
	SoftPipeline *pipeline;
	id bound[SM_MAX_BUFFERS]; // SoftBuffer, or NSData of setBytes, or nil
	NSUInteger offsets[SM_MAX_BUFFERS];
	uint32_t threadgroup[SM_MAX_BUFFERS];
}
@end

@interface SoftBlitEncoder : SoftEncoder <MTLBlitCommandEncoder>
@end
