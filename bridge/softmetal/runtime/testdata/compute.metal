// Kernels that are right: what they compute is compared with the same in Go.
#include <metal_stdlib>
#include <metal_simdgroup_matrix>
using namespace metal;

struct scale_args {
    float scale;
    uint count;
};

kernel void scale(constant scale_args& args [[buffer(0)]], device const half* x [[buffer(1)]],
                  device half* y [[buffer(2)]], uint i [[thread_position_in_grid]]) {
    if (i < args.count) {
        y[i] = half(float(x[i]) * args.scale + 1.0f);
    }
}

// Each operation of half rounds: x·x is rounded before 1 is added.
kernel void half_rounding(device const half* x [[buffer(0)]], device half* y [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    y[i] = x[i] * x[i] + 1.0h - x[i];
}

kernel void positions(device uint* y [[buffer(0)]], uint3 at [[thread_position_in_grid]], uint3 local [[thread_position_in_threadgroup]],
                      uint3 group [[threadgroup_position_in_grid]], uint3 size [[threads_per_threadgroup]],
                      uint3 groups [[threadgroups_per_grid]], uint3 all [[threads_per_grid]],
                      ushort index [[thread_index_in_threadgroup]], ushort lane [[thread_index_in_simdgroup]],
                      uint simdgroup [[simdgroup_index_in_threadgroup]], uint simdgroups [[simdgroups_per_threadgroup]],
                      uint width [[threads_per_simdgroup]]) {
    const uint values[] = {at.x, at.y, at.z, local.x, local.y, local.z, group.x, group.y, group.z, size.x, size.y, size.z,
                           groups.x, groups.y, groups.z, all.x, all.y, all.z, index, lane, simdgroup, simdgroups, width};
    const uint n = sizeof(values) / sizeof(values[0]);
    const uint thread_in_grid = at.x + all.x * (at.y + all.y * at.z);
    for (uint i = 0; i < n; i++) {
        y[thread_in_grid * n + i] = values[i];
    }
}

// The sum of a row of 256 by two levels of simd_sum.
kernel void row_sum(device const float* x [[buffer(0)]], device float* y [[buffer(1)]], uint row [[threadgroup_position_in_grid]],
                    uint i [[thread_index_in_threadgroup]], uint lane [[thread_index_in_simdgroup]],
                    uint simdgroup [[simdgroup_index_in_threadgroup]]) {
    threadgroup float sums[8], unused[4];
    float s = simd_sum(x[row * 256 + i]);
    if (lane == 0) {
        sums[simdgroup] = s;
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    s = simd_sum(lane < 8 ? sums[lane] : 0.0f);
    if (i == 0) {
        unused[0] = s;
        y[row] = unused[0];
    }
}

// Reverses through dynamic threadgroup memory, many barriers long.
kernel void rotate(device const float* x [[buffer(0)]], device float* y [[buffer(1)]], constant uint& rounds [[buffer(2)]],
                   threadgroup float* shared [[threadgroup(0)]], uint i [[thread_index_in_threadgroup]],
                   uint n [[threads_per_threadgroup]]) {
    shared[i] = x[i];
    for (uint r = 0; r < rounds; r++) {
        threadgroup_barrier(mem_flags::mem_threadgroup);
        const float v = shared[(i + 1) % n];
        threadgroup_barrier(mem_flags::mem_threadgroup);
        shared[i] = v;
    }
    y[i] = shared[i];
}

kernel void simd_functions(device const int* x [[buffer(0)]], device int* y [[buffer(1)]], uint lane [[thread_index_in_simdgroup]]) {
    const int v = x[lane];
    const int results[] = {
        simd_sum(v), simd_product(v % 3), simd_min(v), simd_max(v), simd_and(v), simd_or(v), simd_xor(v),
        simd_prefix_inclusive_sum(v), simd_prefix_exclusive_sum(v),
        simd_shuffle(v, ushort(31 - lane)), simd_shuffle_xor(v, 5), simd_broadcast(v, 7), simd_broadcast_first(v),
        simd_shuffle_up(v, 3), simd_shuffle_down(v, 3), simd_shuffle_rotate_up(v, 3), simd_shuffle_rotate_down(v, 3),
        simd_any(v > 90), simd_all(v > 90), simd_any(lane == 31), simd_all(lane < 32),
    };
    for (uint i = 0; i < sizeof(results) / sizeof(int); i++) {
        y[i * 32 + lane] = results[i];
    }
}

// The elements of a matrix that each lane holds, and a transposed load.
kernel void matrix_layout(device const float* x [[buffer(0)]], device float* y [[buffer(1)]], device float* z [[buffer(2)]],
                          uint lane [[thread_index_in_simdgroup]]) {
    simdgroup_float8x8 m;
    simdgroup_load(m, x, 8);
    y[2 * lane] = m.thread_elements()[0];
    y[2 * lane + 1] = m.thread_elements()[1];
    simdgroup_load(m, x, 8, ulong2(0, 0), true);
    simdgroup_store(m, z, 8);
}

// C = A·B in tiles of 16×16, one simdgroup each; n a multiple of 16.
template <typename T>
kernel void gemm(device const T* a [[buffer(0)]], device const T* b [[buffer(1)]], device float* c [[buffer(2)]],
                 constant uint& n [[buffer(3)]], uint2 tile [[threadgroup_position_in_grid]]) {
    simdgroup_float8x8 sums[2][2];
    for (uint i = 0; i < 2; i++) {
        for (uint j = 0; j < 2; j++) {
            sums[i][j] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
        }
    }
    for (uint k = 0; k < n; k += 8) {
        simdgroup_matrix<T, 8, 8> left[2], right[2];
        for (uint i = 0; i < 2; i++) {
            simdgroup_load(left[i], a + (tile.y * 16 + i * 8) * n + k, n);
            simdgroup_load(right[i], b, n, ulong2(tile.x * 16 + i * 8, k));
        }
        for (uint i = 0; i < 2; i++) {
            for (uint j = 0; j < 2; j++) {
                simdgroup_multiply_accumulate(sums[i][j], left[i], right[j], sums[i][j]);
            }
        }
    }
    for (uint i = 0; i < 2; i++) {
        for (uint j = 0; j < 2; j++) {
            simdgroup_store(sums[i][j], c + (tile.y * 16 + i * 8) * n + tile.x * 16 + j * 8, n);
        }
    }
}
template [[host_name("gemm_f16")]] kernel void gemm<half>(device const half*, device const half*, device float*, constant uint&, uint2);
template [[host_name("gemm_f32")]] kernel decltype(gemm<float>) gemm<float>;

constant uint count [[function_constant(0)]];
constant bool negate [[function_constant(1)]];
constant float extra [[function_constant(2)]];
constant bool negate_many = negate && count > 2;
constant float addend = is_function_constant_defined(extra) ? extra : 10.0f;

inline float signed_one() {
    return negate_many ? -1.0f : 1.0f;
}

kernel void constants(device float* y [[buffer(0)]], device const float* bias [[buffer(1), function_constant(negate)]],
                      uint i [[thread_position_in_grid]]) {
    if (i < count) {
        y[i] = signed_one() * float(i) + addend + (negate ? bias[i] : 0.0f);
    }
}

// Constructors, casts and functions of vectors.
kernel void vectors(device const float4* x [[buffer(0)]], device float4* y [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    const float4 v = x[i];
    const half2 h = half2(v.zw);
    const int4 whole = int4(v);
    float2 pair(v.x, 2.0f);
    y[4 * i] = float4(float(h.x), h.y, pair);
    y[4 * i + 1] = (float4)whole + float4(1, 2, 3, 4) * dot(v.xyz, float3(1));
    y[4 * i + 2] = select(v, -v, v > 2.0f);
    y[4 * i + 3] = float4(max(v.xy, 2.5f), as_type<float>(as_type<uint>(v.x) ^ 0x80000000u), any(v > 3.0f) ? 1.0f : 0.0f);
}

kernel void histogram(device const uint* x [[buffer(0)]], device atomic_uint* bins [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    atomic_fetch_add_explicit(&bins[x[i] % 4], 1u, memory_order_relaxed);
}

// Each thread notes when it ran.
kernel void order(device atomic_uint* next [[buffer(0)]], device uint* y [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    y[i] = atomic_fetch_add_explicit(next, 1u, memory_order_relaxed);
}

struct whole {
    float4 values[3];
};

// Copies whole structs, which the compiler does by memcpy.
kernel void copy_structs(device const whole* x [[buffer(0)]], device whole* y [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    y[i] = x[i];
}

kernel void copy_bytes(device const void* x [[buffer(0)]], device void* y [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    ((device uchar*)y)[i] = ((device const uchar*)x)[i];
}
