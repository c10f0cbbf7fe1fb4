// softmax(QKᵀ·scale)V of every head without storing the scores (Dao et al. 2022, arXiv:2205.14135,
// algorithm 1). A threadgroup has 32 queries of one head, each of its four simdgroups 8 of them; all
// go through the keys and values a block at a time. Of each query the largest score and the sum of
// exponentials so far are kept; what has been summed up is scaled down when a larger score comes.
// Exponentials are powers of 2.

constant constexpr uint attention_threads = 128;
constant constexpr uint attention_queries = 32;

// Stages rows of d elements, padded by zeros to D, in rows of D + 8, the distance that avoids bank
// conflicts; rows from count on are zero.
template <typename T, uint D>
inline void stage(threadgroup T* to, device const T* from, uint rows, uint count, uint d, uint ld, uint thread_index) {
    const bool aligned = (d | ld) % 4 == 0;
    for (uint i = thread_index; i < rows * (D / 4); i += attention_threads) {
        const uint row = i / (D / 4), column = i % (D / 4) * 4;
        *(threadgroup vec<T, 4>*)(to + row * (D + 8) + column) =
            read4(from + row * ld + column, row < count ? remaining(d, column) : 0u, aligned);
    }
}

// The largest, and the sum, of the values that four lanes hold of one row of a simdgroup matrix;
// lanes of a row differ in bits 0 and 3.
inline float row_max(float v) {
    v = max(v, simd_shuffle_xor(v, 1));
    return max(v, simd_shuffle_xor(v, 8));
}

inline float row_sum(float v) {
    v += simd_shuffle_xor(v, 1);
    return v + simd_shuffle_xor(v, 8);
}

