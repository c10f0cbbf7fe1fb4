// Convolution as a matrix product whose left operand is never stored: a row is a pixel of y, its
// columns are the channels of x under each tap of the kernel in turn, gathered while they are staged
// (implicit GEMM, Chetlur et al. 2014, arXiv:1410.0759, section 3). The right operand is the weights
// [out, kernel_h·kernel_w·c].

// Where the pixels under the taps of one pixel of y are.
struct receptive_field {
    uint image; // the row of pixels of x, over all images, where the image begins
    int row;    // of the first tap, in the image as the convolution sees it; may lie outside
    int column;
};

constant constexpr int outside = -0x40000000; // a row on which no tap of any pixel lies

inline receptive_field receptive_field_of(constant conv2d_args& args, uint pixel) {
    const uint area = args.out_h * args.out_w;
    const uint within = pixel % area;
    const bool exists = pixel < args.n * area;
    return receptive_field{pixel / area * args.h,
                           exists ? int(within / args.out_w * args.stride) - int(args.top) : outside,
                           int(within % args.out_w * args.stride) - int(args.left)};
}

// The index of the pixel of x under a tap, -1 where the tap lies on a zero.
inline int pixel_under(constant conv2d_args& args, receptive_field field, uint tap) {
    const uint scale = upsamples ? 2 : 1;
    const uint row = uint(field.row + int(tap / args.kernel_w)); // large if it was negative
    const uint column = uint(field.column + int(tap % args.kernel_w));
    if (row >= args.h * scale || column >= args.w * scale) {
        return -1;
    }
    return int((field.image + row / scale) * args.w + column / scale);
}

// Four neighbours of a row that holds the channels under all taps.
template <typename T>
inline vec<T, 4> gather4(constant conv2d_args& args, device const T* x, receptive_field field, uint first, uint count) {
    vec<T, 4> v = vec<T, 4>(T(0));
    for (uint i = 0; i < min(count, 4u); i++) {
        const int pixel = pixel_under(args, field, (first + i) / args.c);
        if (pixel >= 0) {
            v[i] = x[uint(pixel) * args.c + (first + i) % args.c];
        }
    }
    return v;
}

// A tile as in gemm.
template <typename T, uint R, uint C, uint G>
[[max_total_threads_per_threadgroup(product_threads)]]
kernel void conv2d(constant conv2d_args& args [[buffer(0)]],
                   device const T* x [[buffer(1)]],
                   device const uchar* weight [[buffer(2)]],
                   device uchar* y [[buffer(3)]],
                   device const float* bias [[buffer(4), function_constant(has_bias)]],
                   device const T* residual [[buffer(5), function_constant(has_residual)]],
                   uint3 at [[threadgroup_position_in_grid]],
                   ushort thread_index [[thread_index_in_threadgroup]],
                   ushort simdgroup [[simdgroup_index_in_threadgroup]],
                   ushort lane [[thread_index_in_simdgroup]]) {
    constexpr uint rows = R * 8 * (4 / G), columns = C * 8 * G;
    constexpr uint fields = rows / staged_rows; // that one thread gathers
    threadgroup vec<T, 4> staged[(rows + columns) * product_stride / 4];
    threadgroup T* staged_x = (threadgroup T*)staged;
    threadgroup T* staged_weight = staged_x + rows * product_stride;

    const uint row = at.y * rows, column = at.x * columns;
    const uint staged_row = thread_index / (product_depth / 4);
    const uint staged_column = thread_index % (product_depth / 4) * 4;
    const uint part_row = simdgroup / G * R * 8, part_column = simdgroup % G * C * 8;
    receptive_field field[fields];
    UNROLL
    for (uint i = 0; i < fields; i++) {
        field[i] = receptive_field_of(args, row + staged_row + i * staged_rows);
    }

    // Few channels would leave most of a staged row empty: there all taps make up one row.
    const uint length = args.kernel_h * args.kernel_w * args.c; // of a row of weights
    const uint taps = few_channels ? 1 : args.kernel_h * args.kernel_w;
    const uint depth = few_channels ? length : args.c;
    const bool aligned = depth % 4 == 0;

    fragments<R, C> part;
    clear(part);
    for (uint tap = 0; tap < taps; tap++) {
        int under[fields];
        UNROLL
        for (uint i = 0; i < fields; i++) {
            under[i] = pixel_under(args, field[i], tap);
        }
        for (uint block = 0; block < depth; block += product_depth) {
            const uint k = block + staged_column;
            const uint count = remaining(depth, k);
            UNROLL
            for (uint i = 0; i < fields; i++) {
                vec<T, 4> v = vec<T, 4>(T(0));
                if (few_channels) {
                    v = gather4(args, x, field[i], k, count);
                } else if (under[i] >= 0) {
                    v = read4(x + uint(under[i]) * args.c + k, count, aligned);
                }
                *(threadgroup vec<T, 4>*)(staged_x + (staged_row + i * staged_rows) * product_stride + staged_column) = v;
            }
            for (uint c = staged_row; c < columns; c += staged_rows) {
                const uint from = (column + c) * length + tap * args.c + k;
                *(threadgroup vec<T, 4>*)(staged_weight + c * product_stride + staged_column) =
                    vec<T, 4>(read_weights4(weight, from, column + c < args.out ? count : 0u, aligned));
            }
            threadgroup_barrier(mem_flags::mem_threadgroup);
            multiply_staged(part, staged_x + part_row * product_stride, staged_weight + part_column * product_stride, 0u, true);
            threadgroup_barrier(mem_flags::mem_threadgroup);
        }
    }
    const uint pixels = args.n * args.out_h * args.out_w;
    const epilogue<T> end = {y, bias, residual, pixels, args.out, args.out, args.residual_rows, 1.0f};
    finish(part, end, row + part_row, column + part_column, lane);
}

INSTANCE("conv2d_64x64_f32", conv2d, float, 4, 4, 2)
INSTANCE("conv2d_64x64_f16", conv2d, half, 4, 4, 2)
INSTANCE("conv2d_32x32_f32", conv2d, float, 2, 2, 2)
INSTANCE("conv2d_32x32_f16", conv2d, half, 2, 2, 2)
INSTANCE("conv2d_128x8_f32", conv2d, float, 4, 1, 1)
INSTANCE("conv2d_128x8_f16", conv2d, half, 4, 1, 1)
