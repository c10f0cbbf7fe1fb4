//go:build softmetal && linux && cgo

// This file stands in for building an MPSGraph: shapes and types of results, and what MPSGraph
// rejects. Where MPSGraph prints an error and ends the process, an exception is thrown; it names the
// public report of the case.

#import "graph.h"
#include <stdlib.h>

void soft_graph_invalid(NSString *format, ...) {
	va_list arguments;
	va_start(arguments, format);
	NSString *text = [[[NSString alloc] initWithFormat:format arguments:arguments] autorelease];
	va_end(arguments);
	@throw [NSException exceptionWithName:@"MPSGraph" reason:text userInfo:nil];
}

struct soft_shape soft_shape_of(NSArray *dims) {
	struct soft_shape s = {.rank = (uint32_t)[dims count]};
	if (dims == nil || s.rank > SOFT_MAX_RANK) soft_graph_invalid(@"rank %u is not used here", s.rank);
	uint64_t elements = 1;
	for (uint32_t i = 0; i < s.rank; i++) {
		s.dims[i] = [[dims objectAtIndex:i] unsignedLongLongValue];
		elements *= s.dims[i];
		if (s.dims[i] == 0 || s.dims[i] > INT32_MAX || elements > INT32_MAX)
			soft_graph_invalid(@"[MPSNDArray initWithDevice:descriptor:] Error: product of dimension sizes > 2**31"); // pytorch/pytorch#84039
	}
	return s;
}

NSArray *soft_shape_array(struct soft_shape s) {
	NSMutableArray *a = [NSMutableArray array];
	for (uint32_t i = 0; i < s.rank; i++) [a addObject:[NSNumber numberWithUnsignedLongLong:s.dims[i]]];
	return a;
}

bool soft_shape_equal(struct soft_shape a, struct soft_shape b) {
	bool same = a.rank == b.rank;
	for (uint32_t i = 0; same && i < a.rank; i++) same = a.dims[i] == b.dims[i];
	return same;
}

uint64_t soft_elements(struct soft_shape s) {
	uint64_t n = 1;
	for (uint32_t i = 0; i < s.rank; i++) n *= s.dims[i];
	return n;
}

uint64_t soft_type_size(MPSDataType type) {
	return type == MPSDataTypeFloat16 ? 2 : 4;
}

NSString *soft_describe(struct soft_shape s, MPSDataType type) {
	NSMutableString *text = [NSMutableString stringWithString:@"tensor<"];
	for (uint32_t i = 0; i < s.rank; i++) [text appendFormat:@"%llux", (unsigned long long)s.dims[i]];
	[text appendString:type == MPSDataTypeFloat16 ? @"f16>" : @"f32>"];
	return text;
}

@implementation MPSGraphObject
@end

@implementation MPSGraphType
@end

@implementation MPSGraphOperation
@end

@implementation MPSGraphShapedType

- (instancetype)initWithShape:(MPSShape *)s dataType:(MPSDataType)t {
	shape = [s retain];
	type = t;
	return self;
}

- (void)dealloc {
	[shape release];
	[super dealloc];
}

@end

@implementation MPSGraphDevice

+ (instancetype)deviceWithMTLDevice:(id<MTLDevice>)device {
	(void)device;
	return [[MPSGraphDevice new] autorelease];
}

@end

@implementation MPSGraphTensor

- (MPSShape *)shape {
	return soft_shape_array(node->shape);
}

- (MPSDataType)dataType {
	return node->type;
}

- (void)dealloc {
	free(node);
	[super dealloc];
}

@end

@implementation MPSGraphCompilationDescriptor

- (void)setOptimizationLevel:(MPSGraphOptimization)l {
	level = l;
}

@end

@implementation MPSGraphConvolution2DOpDescriptor

+ (instancetype)descriptorWithStrideInX:(NSUInteger)strideInX
                              strideInY:(NSUInteger)strideInY
                        dilationRateInX:(NSUInteger)dilationRateInX
                        dilationRateInY:(NSUInteger)dilationRateInY
                                 groups:(NSUInteger)groups
                            paddingLeft:(NSUInteger)paddingLeft
                           paddingRight:(NSUInteger)paddingRight
                             paddingTop:(NSUInteger)paddingTop
                          paddingBottom:(NSUInteger)paddingBottom
                           paddingStyle:(MPSGraphPaddingStyle)paddingStyle
                             dataLayout:(MPSGraphTensorNamedDataLayout)dataLayout
                          weightsLayout:(MPSGraphTensorNamedDataLayout)weightsLayout {
	if (strideInX == 0 || strideInY == 0) return nil;
	if (dilationRateInX != 1 || dilationRateInY != 1 || groups != 1 || paddingStyle != MPSGraphPaddingStyleExplicit)
		soft_graph_invalid(@"dilation, groups and padding styles are not used here");
	MPSGraphConvolution2DOpDescriptor *d = [[MPSGraphConvolution2DOpDescriptor new] autorelease];
	d->window = (struct soft_window){(uint32_t)strideInX, (uint32_t)strideInY, (uint32_t)paddingLeft, (uint32_t)paddingRight,
		(uint32_t)paddingTop, (uint32_t)paddingBottom, (uint32_t)dataLayout, (uint32_t)weightsLayout};
	return d;
}

