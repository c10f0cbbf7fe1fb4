// What the two halves of the MPSGraph stand-in, building and running, share.
#import "object.h"
#include "product.h"

enum { SOFT_MAX_RANK = 4 };

enum soft_op { SOFT_PLACEHOLDER, SOFT_CAST, SOFT_TRANSPOSE, SOFT_ADD, SOFT_MATMUL, SOFT_CONV2D };

struct soft_shape {
	uint32_t rank;
	uint64_t dims[SOFT_MAX_RANK];
};

struct soft_node {
	enum soft_op op;
	struct soft_shape shape;
	MPSDataType type;
	MPSGraph *graph;            // not retained
	MPSGraphTensor *operands[2]; // not retained: the graph's list holds them
	uint32_t axes[2];           // transpose
	struct soft_window window;  // conv2d
};

// Stops what MPSGraph ends the process for, with its words where they are known.
void soft_graph_invalid(NSString *format, ...) __attribute__((noreturn));

struct soft_shape soft_shape_of(NSArray *dims);
NSArray *soft_shape_array(struct soft_shape);
bool soft_shape_equal(struct soft_shape, struct soft_shape);
uint64_t soft_elements(struct soft_shape);
NSString *soft_describe(struct soft_shape, MPSDataType); // "tensor<8x128xf32>"
uint64_t soft_type_size(MPSDataType);
