// Matrix products on simdgroup matrices. A threadgroup of four simdgroups computes a tile of the
// result. It stages product_depth columns of its rows of a, and as many of b, in threadgroup memory;
// each simdgroup multiplies its part of them, 8×8 fragments into sums in float. conv2d shares this.

constant constexpr uint product_depth = 16;
constant constexpr uint product_stride = product_depth + 4; // of staged rows, against bank conflicts
constant constexpr uint product_threads = 128;
constant constexpr uint staged_rows = product_threads / (product_depth / 4); // at a time, four elements a thread

// The part of one simdgroup: R×C fragments.
template <uint R, uint C>
struct fragments {
    simdgroup_float8x8 sums[R][C];
};

template <uint R, uint C>
inline void clear(thread fragments<R, C>& part) {
    UNROLL
    for (uint i = 0; i < R; i++) {
        UNROLL
        for (uint j = 0; j < C; j++) {
            part.sums[i][j] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
        }
    }
}

// Adds the product of the staged a, rows of product_stride, and the staged b: such rows too when
// transposed, else product_depth rows of ldb.
template <typename T, uint R, uint C>
inline void multiply_staged(thread fragments<R, C>& part, threadgroup const T* a, threadgroup const T* b, uint ldb, bool transposed) {
    for (uint k = 0; k < product_depth; k += 8) {
        simdgroup_matrix<T, 8, 8> left[R], right[C];
        UNROLL
        for (uint i = 0; i < R; i++) {
            simdgroup_load(left[i], a + i * 8 * product_stride + k, product_stride);
        }
        UNROLL
        for (uint j = 0; j < C; j++) {
            if (transposed) {
                simdgroup_load(right[j], b + j * 8 * product_stride + k, product_stride, ulong2(0, 0), true);
            } else {
                simdgroup_load(right[j], b + k * ldb + j * 8, ldb);
            }
        }
        UNROLL
        for (uint i = 0; i < R; i++) {
            UNROLL
            for (uint j = 0; j < C; j++) {
                simdgroup_multiply_accumulate(part.sums[i][j], left[i], right[j], part.sums[i][j]);
            }
        }
    }
}

// What happens to the sums on their way to y: alpha·sum + bias + residual.
template <typename T>
struct epilogue {
    device uchar* y; // float if output_f32, else T
    device const float* bias;
    device const T* residual;
    uint rows; // of the whole result
    uint columns;
    uint ldy;
    uint residual_rows; // that add the same row of residual
    float alpha;

    void write(uint row, uint column, float sum) const {
        if (column >= columns) {
            return;
        }
        float v = alpha * sum;
        if (has_bias) {
            v += bias[column];
        }
        if (has_residual) {
            v += float(residual[row / residual_rows * columns + column]);
        }
        if (output_f32) {
            ((device float*)y)[row * ldy + column] = v;
        } else {
            ((device T*)y)[row * ldy + column] = T(v);
        }
    }
};

// Writes the part of the result that begins at this row and column.
template <typename T, uint R, uint C>
inline void finish(thread fragments<R, C>& part, epilogue<T> end, uint row, uint column, ushort lane) {
    const ushort2 position = fragment_position(lane);
    UNROLL
    for (uint i = 0; i < R; i++) {
        const uint r = row + i * 8 + position.y;
        if (r >= end.rows) {
            continue;
        }
        UNROLL
        for (uint j = 0; j < C; j++) {
            const uint c = column + j * 8 + position.x;
            end.write(r, c, part.sums[i][j].thread_elements()[0]);
            end.write(r, c + 1, part.sums[i][j].thread_elements()[1]);
        }
    }
}

