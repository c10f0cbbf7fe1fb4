// Group norm, in two kernels so that a large image keeps the whole chip busy, and layer norm.
// Statistics are float. Sums of squares are of differences from a value near the mean, so that
// nothing cancels when the mean is large against the deviation; parts are joined by the formula of
// Chan, Golub and LeVeque 1983 (Algorithms for computing the sample variance, equation 2.1).

// One simdgroup measures one group in one chunk of an image. partial is [n, groups, chunks]: the
// mean, and the sum of squared differences from it.
template <typename T>
kernel void group_norm_stats(constant group_norm_stats_args& args [[buffer(0)]],
                             device const T* x [[buffer(1)]],
                             device float2* partial [[buffer(2)]],
                             uint3 at [[threadgroup_position_in_grid]],
                             uint simdgroup [[simdgroup_index_in_threadgroup]],
                             uint lane [[thread_index_in_simdgroup]]) {
    const uint group = at.y * simdgroups + simdgroup;
    if (group >= args.groups) {
        return;
    }
    const uint width = args.channels / args.groups;
    const uint first = at.x * args.chunk;
    const uint count = min(args.chunk, args.pixels - first) * width;
    x += (at.z * args.pixels + first) * args.channels + group * width;

    // Element i of the chunk is channel i % width of pixel i / width.
    const uint step = simd_width / width * args.channels + simd_width % width;
    uint channel = lane % width;
    uint offset = lane / width * args.channels + channel;
    const float near = simd_sum(lane < count ? float(x[offset]) : 0.0f) / float(min(count, simd_width));

    float sum = 0.0f, squares = 0.0f;
    for (uint i = lane; i < count; i += simd_width) {
        const float v = float(x[offset]) - near;
        sum += v;
        squares += v * v;
        offset += step;
        channel += simd_width % width;
        if (channel >= width) {
            channel -= width;
            offset += args.channels - width;
        }
    }
    sum = simd_sum(sum);
    squares = simd_sum(squares);
    if (lane == 0) {
        const float mean = sum / float(count);
        partial[(at.z * args.groups + group) * args.chunks + at.x] = float2(near + mean, max(squares - sum * mean, 0.0f));
    }
}

FLOATS(group_norm_stats)

// The mean of a group and the reciprocal of its deviation, for all lanes of a simdgroup.
inline float2 joined(constant group_norm_args& args, device const float2* partial, uint lane) {
    const uint width = args.channels / args.groups;
    const float total = float(args.pixels) * float(width);
    const float near = partial[0].x;
    float sum = 0.0f;
    for (uint i = lane; i < args.chunks; i += simd_width) {
        const float size = float(min(args.chunk, args.pixels - i * args.chunk) * width);
        sum += size * (partial[i].x - near);
    }
    const float mean = near + simd_sum(sum) / total;
    float squares = 0.0f;
    for (uint i = lane; i < args.chunks; i += simd_width) {
        const float size = float(min(args.chunk, args.pixels - i * args.chunk) * width);
        const float difference = partial[i].x - mean;
        squares += partial[i].y + size * difference * difference;
    }
    return float2(mean, precise::rsqrt(simd_sum(squares) / total + args.eps));
}

constant constexpr uint apply_width = 128; // channels of a threadgroup: four of a lane

template <typename T>
kernel void group_norm(constant group_norm_args& args [[buffer(0)]],
                       device const T* x [[buffer(1)]],
                       device const float2* partial [[buffer(2)]],
                       device const float* weight [[buffer(3)]],
                       device const float* bias [[buffer(4)]],
                       device T* y [[buffer(5)]],
                       uint3 at [[threadgroup_position_in_grid]],
                       uint simdgroup [[simdgroup_index_in_threadgroup]],
                       uint lane [[thread_index_in_simdgroup]]) {
    threadgroup float2 statistics[apply_width];
    const uint width = args.channels / args.groups;
    const uint begin = at.y * apply_width;
    const uint end = min(begin + apply_width, args.channels);
    const uint first = begin / width;
    for (uint group = first + simdgroup; group <= (end - 1) / width; group += simdgroups) {
        const float2 s = joined(args, partial + (at.z * args.groups + group) * args.chunks, lane);
        if (lane == 0) {
            statistics[group - first] = s;
        }
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);

    const uint channel = begin + 4 * lane;
    if (channel >= end) {
        return;
    }
    float4 mean, scale, shift;
    for (uint j = 0; j < 4; j++) {
        const uint c = min(channel + j, end - 1);
        const float2 s = statistics[c / width - first];
        mean[j] = s.x;
        scale[j] = s.y * weight[c];
        shift[j] = bias[c];
    }
    const bool aligned = args.channels % 4 == 0;
    const uint image = at.z * args.pixels * args.channels + channel;
    const uint last = min((at.x + 1) * args.tile, args.pixels);
    for (uint pixel = at.x * args.tile + simdgroup; pixel < last; pixel += simdgroups) {
        const uint i = image + pixel * args.channels;
        float4 v = (float4(read4(x + i, end - channel, aligned)) - mean) * scale + shift;
        if (ends_with_silu) {
            for (uint j = 0; j < 4; j++) {
                v[j] = silu_of(v[j]);
            }
        }
        write4(y + i, end - channel, aligned, vec<T, 4>(v));
    }
}

FLOATS(group_norm)

// One simdgroup normalises one row.
template <typename T>
kernel void layer_norm(constant layer_norm_args& args [[buffer(0)]],
                       device const T* x [[buffer(1)]],
                       device const float* weight [[buffer(2)]],
                       device const float* bias [[buffer(3)]],
                       device T* y [[buffer(4)]],
                       uint at [[threadgroup_position_in_grid]],
                       uint simdgroup [[simdgroup_index_in_threadgroup]],
                       uint lane [[thread_index_in_simdgroup]]) {
    const uint row = at * simdgroups + simdgroup;
    if (row >= args.rows) {
        return;
    }
    const bool aligned = args.d % 4 == 0;
    x += row * args.d;
    y += row * args.d;
    const float near = simd_sum(lane < args.d ? float(x[lane]) : 0.0f) / float(min(args.d, simd_width));

    float4 sum = float4(0.0f), squares = float4(0.0f);
    for (uint i = 4 * lane; i < args.d; i += 4 * simd_width) {
        float4 v = float4(read4(x + i, args.d - i, aligned)) - near;
        for (uint j = args.d - i; j < 4; j++) {
            v[j] = 0.0f;
        }
        sum += v;
        squares += v * v;
    }
    const float d = float(args.d);
    const float total = simd_sum(sum.x + sum.y + sum.z + sum.w);
    const float square = simd_sum(squares.x + squares.y + squares.z + squares.w);
    const float mean = near + total / d;
    const float scale = precise::rsqrt(max(square - total * total / d, 0.0f) / d + args.eps);
    for (uint i = 4 * lane; i < args.d; i += 4 * simd_width) {
        const uint count = args.d - i;
        float4 v = (float4(read4(x + i, count, aligned)) - mean) * scale;
        v = v * read4(weight + i, count, true) + read4(bias + i, count, true);
        write4(y + i, count, aligned, vec<T, 4>(v));
    }
}

FLOATS(layer_norm)