@end

@implementation MPSGraph

- (id)init {
	tensors = [NSMutableArray new];
	return self;
}

- (void)dealloc {
	[tensors release];
	[super dealloc];
}

// add makes the tensor of an operation, which the graph keeps.
- (MPSGraphTensor *)add:(enum soft_op)op shape:(struct soft_shape)shape type:(MPSDataType)type of:(MPSGraphTensor *)a and:(MPSGraphTensor *)b {
	if (type != MPSDataTypeFloat32 && type != MPSDataTypeFloat16) soft_graph_invalid(@"data type 0x%x is not used here", type);
	if ((a != nil && a->node->graph != self) || (b != nil && b->node->graph != self)) soft_graph_invalid(@"a tensor of another graph");
	soft_shape_of(soft_shape_array(shape)); // its limits
	MPSGraphTensor *t = [MPSGraphTensor new];
	t->node = calloc(1, sizeof *t->node);
	if (t->node == NULL) abort();
	*t->node = (struct soft_node){.op = op, .shape = shape, .type = type, .graph = self, .operands = {a, b}};
	[tensors addObject:t];
	[t release];
	return t;
}

- (MPSGraphTensor *)placeholderWithShape:(MPSShape *)shape dataType:(MPSDataType)type name:(NSString *)name {
	(void)name;
	return [self add:SOFT_PLACEHOLDER shape:soft_shape_of(shape) type:type of:nil and:nil];
}

- (MPSGraphTensor *)castTensor:(MPSGraphTensor *)t toType:(MPSDataType)type name:(NSString *)name {
	(void)name;
	plain(t);
	return [self add:SOFT_CAST shape:t->node->shape type:type of:t and:nil];
}

- (MPSGraphTensor *)transposeTensor:(MPSGraphTensor *)t dimension:(NSUInteger)a withDimension:(NSUInteger)b name:(NSString *)name {
	(void)name;
	struct soft_shape s = t->node->shape;
	if (a >= s.rank || b >= s.rank) soft_graph_invalid(@"transpose of axes %lu and %lu of rank %u", (unsigned long)a, (unsigned long)b, s.rank);
	uint64_t d = s.dims[a];
	s.dims[a] = s.dims[b];
	s.dims[b] = d;
	MPSGraphTensor *r = [self add:SOFT_TRANSPOSE shape:s type:t->node->type of:t and:nil];
	r->node->axes[0] = (uint32_t)a;
	r->node->axes[1] = (uint32_t)b;
	return r;
}

// plain stops the use of a transposed tensor where the stand-in takes none.
static void plain(MPSGraphTensor *t) {
	if (t->node->op == SOFT_TRANSPOSE) soft_graph_invalid(@"a transposed tensor is used here as the second of a product only");
}

// mixed stops operands that do not fit each other (pytorch/executorch#7904).
static void mixed(MPSGraphTensor *x, MPSGraphTensor *y) {
	soft_graph_invalid(@"error: input types '%@' and '%@' are not broadcast compatible\nLLVM ERROR: Failed to infer result type(s).",
		soft_describe(x->node->shape, x->node->type), soft_describe(y->node->shape, y->node->type));
}

// broadcast is the shape of an element-wise result, where y has the last axes of x. MPSGraph stretches
// axes of 1 as well.
static struct soft_shape broadcast(MPSGraphTensor *x, MPSGraphTensor *y) {
	plain(x);
	plain(y);
	struct soft_shape a = x->node->shape, b = y->node->shape;
	bool fits = x->node->type == y->node->type && b.rank <= a.rank;
	for (uint32_t i = 1; fits && i <= b.rank; i++) fits = a.dims[a.rank - i] == b.dims[b.rank - i];
	if (!fits) mixed(x, y);
	return a;
}

- (MPSGraphTensor *)additionWithPrimaryTensor:(MPSGraphTensor *)a secondaryTensor:(MPSGraphTensor *)b name:(NSString *)name {
	(void)name;
	return [self add:SOFT_ADD shape:broadcast(a, b) type:a->node->type of:a and:b];
}

