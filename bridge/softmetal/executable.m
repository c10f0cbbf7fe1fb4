//go:build softmetal && linux && cgo

// This file stands in for running an MPSGraph: every operation in float32, its result rounded to its
// type. Products and convolutions of float16 are summed in float16 or float32, as the settings say.

#import "graph.h"
#include <stdlib.h>
#include <string.h>

// The value of a tensor: rows of elements, at strides that a transposition may have changed.
struct value {
	float *data;
	bool owned;
	uint64_t strides[SOFT_MAX_RANK];
};

static float *floats(uint64_t n) {
	float *x = malloc(n * sizeof *x);
	if (x == NULL) abort();
	return x;
}

static struct value dense(float *data, struct soft_shape s) {
	struct value v = {data, true, {0}};
	uint64_t stride = 1;
	for (uint32_t i = s.rank; i-- > 0; stride *= s.dims[i]) v.strides[i] = stride;
	return v;
}

static float *load(SoftBuffer *b, struct soft_shape s, MPSDataType type) {
	uint64_t n = soft_elements(s);
	float *x = floats(n);
	if (type == MPSDataTypeFloat16) soft_from_half(x, b->start, n);
	else memcpy(x, b->start, n * sizeof *x);
	return x;
}

// add is a + b, where b has the last axes of a.
static void add(float *to, struct soft_shape s, const float *a, const float *b, struct soft_shape bs) {
	uint64_t n = soft_elements(s), m = soft_elements(bs);
	for (uint64_t i = 0; i < n; i++) to[i] = a[i] + b[i % m];
}

static void matmul(float *to, struct soft_node *t, const struct value *a, const struct value *b, bool half) {
	struct soft_shape s = t->shape;
	struct soft_shape as = t->operands[0]->node->shape;
	uint64_t m = s.dims[s.rank - 2], n = s.dims[s.rank - 1], k = as.dims[as.rank - 1];
	uint64_t batch = soft_elements(s) / (m * n);
	for (uint64_t i = 0; i < batch; i++) {
		struct soft_panels p = soft_pack(b->data + i * k * n, k, n, b->strides[s.rank - 2], b->strides[s.rank - 1]);
		soft_multiply(a->data + i * m * k, m, p, to + i * m * n, half);
		soft_panels_free(p);
	}
	soft_counts.flops += 2 * batch * m * n * k;
}

// patch copies what the kernel sees at one place of the result, [kh, kw, c]; zeros outside.
static void patch(float *to, const float *image, struct soft_shape s, struct soft_shape k, struct soft_window w, uint64_t y, uint64_t x) {
	uint64_t c = s.dims[3];
	for (uint64_t i = 0; i < k.dims[2]; i++)
		for (uint64_t j = 0; j < k.dims[3]; j++, to += c) {
			int64_t row = (int64_t)(y * w.stride_y + i) - w.top, column = (int64_t)(x * w.stride_x + j) - w.left;
			bool inside = row >= 0 && row < (int64_t)s.dims[1] && column >= 0 && column < (int64_t)s.dims[2];
			if (inside) memcpy(to, image + ((uint64_t)row * s.dims[2] + (uint64_t)column) * c, c * sizeof *to);
			else memset(to, 0, c * sizeof *to);
		}
}

static void conv2d(float *to, struct soft_node *t, const float *data, const float *weights, bool half) {
	enum { BLOCK = 48 }; // places per product
	struct soft_shape s = t->operands[0]->node->shape, k = t->operands[1]->node->shape;
	uint64_t c = k.dims[1], area = k.dims[2] * k.dims[3], depth = area * c, out = k.dims[0];
	uint64_t places = t->shape.dims[1] * t->shape.dims[2], width = t->shape.dims[2];
	float *ordered = floats(depth * out), *patches = floats(BLOCK * depth);
	for (uint64_t o = 0; o < out; o++) // OIHW to HWI, O
		for (uint64_t i = 0; i < c; i++)
			for (uint64_t p = 0; p < area; p++) ordered[o * depth + p * c + i] = weights[(o * c + i) * area + p];
	struct soft_panels panels = soft_pack(ordered, depth, out, 1, depth);
	for (uint64_t image = 0; image < s.dims[0]; image++)
		for (uint64_t first = 0; first < places; first += BLOCK) {
			uint64_t count = places - first < BLOCK ? places - first : BLOCK;
			for (uint64_t i = 0; i < count; i++)
				patch(patches + i * depth, data + image * s.dims[1] * s.dims[2] * c, s, k, t->window, (first + i) / width, (first + i) % width);
			soft_multiply(patches, count, panels, to + (image * places + first) * out, half);
		}
	soft_panels_free(panels);
	free(ordered);
	free(patches);
	soft_counts.flops += 2 * s.dims[0] * places * out * depth;
}

@implementation MPSGraphTensorData

- (instancetype)initWithMTLBuffer:(id<MTLBuffer>)b shape:(MPSShape *)s dataType:(MPSDataType)t {
	uint64_t need = soft_elements(soft_shape_of(s)) * soft_type_size(t);
	if ([b length] < need) { // pytorch/pytorch#77851
		[self release];
		soft_graph_invalid(@"[MPSNDArray, initWithBuffer:descriptor:] Error: buffer is not large enough. Must be %llu bytes", (unsigned long long)need);
	}
	buffer = [(SoftBuffer *)b retain];
	shape = [s retain];
	type = t;
	return self;
}

- (void)dealloc {
	[buffer release];
	[shape release];
	[super dealloc];
}

@end

