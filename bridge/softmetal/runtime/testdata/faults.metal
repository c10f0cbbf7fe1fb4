// Kernels with one defect each, and their neighbours that are right. The comment `// fault` marks
// the lines of which a fault must name one: of a race, the access that comes second.
#include <metal_stdlib>
#include <metal_simdgroup_matrix>
using namespace metal;

kernel void missing_barrier(device float* y [[buffer(0)]], uint i [[thread_index_in_threadgroup]]) {
    threadgroup float t[64];
    t[i] = float(i); // fault
    y[i] = t[(i + 33) % 64]; // fault
}

kernel void with_barrier(device float* y [[buffer(0)]], uint i [[thread_index_in_threadgroup]]) {
    threadgroup float t[64];
    t[i] = float(i);
    threadgroup_barrier(mem_flags::mem_threadgroup);
    y[i] = t[(i + 33) % 64];
}

// The barrier orders device memory, the exchange is through threadgroup memory.
kernel void wrong_barrier(device float* y [[buffer(0)]], uint i [[thread_index_in_threadgroup]]) {
    threadgroup float t[64];
    t[i] = float(i); // fault
    threadgroup_barrier(mem_flags::mem_device);
    y[i] = t[(i + 33) % 64]; // fault
}

// The second round overwrites what others still read.
kernel void write_after_read(device float* y [[buffer(0)]], uint i [[thread_index_in_threadgroup]]) {
    threadgroup float t[64];
    float sum = 0.0f;
    for (uint round = 0; round < 2; round++) {
        t[i] = float(i + round); // fault
        threadgroup_barrier(mem_flags::mem_threadgroup);
        sum += t[(i + 33) % 64]; // fault
    }
    y[i] = sum;
}

kernel void neighbour_in_simdgroup(device float* y [[buffer(0)]], uint i [[thread_index_in_threadgroup]]) {
    threadgroup float t[64];
    t[i] = float(i); // fault
    y[i] = t[i ^ 1]; // fault
}

kernel void simdgroup_ordered(device float* y [[buffer(0)]], uint i [[thread_index_in_threadgroup]]) {
    threadgroup float t[64];
    t[i] = float(i);
    simdgroup_barrier(mem_flags::mem_threadgroup);
    y[i] = t[i ^ 1];
}

kernel void simdgroup_ordered_only(device float* y [[buffer(0)]], uint i [[thread_index_in_threadgroup]]) {
    threadgroup float t[64];
    t[i] = float(i); // fault
    simdgroup_barrier(mem_flags::mem_threadgroup);
    y[i] = t[i ^ 32]; // fault
}

kernel void device_race(device float* y [[buffer(0)]], uint i [[thread_index_in_threadgroup]]) {
    y[i / 2] = 1.0f; // fault
}

