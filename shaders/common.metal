// What all kernels share: function constants, reads and writes of four neighbours, the places of a
// lane's elements in a simdgroup matrix.

// The host gives each kernel the constants that it reads; metal/kernels.go has the same numbers.
constant uint broadcast_mode [[function_constant(0)]];
constant bool ends_with_silu [[function_constant(1)]];
constant bool causal [[function_constant(2)]];
constant bool transpose_b [[function_constant(3)]];
constant bool weights_f32 [[function_constant(4)]];
constant bool output_f32 [[function_constant(5)]];
constant bool has_bias [[function_constant(6)]];
constant bool has_residual [[function_constant(7)]];
constant bool upsamples [[function_constant(8)]];
constant bool few_channels [[function_constant(9)]];

constant constexpr uint simd_width = 32;
constant constexpr uint simdgroups = 8; // of a threadgroup of 256

constant constexpr float log2_e = 1.44269504f;

// Below every number that a maximum is taken of, and finite: fast math knows no infinity, and the
// difference of two such numbers must not be one.
constant constexpr float lowest = -1.0e38f;

// Before a loop over simdgroup matrices: they are registers, which no loop can index.
#define UNROLL _Pragma("clang loop unroll(full)")

// A kernel of which the host asks for the instance `name`.
#define INSTANCE(name, function, ...) \
    template [[host_name(name)]] kernel decltype(function<__VA_ARGS__>) function<__VA_ARGS__>;

#define FLOATS(function) \
    INSTANCE(#function "_f32", function, float) \
    INSTANCE(#function "_f16", function, half)

// Four neighbours, of which only the first count exist; zeros stand for the others. `aligned` says
// that p is at a multiple of four elements.
template <typename T>
inline vec<T, 4> read4(device const T* p, uint count, bool aligned) {
    if (aligned && count >= 4) {
        return *(device const vec<T, 4>*)p;
    }
    vec<T, 4> v = vec<T, 4>(T(0));
    for (uint i = 0; i < min(count, 4u); i++) {
        v[i] = p[i];
    }
    return v;
}

template <typename T>
inline void write4(device T* p, uint count, bool aligned, vec<T, 4> v) {
    if (aligned && count >= 4) {
        *(device vec<T, 4>*)p = v;
        return;
    }
    for (uint i = 0; i < min(count, 4u); i++) {
        p[i] = v[i];
    }
}

// As read4, of weights that are float or half as weights_f32 says.
inline float4 read_weights4(device const uchar* weights, uint index, uint count, bool aligned) {
    if (weights_f32) {
        return read4((device const float*)weights + index, count, aligned);
    }
    return float4(read4((device const half*)weights + index, count, aligned));
}

// What is left of n at i, 0 beyond the end.
inline uint remaining(uint n, uint i) {
    return i < n ? n - i : 0u;
}

inline float sigmoid_product(float x, float slope) {
    // The bound keeps the exponential, and its reciprocal, from overflow.
    return x / (1.0f + exp2(min(-slope * log2_e * x, 100.0f)));
}

// x·σ(x).
inline float silu_of(float x) {
    return sigmoid_product(x, 1.0f);
}

// The row, in y, and the first of two columns, in x, of the elements of an 8×8 simdgroup matrix
// that a lane holds (ml-explore/mlx, mlx/backend/metal/kernels/steel/gemm/mma.h).
inline ushort2 fragment_position(ushort lane) {
    const ushort quad = lane / 4;
    return ushort2((quad & 2) * 2 + (lane % 2) * 2, (quad & 4) + (lane / 2) % 4);
}
