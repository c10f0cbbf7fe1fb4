// Finds infinities and NaNs by their bits: fast math may take isnan for false.

inline bool is_finite(float x) {
    return (as_type<uint>(x) & 0x7f800000u) != 0x7f800000u;
}

inline bool is_finite(half x) {
    return (as_type<ushort>(x) & ushort(0x7c00)) != ushort(0x7c00);
}

// Lowers the flag to the number of the node whose output x is, if that has such an element: after
// all nodes the flag holds the first one.
template <typename T>
kernel void finite(constant finite_args& args [[buffer(0)]],
                   device const T* x [[buffer(1)]],
                   device atomic_uint* flag [[buffer(2)]],
                   uint thread_index [[thread_position_in_grid]]) {
    const uint i = 4 * thread_index;
    if (i >= args.n) {
        return;
    }
    const vec<T, 4> v = read4(x + i, args.n - i, true);
    if (!(is_finite(v.x) && is_finite(v.y) && is_finite(v.z) && is_finite(v.w))) {
        atomic_fetch_min_explicit(flag, args.node, memory_order_relaxed);
    }
}

FLOATS(finite)
