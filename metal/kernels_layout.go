package metal

import (
	"ldm-mac/bridge"
	"ldm-mac/ldm/tensor"
)

// This file launches the kernels of shaders/layout.metal and shaders/resample.metal.

// NewPermute returns the arguments for axis i of the result being axis perm[i] of x. The last
// result is false when the axes, with neighbours that stay together joined, are more than four.
func NewPermute(x tensor.Shape, perm []int) (PermuteArgs, bool) {
	steps := make([]uint32, len(x))
	step := uint32(1)
	for i := len(x) - 1; i >= 0; i-- {
		steps[i] = step
		step *= uint32(x[i])
	}
	var sizes, strides []uint32
	for _, axis := range perm {
		size, stride := uint32(x[axis]), steps[axis]
		if size == 1 {
			continue
		}
		if last := len(sizes) - 1; last >= 0 && strides[last] == stride*size {
			sizes[last], strides[last] = sizes[last]*size, stride
			continue
		}
		sizes, strides = append(sizes, size), append(strides, stride)
	}
	shape, stride, ok := four(sizes, strides)
	return PermuteArgs{N: uint32(x.Elements()), Shape: shape, Stride: stride}, ok
}

// Launch is one permute. Buffers: x, y.
func (a PermuteArgs) Launch(t bridge.DataType) Launch {
	return flat(kernelName("permute", t), int(a.N), a)
}

// Launch is one copy. Buffers: x, y.
func (a CopyArgs) Launch(t bridge.DataType) Launch {
	return quads(kernelName("copy", t), int(a.Rows), int(a.D), a)
}

// Launch is one row. Buffers: x; the index, a float32; y.
func (a RowArgs) Launch(t bridge.DataType) Launch {
	return flat(kernelName("row", t), int(a.D), a)
}

// Launch is one pad. Buffers: x, y.
func (a PadArgs) Launch(t bridge.DataType) Launch {
	return quads(kernelName("pad", t), int(a.N*a.OutH*a.OutW), int(a.C), a)
}

// Launch is one upsample. Buffers: x, y.
func (a UpsampleArgs) Launch(t bridge.DataType) Launch {
	return quads(kernelName("upsample", t), int(4*a.N*a.H*a.W), int(a.C), a)
}

// Launch is one avg_pool2d. Buffers: x, y.
func (a AvgPool2DArgs) Launch(t bridge.DataType) Launch {
	return quads(kernelName("avg_pool2d", t), int(a.N*a.H*a.W/4), int(a.C), a)
}