- (MPSGraphTensor *)matrixMultiplicationWithPrimaryTensor:(MPSGraphTensor *)x secondaryTensor:(MPSGraphTensor *)y name:(NSString *)name {
	(void)name;
	struct soft_shape a = x->node->shape, b = y->node->shape, r = a;
	plain(x);
	if (x->node->type != y->node->type) mixed(x, y);
	if (a.rank < 2 || b.rank != a.rank) soft_graph_invalid(@"error: matmul of ranks %u and %u", a.rank, b.rank);
	uint64_t m = a.dims[a.rank - 2], k = a.dims[a.rank - 1], n = b.dims[b.rank - 1];
	bool fits = k == b.dims[b.rank - 2];
	for (uint32_t i = 0; i + 2 < a.rank; i++) fits = fits && a.dims[i] == b.dims[i];
	if (!fits) // huggingface/trl#4692
		soft_graph_invalid(@"error: incompatible dimensions\nerror: invalid shape\nLLVM ERROR: Failed to infer result type(s).");
	if (m > 32768 || k > 32768 || n > 32768) // pytorch/pytorch#117549; silently wrong in Apple's
		soft_graph_invalid(@"matmul with a side above 32768 is wrong before macOS 14.4");
	r.dims[r.rank - 1] = n;
	return [self add:SOFT_MATMUL shape:r type:x->node->type of:x and:y];
}

- (MPSGraphTensor *)convolution2DWithSourceTensor:(MPSGraphTensor *)x
                                    weightsTensor:(MPSGraphTensor *)y
                                       descriptor:(MPSGraphConvolution2DOpDescriptor *)d
                                             name:(NSString *)name {
	(void)name;
	struct soft_shape a = x->node->shape, b = y->node->shape;
	struct soft_window w = d->window;
	plain(x);
	plain(y);
	if (x->node->type != y->node->type) mixed(x, y);
	if (a.rank != 4 || b.rank != 4) soft_graph_invalid(@"error: conv2d of ranks %u and %u", a.rank, b.rank);
	if (w.data_layout != MPSGraphTensorNamedDataLayoutNHWC || w.weights_layout != MPSGraphTensorNamedDataLayoutOIHW)
		soft_graph_invalid(@"layouts other than NHWC and OIHW are not used here");
	uint64_t h = a.dims[1] + w.top + w.bottom, width = a.dims[2] + w.left + w.right;
	if (a.dims[3] != b.dims[1]) soft_graph_invalid(@"error: %llu input channels, weights for %llu", (unsigned long long)a.dims[3], (unsigned long long)b.dims[1]);
	if (h < b.dims[2] || width < b.dims[3]) soft_graph_invalid(@"error: the kernel is larger than the padded source");
	if (b.dims[0] > 65536) soft_graph_invalid(@"Output channels > 65536 not supported"); // pytorch/pytorch#129207; silently wrong in Apple's
	struct soft_shape r = {4, {a.dims[0], (h - b.dims[2]) / w.stride_y + 1, (width - b.dims[3]) / w.stride_x + 1, b.dims[0]}};
	MPSGraphTensor *t = [self add:SOFT_CONV2D shape:r type:x->node->type of:x and:y];
	t->node->window = w;
	return t;
}

- (MPSGraphExecutable *)compileWithDevice:(MPSGraphDevice *)device
                                    feeds:(MPSGraphTensorShapedTypeDictionary *)feeds
                            targetTensors:(NSArray *)targets
                         targetOperations:(NSArray *)operations
                    compilationDescriptor:(MPSGraphCompilationDescriptor *)descriptor {
	(void)descriptor;
	for (MPSGraphTensor *t in targets) plain(t);
	if (device == nil || [targets count] != 1 || operations != nil) soft_graph_invalid(@"a device, one target and no operations are used here");
	NSMutableArray *order = [NSMutableArray array];
	for (MPSGraphTensor *t in [tensors reverseObjectEnumerator]) { // not the order of creation: nor is it MPSGraph's
		MPSGraphShapedType *type = [feeds objectForKey:t];
		if (t->node->op != SOFT_PLACEHOLDER) continue;
		if (type == nil) soft_graph_invalid(@"a placeholder is not fed");
		if (!soft_shape_equal(soft_shape_of(type->shape), t->node->shape) || type->type != t->node->type)
			soft_graph_invalid(@"a placeholder is fed with another shape or type");
		[order addObject:t];
	}
	if ([order count] != [feeds count]) soft_graph_invalid(@"a feed is no placeholder of the graph");
	MPSGraphExecutable *e = [[MPSGraphExecutable new] autorelease];
	e->tensors = [tensors copy];
	e->feeds = [order retain];
	e->target = [targets objectAtIndex:0];
	return e;
}

@end