// A tile of R·8·(4/G) rows and C·8·G columns, for G simdgroups side by side.
template <typename T, uint R, uint C, uint G>
[[max_total_threads_per_threadgroup(product_threads)]]
kernel void gemm(constant gemm_args& args [[buffer(0)]],
                 device const T* a [[buffer(1)]],
                 device const uchar* b [[buffer(2)]],
                 device uchar* y [[buffer(3)]],
                 device const float* bias [[buffer(4), function_constant(has_bias)]],
                 device const T* residual [[buffer(5), function_constant(has_residual)]],
                 uint3 at [[threadgroup_position_in_grid]],
                 ushort thread_index [[thread_index_in_threadgroup]],
                 ushort simdgroup [[simdgroup_index_in_threadgroup]],
                 ushort lane [[thread_index_in_simdgroup]]) {
    constexpr uint rows = R * 8 * (4 / G), columns = C * 8 * G;
    constexpr uint columns_stride = columns + 4; // of staged rows of an untransposed b
    threadgroup vec<T, 4> staged[(rows + columns) * product_stride / 4];
    threadgroup T* staged_a = (threadgroup T*)staged;
    threadgroup T* staged_b = staged_a + rows * product_stride;

    const uint row = at.y * rows, column = at.x * columns;
    const bool aligned_a = (args.lda | args.stride_a) % 4 == 0;
    const bool aligned_b = (args.ldb | args.stride_b) % 4 == 0;
    const uint staged_row = thread_index / (product_depth / 4);
    const uint staged_column = thread_index % (product_depth / 4) * 4;
    const uint part_row = simdgroup / G * R * 8, part_column = simdgroup % G * C * 8;
    const uint matrix_b = at.z * args.stride_b;
    a += at.z * args.stride_a;

    fragments<R, C> part;
    clear(part);
    for (uint block = 0; block < args.k; block += product_depth) {
        const uint k = block + staged_column;
        const uint depth = remaining(args.k, k);
        UNROLL
        for (uint i = 0; i < rows / staged_rows; i++) {
            const uint r = staged_row + i * staged_rows;
            const uint count = row + r < args.m ? depth : 0u;
            *(threadgroup vec<T, 4>*)(staged_a + r * product_stride + staged_column) =
                read4(a + (row + r) * args.lda + k, count, aligned_a);
        }
        if (transpose_b) {
            UNROLL
            for (uint i = 0; i < columns / staged_rows; i++) {
                const uint c = staged_row + i * staged_rows;
                const uint count = column + c < args.n ? depth : 0u;
                *(threadgroup vec<T, 4>*)(staged_b + c * product_stride + staged_column) =
                    vec<T, 4>(read_weights4(b, matrix_b + (column + c) * args.ldb + k, count, aligned_b));
            }
        } else {
            for (uint i = 4 * thread_index; i < product_depth * columns; i += 4 * product_threads) {
                const uint r = i / columns, c = i % columns;
                const uint count = block + r < args.k ? remaining(args.n, column + c) : 0u;
                *(threadgroup vec<T, 4>*)(staged_b + r * columns_stride + c) =
                    vec<T, 4>(read_weights4(b, matrix_b + (block + r) * args.ldb + column + c, count, aligned_b));
            }
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
        multiply_staged(part, staged_a + part_row * product_stride,
                        staged_b + part_column * (transpose_b ? product_stride : 1u), columns_stride, transpose_b);
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    if (has_residual) {
        residual += at.z * ((args.m + args.residual_rows - 1) / args.residual_rows) * args.n;
    }
    y += at.z * args.stride_y * (output_f32 ? sizeof(float) : sizeof(T));
    const epilogue<T> end = {y, bias, residual, args.m, args.n, args.ldy, args.residual_rows, args.alpha};
    finish(part, end, row + part_row, column + part_column, lane);
}

INSTANCE("gemm_64x64_f32", gemm, float, 4, 4, 2)
INSTANCE("gemm_64x64_f16", gemm, half, 4, 4, 2)
INSTANCE("gemm_32x32_f32", gemm, float, 2, 2, 2)
INSTANCE("gemm_32x32_f16", gemm, half, 2, 2, 2)