template <typename T, uint D, uint Keys>
[[max_total_threads_per_threadgroup(attention_threads)]]
kernel void attention(constant attention_args& args [[buffer(0)]],
                      device const T* q [[buffer(1)]],
                      device const T* k [[buffer(2)]],
                      device const T* v [[buffer(3)]],
                      device T* y [[buffer(4)]],
                      uint3 at [[threadgroup_position_in_grid]],
                      ushort thread_index [[thread_index_in_threadgroup]],
                      ushort simdgroup [[simdgroup_index_in_threadgroup]],
                      ushort lane [[thread_index_in_simdgroup]]) {
    constexpr uint stride = D + 8;
    threadgroup vec<T, 4> staged[2 * Keys * stride / 4];
    threadgroup T* staged_k = (threadgroup T*)staged;
    threadgroup T* staged_v = staged_k + Keys * stride;

    const uint first = at.x * attention_queries;
    q += (at.z * args.queries + first) * args.ldq + at.y * args.d;
    k += at.z * args.keys * args.ldk + at.y * args.d;
    v += at.z * args.keys * args.ldv + at.y * args.d;
    y += at.z * args.queries * args.ldy + at.y * args.d;

    simdgroup_matrix<T, 8, 8> query[D / 8];
    stage<T, D>(staged_k, q, attention_queries, args.queries - first, args.d, args.ldq, thread_index);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    UNROLL
    for (uint i = 0; i < D / 8; i++) {
        simdgroup_load(query[i], staged_k + simdgroup * 8 * stride + i * 8, stride);
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);

    simdgroup_float8x8 result[D / 8];
    UNROLL
    for (uint i = 0; i < D / 8; i++) {
        result[i] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
    }
    const ushort2 position = fragment_position(lane);
    const uint row = first + simdgroup * 8 + position.y;
    const float scale = args.scale * log2_e;
    float most = lowest, sum = 0.0f; // of this lane's row; sum counts this lane's columns only
    const uint visible = causal ? min(args.keys, row + 1) : args.keys;
    const uint end = causal ? min(args.keys, first + attention_queries) : args.keys;

    for (uint block = 0; block < end; block += Keys) {
        stage<T, D>(staged_k, k + block * args.ldk, Keys, args.keys - block, args.d, args.ldk, thread_index);
        stage<T, D>(staged_v, v + block * args.ldv, Keys, args.keys - block, args.d, args.ldv, thread_index);
        threadgroup_barrier(mem_flags::mem_threadgroup);

        simdgroup_float8x8 scores[Keys / 8];
        UNROLL
        for (uint j = 0; j < Keys / 8; j++) {
            scores[j] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
            UNROLL
            for (uint i = 0; i < D / 8; i++) {
                simdgroup_matrix<T, 8, 8> key;
                simdgroup_load(key, staged_k + j * 8 * stride + i * 8, stride, ulong2(0, 0), true);
                simdgroup_multiply_accumulate(scores[j], query[i], key, scores[j]);
            }
        }

        float largest = most;
        float2 score[Keys / 8]; // this lane's elements of scores
        UNROLL
        for (uint j = 0; j < Keys / 8; j++) {
            const uint column = block + j * 8 + position.x;
            score[j].x = column < visible ? scale * scores[j].thread_elements()[0] : lowest;
            score[j].y = column + 1 < visible ? scale * scores[j].thread_elements()[1] : lowest;
            largest = max(largest, max(score[j].x, score[j].y));
        }
        largest = row_max(largest);
        const float factor = exp2(most - largest);
        most = largest;
        sum *= factor;
        simdgroup_matrix<T, 8, 8> weights[Keys / 8];
        UNROLL
        for (uint j = 0; j < Keys / 8; j++) {
            const float2 weight = exp2(score[j] - largest);
            sum += weight.x + weight.y;
            weights[j].thread_elements()[0] = T(weight.x);
            weights[j].thread_elements()[1] = T(weight.y);
        }
        UNROLL
        for (uint i = 0; i < D / 8; i++) {
            result[i].thread_elements()[0] *= factor;
            result[i].thread_elements()[1] *= factor;
            UNROLL
            for (uint j = 0; j < Keys / 8; j++) {
                simdgroup_matrix<T, 8, 8> value;
                simdgroup_load(value, staged_v + j * 8 * stride + i * 8, stride);
                simdgroup_multiply_accumulate(result[i], weights[j], value, result[i]);
            }
        }
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }

    const float factor = 1.0f / row_sum(sum);
    if (row >= args.queries) {
        return;
    }
    UNROLL
    for (uint i = 0; i < D / 8; i++) {
        const uint column = i * 8 + position.x;
        if (column < args.d) {
            y[row * args.ldy + column] = T(factor * result[i].thread_elements()[0]);
        }
        if (column + 1 < args.d) {
            y[row * args.ldy + column + 1] = T(factor * result[i].thread_elements()[1]);
        }
    }
}

// Keys is what leaves the staged keys and values below 32 KiB; metal/kernels_product.go says the same.
INSTANCE("attention_d32_f32", attention, float, 32, 32)
INSTANCE("attention_d40_f32", attention, float, 40, 32)
INSTANCE("attention_d48_f32", attention, float, 48, 32)
INSTANCE("attention_d64_f32", attention, float, 64, 32)
INSTANCE("attention_d80_f32", attention, float, 80, 32)
INSTANCE("attention_d96_f32", attention, float, 96, 32)
INSTANCE("attention_d128_f32", attention, float, 128, 16)
INSTANCE("attention_d160_f32", attention, float, 160, 16)
INSTANCE("attention_d32_f16", attention, half, 32, 32)
INSTANCE("attention_d40_f16", attention, half, 40, 32)
INSTANCE("attention_d48_f16", attention, half, 48, 32)
INSTANCE("attention_d64_f16", attention, half, 64, 32)
INSTANCE("attention_d80_f16", attention, half, 80, 32)
INSTANCE("attention_d96_f16", attention, half, 96, 32)
INSTANCE("attention_d128_f16", attention, half, 128, 32)
INSTANCE("attention_d160_f16", attention, half, 160, 32)
