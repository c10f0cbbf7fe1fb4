// Sums and products of two tensors, the second repeated along some axes. A thread computes four
// neighbours.

constant constexpr uint broadcast_none = 0; // b has the shape of a
constant constexpr uint broadcast_rows = 1; // a is [n, pixels, c], b is [n, c]; n may be 1

// The elements of b for element i of a and its neighbours.
template <typename T, typename A>
inline float4 repeated4(device const T* b, constant A& args, uint i) {
    const uint count = args.n - i;
    if (broadcast_mode == broadcast_none) {
        return float4(read4(b + i, count, true));
    }
    const uint c = args.shape[3];
    if (broadcast_mode == broadcast_rows && c % 4 == 0) {
        return float4(read4(b + i / (args.shape[2] * c) * args.stride[1] + i % c, count, true));
    }
    float4 v = float4(0.0f);
    for (uint j = 0; j < min(count, 4u); j++) {
        uint rest = i + j, at = 0;
        for (int axis = 3; axis >= 0; axis--) {
            at += rest % args.shape[axis] * args.stride[axis];
            rest /= args.shape[axis];
        }
        v[j] = float(b[at]);
    }
    return v;
}

template <typename T>
kernel void add(constant add_args& args [[buffer(0)]],
                device const T* a [[buffer(1)]],
                device const T* b [[buffer(2)]],
                device T* y [[buffer(3)]],
                uint thread_index [[thread_position_in_grid]]) {
    const uint i = 4 * thread_index;
    if (i >= args.n) {
        return;
    }
    const float4 v = float4(read4(a + i, args.n - i, true)) + repeated4(b, args, i);
    write4(y + i, args.n - i, true, vec<T, 4>(v));
}

template <typename T>
kernel void mul(constant mul_args& args [[buffer(0)]],
                device const T* a [[buffer(1)]],
                device const T* b [[buffer(2)]],
                device T* y [[buffer(3)]],
                uint thread_index [[thread_position_in_grid]]) {
    const uint i = 4 * thread_index;
    if (i >= args.n) {
        return;
    }
    const float4 v = float4(read4(a + i, args.n - i, true)) * repeated4(b, args, i);
    write4(y + i, args.n - i, true, vec<T, 4>(v));
}

FLOATS(add)
FLOATS(mul)