// SoftGraphRun is an executable with its operands.
@interface SoftGraphRun : SoftCommand {
  @public
	MPSGraphExecutable *executable;
	NSArray *inputs;
	MPSGraphTensorData *result;
}
@end

@implementation SoftGraphRun

// compute returns the value of a node, given those of the ones before it.
- (struct value)compute:(struct soft_node *)t values:(const struct value *)values {
	NSArray *tensors = executable->tensors;
	if (t->op == SOFT_PLACEHOLDER) {
		for (NSUInteger i = 0; i < [executable->feeds count]; i++) {
			MPSGraphTensor *feed = [executable->feeds objectAtIndex:i];
			if (feed->node != t) continue;
			MPSGraphTensorData *data = [inputs objectAtIndex:i];
			return dense(load(data->buffer, t->shape, t->type), t->shape);
		}
	}
	const struct value *a = &values[[tensors indexOfObjectIdenticalTo:t->operands[0]]];
	const struct value *b = t->operands[1] == nil ? NULL : &values[[tensors indexOfObjectIdenticalTo:t->operands[1]]];
	if (t->op == SOFT_TRANSPOSE) {
		struct value v = *a;
		v.owned = false;
		v.strides[t->axes[0]] = a->strides[t->axes[1]];
		v.strides[t->axes[1]] = a->strides[t->axes[0]];
		return v;
	}
	uint64_t n = soft_elements(t->shape);
	struct value r = dense(floats(n), t->shape);
	bool half = t->type == MPSDataTypeFloat16;
	if (t->op == SOFT_CAST) memcpy(r.data, a->data, n * sizeof *r.data);
	if (t->op == SOFT_ADD) add(r.data, t->shape, a->data, b->data, t->operands[1]->node->shape);
	if (t->op == SOFT_MATMUL) matmul(r.data, t, a, b, half && soft_settings.half_sums);
	if (t->op == SOFT_CONV2D) conv2d(r.data, t, a->data, b->data, half && soft_settings.half_sums);
	if (half) soft_round_half(r.data, n);
	return r;
}

- (NSString *)run {
	NSUInteger count = [executable->tensors count];
	struct value *values = calloc(count, sizeof *values);
	if (values == NULL) abort();
	for (NSUInteger i = 0; i < count; i++) {
		MPSGraphTensor *t = [executable->tensors objectAtIndex:i];
		values[i] = [self compute:t->node values:values];
	}
	struct soft_node *t = executable->target->node;
	const float *x = values[[executable->tensors indexOfObjectIdenticalTo:executable->target]].data;
	uint64_t n = soft_elements(t->shape);
	if (t->type == MPSDataTypeFloat16) soft_to_half(result->buffer->start, x, n);
	else memcpy(result->buffer->start, x, n * sizeof *x);
	for (NSUInteger i = 0; i < count; i++)
		if (values[i].owned) free(values[i].data);
	free(values);
	soft_counts.graphs++;
	return nil;
}

- (void)dealloc {
	[executable release];
	[inputs release];
	[result release];
	[super dealloc];
}

@end

@implementation MPSGraphExecutable

- (NSArray *)feedTensors {
	return feeds;
}

static bool matches(MPSGraphTensorData *data, MPSGraphTensor *t) {
	return soft_shape_equal(soft_shape_of(data->shape), t->node->shape) && data->type == t->node->type;
}

static uint64_t size(MPSGraphTensorData *data) {
	return soft_elements(soft_shape_of(data->shape)) * soft_type_size(data->type);
}

// overlaps tells whether two tensors share memory; MPSGraph may write a result before it has read
// all operands.
static bool overlaps(MPSGraphTensorData *a, MPSGraphTensorData *b) {
	char *p = a->buffer->start, *q = b->buffer->start;
	return p < q + size(b) && q < p + size(a);
}

- (NSArray *)encodeToCommandBuffer:(MPSCommandBuffer *)commands
                       inputsArray:(NSArray *)inputs
                      resultsArray:(NSArray *)results
               executionDescriptor:(MPSGraphExecutableExecutionDescriptor *)descriptor {
	if ([inputs count] != [feeds count] || [results count] != 1 || descriptor != nil)
		soft_graph_invalid(@"inputs for every feed, one result and no descriptor are used here");
	if (commands->current->encoding) soft_invalid(self, _cmd, @"A command encoder is already encoding to this command buffer");
	if ([commands status] != MTLCommandBufferStatusNotEnqueued) soft_invalid(self, _cmd, @"encoding after commit");
	MPSGraphTensorData *result = [results objectAtIndex:0];
	if (!matches(result, target)) soft_graph_invalid(@"the result has another shape or type");
	for (NSUInteger i = 0; i < [inputs count]; i++) {
		MPSGraphTensorData *input = [inputs objectAtIndex:i];
		if (!matches(input, [feeds objectAtIndex:i])) soft_graph_invalid(@"input %lu has another shape or type than its feed", (unsigned long)i);
		soft_counts.bytes += size(input);
		if (overlaps(input, result)) soft_graph_invalid(@"input %lu shares memory with the result", (unsigned long)i);
	}
	SoftGraphRun *run = [SoftGraphRun new];
	run->executable = [self retain];
	run->inputs = [inputs retain];
	run->result = [result retain];
	[commands->current add:run];
	[run release];
	soft_counts.bytes += size(result);
	static uint32_t encoded;
	if (soft_settings.continue_every > 0 && ++encoded % soft_settings.continue_every == 0) [commands commitAndContinue];
	return results;
}

- (void)dealloc {
	[tensors release];
	[feeds release];
	[super dealloc];
}

@end
