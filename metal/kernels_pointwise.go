package metal

import (
	"slices"

	"ldm-mac/bridge"
	"ldm-mac/ldm/tensor"
)

// This file launches the kernels of shaders/elementwise.metal.

// Launch is one affine. Buffers: x, y.
func (a AffineArgs) Launch(t bridge.DataType) Launch {
	return flat(kernelName("affine", t), int(a.N), a)
}

// Launch is one silu. Buffers: x, y.
func (a SiLUArgs) Launch(t bridge.DataType) Launch { return flat(kernelName("silu", t), int(a.N), a) }

// Launch is one gelu. Buffers: x, y.
func (a GELUArgs) Launch(t bridge.DataType) Launch { return flat(kernelName("gelu", t), int(a.N), a) }

// Launch is one quick_gelu. Buffers: x, y.
func (a QuickGELUArgs) Launch(t bridge.DataType) Launch {
	return flat(kernelName("quick_gelu", t), int(a.N), a)
}

// Launch is one cast to the other type than from. Buffers: x, y.
func (a CastArgs) Launch(from bridge.DataType) Launch {
	kernel := "cast_f32_f16"
	if from == bridge.Float16 {
		kernel = "cast_f16_f32"
	}
	return flat(kernel, int(a.N), a)
}

// LaunchBF16 is one rounding of float32 to bfloat16, stored as float32. Buffers: x, y.
func (a CastArgs) LaunchBF16() Launch { return flat("cast_f32_bf16", int(a.N), a) }

// Launch is one geglu. Buffers: x, y.
func (a GEGLUArgs) Launch(t bridge.DataType) Launch {
	return quads(kernelName("geglu", t), int(a.Rows), int(a.D), a)
}

// Launch is one finite. Buffers: x, flag; the flag is one uint32 that the host sets to
// math.MaxUint32 before.
func (a FiniteArgs) Launch(t bridge.DataType) Launch {
	return flat(kernelName("finite", t), int(a.N), a)
}

// Broadcast is how add and mul find the element of b for one of a.
type Broadcast uint32

// The ways, from the fastest to the most general.
const (
	BroadcastNone Broadcast = iota // b has a's shape
	BroadcastRows                  // b is [c] or [n, 1, …, 1, c]
	BroadcastAny
)

// NewBroadcast returns the shape of a, the strides of b and their Broadcast for operands as in
// [tensor.Add]. The last result is false when the shapes, with neighbouring axes joined, have more
// than four dimensions.
func NewBroadcast(a, b tensor.Shape) (shape, stride [4]uint32, how Broadcast, ok bool) {
	var sizes, strides []uint32
	step := uint32(b.Elements())
	for i, size := range a {
		s := uint32(0) // of an axis along which b is repeated
		if j := i - (len(a) - len(b)); j >= 0 && b[j] > 1 {
			step /= uint32(b[j])
			s = step
		}
		if size == 1 {
			continue
		}
		if last := len(sizes) - 1; last >= 0 && strides[last] == s*uint32(size) {
			sizes[last], strides[last] = sizes[last]*uint32(size), s
			continue
		}
		sizes, strides = append(sizes, uint32(size)), append(strides, s)
	}
	// What remains of [n, 1, …, 1, c] is [n, pixels, c] with strides c, 0, 1.
	switch {
	case len(sizes) == 0 || len(sizes) == 1 && strides[0] == 1:
		how = BroadcastNone
	case len(sizes) == 2 && strides[0] == 0 && strides[1] == 1:
		sizes, strides = slices.Insert(sizes, 0, 1), slices.Insert(strides, 0, 0)
		how = BroadcastRows
	case len(sizes) == 3 && strides[0] == sizes[2] && strides[1] == 0 && strides[2] == 1:
		how = BroadcastRows
	default:
		how = BroadcastAny
	}
	shape, stride, ok = four(sizes, strides)
	return shape, stride, how, ok
}

// four puts axes of size 1 before the others.
func four(sizes, strides []uint32) (shape, stride [4]uint32, ok bool) {
	lead := len(shape) - len(sizes)
	if lead < 0 {
		return shape, stride, false
	}
	for i := range lead {
		shape[i] = 1
	}
	copy(shape[lead:], sizes)
	copy(stride[lead:], strides)
	return shape, stride, true
}

// Launch is one add. Buffers: a, b, y.
func (a AddArgs) Launch(t bridge.DataType, how Broadcast) Launch {
	return flat(kernelName("add", t), int(a.N), a, bridge.Constant{Index: constantBroadcast, Value: uint32(how)})
}

// Launch is one mul. Buffers: a, b, y.
func (a MulArgs) Launch(t bridge.DataType, how Broadcast) Launch {
	return flat(kernelName("mul", t), int(a.N), a, bridge.Constant{Index: constantBroadcast, Value: uint32(how)})
}