// Halves beside each other are no race.
kernel void neighbouring_halves(device half* y [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    y[i] = y[i] + 1.0h;
}

kernel void neighbouring_bytes(device uchar* y [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    y[i] = y[i] + 1;
}

kernel void between_threadgroups(device float* y [[buffer(0)]], uint g [[threadgroup_position_in_grid]]) {
    y[g + 1] = y[g]; // fault
}

kernel void read_past_end(device const float* x [[buffer(0)]], device float* y [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    y[i] = x[i + 1]; // fault
}

kernel void write_past_end(device float* y [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    y[i + 1] = 1.0f; // fault
}

kernel void write_before_start(device float* y [[buffer(0)]], uint i [[thread_position_in_grid]]) {
    y[int(i) - 1] = 1.0f; // fault
}

kernel void threadgroup_past_end(device float* y [[buffer(0)]], threadgroup float* t [[threadgroup(0)]],
                                 uint i [[thread_index_in_threadgroup]]) {
    t[i + 1] = 1.0f; // fault
    y[i] = 1.0f;
}

kernel void array_past_end(device float* y [[buffer(0)]], constant uint& n [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    float a[4] = {1, 2, 3, 4};
    a[i % n] += 1.0f; // fault
    y[i] = a[0] + a[3];
}

kernel void matrix_past_end(device const float* x [[buffer(0)]], device float* y [[buffer(1)]], uint lane [[thread_index_in_simdgroup]]) {
    simdgroup_float8x8 m;
    simdgroup_load(m, x, 9); // fault
    y[lane] = m.thread_elements()[0];
}

kernel void misaligned(device const uchar* x [[buffer(0)]], device float4* y [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    y[i] = *(device const float4*)(x + 4 * i); // fault
}

kernel void uninitialised(device float* y [[buffer(0)]], uint i [[thread_index_in_threadgroup]]) {
    threadgroup float t[64];
    if (i != 7) {
        t[i] = 1.0f;
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    y[i] = t[i]; // fault
}

// What the threadgroup before left there does not count.
kernel void uninitialised_later(device float* y [[buffer(0)]], uint i [[thread_index_in_threadgroup]],
                                uint g [[threadgroup_position_in_grid]]) {
    threadgroup float t[64];
    if (g == 0) {
        t[i] = 1.0f;
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    y[64 * g + i] = t[i]; // fault
}

// The compiler must not read t before it knows that i is 0.
kernel void guarded_read(device float* y [[buffer(0)]], uint i [[thread_index_in_threadgroup]]) {
    threadgroup float t[1];
    if (i == 0) {
        t[0] = 2.0f;
    }
    float v = 1.0f;
    if (i == 0) {
        v = t[0];
    }
    y[i] = v;
}

kernel void divergent_barrier(device float* y [[buffer(0)]], uint i [[thread_index_in_threadgroup]]) {
    if (i < 40) {
        threadgroup_barrier(mem_flags::mem_threadgroup); // fault
    }
    y[i] = 1.0f;
}

kernel void two_barriers(device float* y [[buffer(0)]], uint i [[thread_index_in_threadgroup]]) {
    if (i < 40) {
        threadgroup_barrier(mem_flags::mem_threadgroup); // fault
    } else {
        threadgroup_barrier(mem_flags::mem_threadgroup); // fault
    }
    y[i] = 1.0f;
}

kernel void uneven_loop(device float* y [[buffer(0)]], uint i [[thread_index_in_threadgroup]]) {
    for (uint k = 0; k < 1 + i / 40; k++) {
        threadgroup_barrier(mem_flags::mem_threadgroup); // fault
    }
    y[i] = 1.0f;
}

kernel void early_return(device float* y [[buffer(0)]], uint i [[thread_index_in_threadgroup]]) {
    if (i >= 63) {
        return;
    }
    threadgroup_barrier(mem_flags::mem_threadgroup); // fault
    y[i] = 1.0f;
}

kernel void divergent_sum(device float* y [[buffer(0)]], uint i [[thread_index_in_threadgroup]]) {
    float s = 1.0f;
    if (i % 32 < 16) {
        s = simd_sum(s); // fault
    }
    y[i] = s;
}

kernel void divergent_load(device float* y [[buffer(0)]], uint i [[thread_index_in_threadgroup]]) {
    simdgroup_float8x8 m = make_filled_simdgroup_matrix<float, 8, 8>(1.0f);
    if (i % 32 < 16) {
        simdgroup_store(m, y, 8); // fault
    }
}

kernel void two_sums(device float* y [[buffer(0)]], uint i [[thread_index_in_threadgroup]]) {
    float s = 1.0f;
    if (i % 32 < 16) {
        s = simd_sum(s); // fault
    } else {
        s = simd_sum(2.0f * s); // fault
    }
    y[i] = s;
}

kernel void sum_and_barrier(device float* y [[buffer(0)]], uint i [[thread_index_in_threadgroup]]) {
    float s = 1.0f;
    if (i % 32 < 16) {
        s = simd_sum(s); // fault
    } else {
        threadgroup_barrier(mem_flags::mem_threadgroup); // fault
    }
    y[i] = s;
}

kernel void simple_sum(device float* y [[buffer(0)]], uint i [[thread_index_in_threadgroup]]) {
    y[i] = simd_sum(1.0f); // fault
}

kernel void uneven_broadcast(device float* y [[buffer(0)]], uint i [[thread_index_in_threadgroup]]) {
    y[i] = simd_broadcast(float(i), ushort(i % 2)); // fault
}

kernel void much_memory(device float* y [[buffer(0)]], uint i [[thread_index_in_threadgroup]]) {
    threadgroup float t[8192];
    threadgroup float u[4]; // fault
    t[i] = 1.0f;
    u[i % 4] = 1.0f;
    y[i] = t[i];
}

kernel void division(device uint* y [[buffer(0)]], constant uint& n [[buffer(1)]], uint i [[thread_position_in_grid]]) {
    y[i] = i / n; // fault
}

[[max_total_threads_per_threadgroup(64)]]
kernel void limited(device float* y [[buffer(0)]], constant uint& n [[buffer(1)]], threadgroup float* t [[threadgroup(0)]],
                    uint i [[thread_index_in_threadgroup]]) {
    t[i] = float(n);
    y[i] = t[i];
}
