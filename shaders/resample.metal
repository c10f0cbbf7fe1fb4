// Resampling of images by a factor of two. A thread computes four channels of a pixel.

// Nearest neighbour, twice the height and width.
template <typename T>
kernel void upsample(constant upsample_args& args [[buffer(0)]],
                     device const T* x [[buffer(1)]],
                     device T* y [[buffer(2)]],
                     uint thread_index [[thread_position_in_grid]]) {
    const uint quads = (args.c + 3) / 4;
    const uint pixel = thread_index / quads;
    const uint i = 4 * (thread_index % quads);
    const uint rows = pixel / (2 * args.w); // of all images
    if (rows >= 2 * args.n * args.h) {
        return;
    }
    const bool aligned = args.c % 4 == 0;
    const uint from = rows / 2 * args.w + pixel % (2 * args.w) / 2;
    const vec<T, 4> v = read4(x + from * args.c + i, args.c - i, aligned);
    write4(y + pixel * args.c + i, args.c - i, aligned, v);
}

FLOATS(upsample)

// The mean of 2×2 pixels, half the height and width.
template <typename T>
kernel void avg_pool2d(constant avg_pool2d_args& args [[buffer(0)]],
                       device const T* x [[buffer(1)]],
                       device T* y [[buffer(2)]],
                       uint thread_index [[thread_position_in_grid]]) {
    const uint quads = (args.c + 3) / 4;
    const uint pixel = thread_index / quads;
    const uint i = 4 * (thread_index % quads);
    const uint width = args.w / 2;
    const uint rows = pixel / width;
    if (rows >= args.n * (args.h / 2)) {
        return;
    }
    const bool aligned = args.c % 4 == 0;
    const uint count = args.c - i;
    const uint line = args.w * args.c;
    device const T* from = x + 2 * rows * line + 2 * (pixel % width) * args.c + i;
    const float4 above = float4(read4(from, count, aligned)) + float4(read4(from + args.c, count, aligned));
    const float4 below = float4(read4(from + line, count, aligned)) + float4(read4(from + line + args.c, count, aligned));
    write4(y + pixel * args.c + i, count, aligned, vec<T, 4>(0.25f * (above + below)));
}

FLOATS(avg_pool2d)
