// The arguments of every kernel, bound to buffer 0: one struct per kernel, of 4-byte fields only, so
// that no padding depends on a compiler. metal/args.go holds the same structs in Go; a test compares
// them field by field. Tensors have fewer than 2^32 elements, so that 32 bits index them. Sizes,
// strides and offsets count elements unless said otherwise. "Rows" are all dimensions but the last
// taken together, "pixels" are height times width.

// Elementwise.

struct affine_args {
    uint32_t n; // elements
    float scale;
    float shift;
};
static_assert(sizeof(affine_args) == 12, "affine_args");

struct silu_args {
    uint32_t n;
};
static_assert(sizeof(silu_args) == 4, "silu_args");

struct gelu_args {
    uint32_t n;
};
static_assert(sizeof(gelu_args) == 4, "gelu_args");

struct quick_gelu_args {
    uint32_t n;
};
static_assert(sizeof(quick_gelu_args) == 4, "quick_gelu_args");

struct cast_args {
    uint32_t n;
};
static_assert(sizeof(cast_args) == 4, "cast_args");

// a and y have this shape, outermost first; an operand b has these strides, 0 where it is repeated.
struct add_args {
    uint32_t n; // elements of y
    uint32_t shape[4];
    uint32_t stride[4];
};
static_assert(sizeof(add_args) == 36, "add_args");

struct mul_args {
    uint32_t n;
    uint32_t shape[4];
    uint32_t stride[4];
};
static_assert(sizeof(mul_args) == 36, "mul_args");

// x is [rows, 2d]: values, then gates; y is [rows, d].
struct geglu_args {
    uint32_t rows;
    uint32_t d;
};
static_assert(sizeof(geglu_args) == 8, "geglu_args");

struct finite_args {
    uint32_t n;
    uint32_t node; // what the flag becomes, unless it is smaller already
};
static_assert(sizeof(finite_args) == 8, "finite_args");

// Normalisation.

// x is [n, pixels, channels]; each image's pixels are cut into chunks, the last one may be short.
struct group_norm_stats_args {
    uint32_t pixels;
    uint32_t channels;
    uint32_t groups;
    uint32_t chunk; // pixels
    uint32_t chunks; // of an image
};
static_assert(sizeof(group_norm_stats_args) == 20, "group_norm_stats_args");

struct group_norm_args {
    uint32_t pixels;
    uint32_t channels;
    uint32_t groups;
    uint32_t chunk; // as in group_norm_stats_args
    uint32_t chunks;
    uint32_t tile; // pixels that one threadgroup writes
    float eps;
};
static_assert(sizeof(group_norm_args) == 28, "group_norm_args");

struct layer_norm_args {
    uint32_t rows;
    uint32_t d;
    float eps;
};
static_assert(sizeof(layer_norm_args) == 12, "layer_norm_args");

struct softmax_args {
    uint32_t rows;
    uint32_t d;
    float scale; // multiplies x
};
static_assert(sizeof(softmax_args) == 12, "softmax_args");

// Products.

// y = alpha·a·b + bias + residual: a [batch, m, k], b [batch, k, n] or, transposed, [batch, n, k],
// y [batch, m, n]; ld is the distance of rows, stride that of matrices.
struct gemm_args {
    uint32_t m;
    uint32_t n;
    uint32_t k;
    uint32_t lda;
    uint32_t ldb;
    uint32_t ldy;
    uint32_t stride_a;
    uint32_t stride_b;
    uint32_t stride_y;
    uint32_t residual_rows; // rows of y that add the same row of residual [batch, m/residual_rows, n]
    float alpha;
};
static_assert(sizeof(gemm_args) == 44, "gemm_args");

// x [n, h, w, c], weights [out, kernel_h, kernel_w, c], y [n, out_h, out_w, out]; h and w are those of
// the stored x, before an upsampling that the convolution includes.
struct conv2d_args {
    uint32_t n;
    uint32_t h;
    uint32_t w;
    uint32_t c;
    uint32_t out;
    uint32_t out_h;
    uint32_t out_w;
    uint32_t kernel_h;
    uint32_t kernel_w;
    uint32_t stride;
    uint32_t top; // rows of zeros above x; those below follow from out_h
    uint32_t left; // columns of zeros
    uint32_t residual_rows; // pixels of y that add the same row of residual [n·out_h·out_w/residual_rows, out]
};
static_assert(sizeof(conv2d_args) == 52, "conv2d_args");

// q and y are [n, queries, heads·d], k and v are [n, keys, heads·d]; ld is the distance of rows, more
// than heads·d where several are packed into one tensor.
struct attention_args {
    uint32_t queries;
    uint32_t keys;
    uint32_t d;
    uint32_t ldq;
    uint32_t ldk;
    uint32_t ldv;
    uint32_t ldy;
    float scale; // multiplies q·k
};
static_assert(sizeof(attention_args) == 32, "attention_args");

// Layout and resampling.

// y has this shape, outermost first; strides are those of x along the axes of y.
struct permute_args {
    uint32_t n;
    uint32_t shape[4];
    uint32_t stride[4];
};
static_assert(sizeof(permute_args) == 36, "permute_args");

// A block [rows, d] out of x and into y, both starting at an offset and with their own distance of rows.
struct copy_args {
    uint32_t rows;
    uint32_t d;
    uint32_t offset_x;
    uint32_t ldx;
    uint32_t offset_y;
    uint32_t ldy;
};
static_assert(sizeof(copy_args) == 24, "copy_args");

// x is [rows, d], y is [1, d].
struct row_args {
    uint32_t rows;
    uint32_t d;
};
static_assert(sizeof(row_args) == 8, "row_args");

// x is [n, h, w, c], y is [n, out_h, out_w, c].
struct pad_args {
    uint32_t n;
    uint32_t h;
    uint32_t w;
    uint32_t c;
    uint32_t out_h;
    uint32_t out_w;
    uint32_t top;
    uint32_t left;
};
static_assert(sizeof(pad_args) == 32, "pad_args");

// x is [n, h, w, c], y is [n, 2h, 2w, c].
struct upsample_args {
    uint32_t n;
    uint32_t h;
    uint32_t w;
    uint32_t c;
};
static_assert(sizeof(upsample_args) == 16, "upsample_args");

// x is [n, h, w, c] of even h and w, y is [n, h/2, w/2, c].
struct avg_pool2d_args {
    uint32_t n;
    uint32_t h;
    uint32_t w;
    uint32_t c;
};
static_assert(sizeof(avg_pool2d_args) == 16, "avg_pool2d_args");
