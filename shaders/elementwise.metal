// Elementwise kernels. A thread computes four neighbours, in float.

// 1 - Φ(x) for x >= 0, the upper tail of the normal distribution, to 8e-8 (Abramowitz and Stegun,
// Handbook of Mathematical Functions, 7.1.26, for erf(x/√2)).
inline float normal_tail(float x) {
    const float a = x * 0.70710678f;
    const float t = 1.0f / (1.0f + 0.3275911f * a);
    const float p = t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
    return 0.5f * p * exp2(max(-log2_e * a * a, -100.0f));
}

// x·Φ(x) without cancellation on either side.
inline float gelu_of(float x) {
    return max(x, 0.0f) - fabs(x) * normal_tail(fabs(x));
}

template <typename T>
kernel void affine(constant affine_args& args [[buffer(0)]],
                   device const T* x [[buffer(1)]],
                   device T* y [[buffer(2)]],
                   uint thread_index [[thread_position_in_grid]]) {
    const uint i = 4 * thread_index;
    if (i >= args.n) {
        return;
    }
    const float4 v = float4(read4(x + i, args.n - i, true));
    write4(y + i, args.n - i, true, vec<T, 4>(args.scale * v + args.shift));
}

FLOATS(affine)

struct silu_function {
    float operator()(float x) { return silu_of(x); }
};

struct gelu_function {
    float operator()(float x) { return gelu_of(x); }
};

struct quick_gelu_function {
    float operator()(float x) { return sigmoid_product(x, 1.702f); }
};

template <typename T, typename Args, typename Function>
kernel void activation(constant Args& args [[buffer(0)]],
                       device const T* x [[buffer(1)]],
                       device T* y [[buffer(2)]],
                       uint thread_index [[thread_position_in_grid]]) {
    const uint i = 4 * thread_index;
    if (i >= args.n) {
        return;
    }
    float4 v = float4(read4(x + i, args.n - i, true));
    for (uint j = 0; j < 4; j++) {
        v[j] = Function()(v[j]);
    }
    write4(y + i, args.n - i, true, vec<T, 4>(v));
}

INSTANCE("silu_f32", activation, float, silu_args, silu_function)
INSTANCE("silu_f16", activation, half, silu_args, silu_function)
INSTANCE("gelu_f32", activation, float, gelu_args, gelu_function)
INSTANCE("gelu_f16", activation, half, gelu_args, gelu_function)
INSTANCE("quick_gelu_f32", activation, float, quick_gelu_args, quick_gelu_function)
INSTANCE("quick_gelu_f16", activation, half, quick_gelu_args, quick_gelu_function)

// The activation of Shazeer 2020, arXiv:2002.05202: values times GELU of gates.
template <typename T>
kernel void geglu(constant geglu_args& args [[buffer(0)]],
                  device const T* x [[buffer(1)]],
                  device T* y [[buffer(2)]],
                  uint thread_index [[thread_position_in_grid]]) {
    const uint quads = (args.d + 3) / 4;
    const uint row = thread_index / quads;
    const uint i = 4 * (thread_index % quads);
    if (row >= args.rows) {
        return;
    }
    const bool aligned = args.d % 4 == 0;
    const uint count = args.d - i;
    device const T* values = x + 2 * row * args.d + i;
    float4 v = float4(read4(values, count, aligned));
    const float4 gate = float4(read4(values + args.d, count, aligned));
    for (uint j = 0; j < 4; j++) {
        v[j] *= gelu_of(gate[j]);
    }
    write4(y + row * args.d + i, count, aligned, vec<T, 4>(v));
}

FLOATS(geglu)

template <typename X, typename Y>
kernel void cast(constant cast_args& args [[buffer(0)]],
                 device const X* x [[buffer(1)]],
                 device Y* y [[buffer(2)]],
                 uint thread_index [[thread_position_in_grid]]) {
    const uint i = 4 * thread_index;
    if (i >= args.n) {
        return;
    }
    write4(y + i, args.n - i, true, vec<Y, 4>(read4(x + i, args.n - i, true)));
}

INSTANCE("cast_f32_f16", cast, float, half)
INSTANCE("cast_f16_f32", cast, half, float)

// Rounds to the nearest bfloat16, ties to even, and stores that as float; NaN stays NaN. MSL 3.0 has
// no bfloat.
template <typename X>
kernel void cast_bf16(constant cast_args& args [[buffer(0)]],
                      device const X* x [[buffer(1)]],
                      device float* y [[buffer(2)]],
                      uint thread_index [[thread_position_in_grid]]) {
    const uint i = 4 * thread_index;
    if (i >= args.n) {
        return;
    }
    float4 v = float4(read4(x + i, args.n - i, true));
    for (uint j = 0; j < 4; j++) {
        const uint bits = as_type<uint>(v[j]);
        const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
        const uint rounded = nan ? bits | 0x00400000u : bits + 0x7fffu + ((bits >> 16) & 1u);
        v[j] = as_type<float>(rounded & 0xffff0000u);
    }
    write4(y + i, args.n - i, true, v);
}

INSTANCE("cast_f32_bf16", cast_bf16, float)
