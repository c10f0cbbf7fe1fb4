// Softmax over the last axis. One simdgroup does one row: it reads the row once for the largest
// value and the sum of exponentials, scaled down whenever a larger value comes (Milakov and
// Gimelshein 2018, arXiv:1805.02867, algorithm 3), and once more to write it. Exponentials are
// powers of 2, which the hardware has. Values are scaled after the largest is subtracted: the
// difference of two rounded products would have the rounding of the larger. scale is positive.
template <typename X, typename Y>
kernel void softmax(constant softmax_args& args [[buffer(0)]],
                    device const X* x [[buffer(1)]],
                    device Y* y [[buffer(2)]],
                    uint at [[threadgroup_position_in_grid]],
                    uint simdgroup [[simdgroup_index_in_threadgroup]],
                    uint lane [[thread_index_in_simdgroup]]) {
    const uint row = at * simdgroups + simdgroup;
    if (row >= args.rows) {
        return;
    }
    const bool aligned = args.d % 4 == 0;
    const float scale = args.scale * log2_e;
    x += row * args.d;
    y += row * args.d;

    float most = lowest, sum = 0.0f;
    for (uint i = 4 * lane; i < args.d; i += 4 * simd_width) {
        float4 v = float4(read4(x + i, args.d - i, aligned));
        for (uint j = args.d - i; j < 4; j++) {
            v[j] = lowest;
        }
        const float larger = max(most, max(max(v.x, v.y), max(v.z, v.w)));
        const float4 e = exp2(scale * (v - larger));
        sum = sum * exp2(scale * (most - larger)) + (e.x + e.y + e.z + e.w);
        most = larger;
    }
    const float largest = simd_max(most);
    const float factor = 1.0f / simd_sum(sum * exp2(scale * (most - largest)));
    for (uint i = 4 * lane; i < args.d; i += 4 * simd_width) {
        const uint count = args.d - i;
        const float4 v = float4(read4(x + i, count, aligned));
        write4(y + i, count, aligned, vec<Y, 4>(exp2(scale * (v - largest)) * factor));
    }
}

INSTANCE("softmax_f32", softmax, float, float)
INSTANCE("softmax_f16", softmax, half, half)
INSTANCE("softmax_f32_f16", softmax, float, half)
