// Kernels that move elements and change none. A thread moves four neighbours.

// y's axes are x's in another order.
template <typename T>
kernel void permute(constant permute_args& args [[buffer(0)]],
                    device const T* x [[buffer(1)]],
                    device T* y [[buffer(2)]],
                    uint thread_index [[thread_position_in_grid]]) {
    const uint i = 4 * thread_index;
    if (i >= args.n) {
        return;
    }
    const bool together = args.stride[3] == 1 && args.shape[3] % 4 == 0; // in x as well
    vec<T, 4> v = vec<T, 4>(T(0));
    for (uint j = 0; j < min(args.n - i, 4u); j++) {
        uint rest = i + j, from = 0;
        for (int axis = 3; axis >= 0; axis--) {
            from += rest % args.shape[axis] * args.stride[axis];
            rest /= args.shape[axis];
        }
        if (together) {
            v = read4(x + from, 4, true);
            break;
        }
        v[j] = x[from];
    }
    write4(y + i, args.n - i, true, v);
}

FLOATS(permute)

// A block of rows to another place: a part of a concatenation, or a slice.
template <typename T>
kernel void copy(constant copy_args& args [[buffer(0)]],
                 device const T* x [[buffer(1)]],
                 device T* y [[buffer(2)]],
                 uint thread_index [[thread_position_in_grid]]) {
    const uint quads = (args.d + 3) / 4;
    const uint row = thread_index / quads;
    const uint i = 4 * (thread_index % quads);
    if (row >= args.rows) {
        return;
    }
    const bool aligned_x = (args.offset_x | args.ldx) % 4 == 0;
    const bool aligned_y = (args.offset_y | args.ldy) % 4 == 0;
    const vec<T, 4> v = read4(x + args.offset_x + row * args.ldx + i, args.d - i, aligned_x);
    write4(y + args.offset_y + row * args.ldy + i, args.d - i, aligned_y, v);
}

FLOATS(copy)

// One row of x [rows, d]: the one that index says, or the nearest.
template <typename T>
kernel void row(constant row_args& args [[buffer(0)]],
                device const T* x [[buffer(1)]],
                device const float* index [[buffer(2)]],
                device T* y [[buffer(3)]],
                uint thread_index [[thread_position_in_grid]]) {
    const uint i = 4 * thread_index;
    if (i >= args.d) {
        return;
    }
    const uint last = args.rows - 1;
    // The second bound holds for a NaN, and where the first is rounded up, too.
    const uint at = min(uint(clamp(index[0], 0.0f, float(last))), last);
    write4(y + i, args.d - i, true, read4(x + at * args.d + i, args.d - i, args.d % 4 == 0));
}

FLOATS(row)

// Zeros around height and width.
template <typename T>
kernel void pad(constant pad_args& args [[buffer(0)]],
                device const T* x [[buffer(1)]],
                device T* y [[buffer(2)]],
                uint thread_index [[thread_position_in_grid]]) {
    const uint quads = (args.c + 3) / 4;
    const uint pixel = thread_index / quads;
    const uint i = 4 * (thread_index % quads);
    if (pixel >= args.n * args.out_h * args.out_w) {
        return;
    }
    // Above and left of x the differences wrap around to large numbers.
    const uint row = pixel / args.out_w % args.out_h - args.top;
    const uint column = pixel % args.out_w - args.left;
    const bool aligned = args.c % 4 == 0;
    vec<T, 4> v = vec<T, 4>(T(0));
    if (row < args.h && column < args.w) {
        const uint from = (pixel / (args.out_h * args.out_w) * args.h + row) * args.w + column;
        v = read4(x + from * args.c + i, args.c - i, aligned);
    }
    write4(y + pixel * args.c + i, args.c - i, aligned, v);
}

FLOATS(pad)
