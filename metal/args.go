package metal

import "encoding/binary"

// This file holds the Go twins of shaders/args.h, which documents them: the same structs with the
// same fields in the same order, all of 4 bytes. A test compares the two. The Launch method of each
// is in the kernels files.

// AffineArgs are the arguments of kernel affine: y = Scale·x + Shift.
type AffineArgs struct {
	N            uint32
	Scale, Shift float32
}

// SiLUArgs are the arguments of kernel silu: x·σ(x).
type SiLUArgs struct{ N uint32 }

// GELUArgs are the arguments of kernel gelu: x·Φ(x).
type GELUArgs struct{ N uint32 }

// QuickGELUArgs are the arguments of kernel quick_gelu: x·σ(1.702·x).
type QuickGELUArgs struct{ N uint32 }

// CastArgs are the arguments of the cast kernels.
type CastArgs struct{ N uint32 }

// AddArgs are the arguments of kernel add: a + b. See [NewBroadcast].
type AddArgs struct {
	N             uint32
	Shape, Stride [4]uint32
}

// MulArgs are the arguments of kernel mul: a · b. See [NewBroadcast].
type MulArgs struct {
	N             uint32
	Shape, Stride [4]uint32
}

// GEGLUArgs are the arguments of kernel geglu: x [rows, 2d] → x[:, :d] · gelu(x[:, d:]).
type GEGLUArgs struct{ Rows, D uint32 }

// FiniteArgs are the arguments of kernel finite, which lowers a flag to Node where x holds an
// infinity or a NaN.
type FiniteArgs struct{ N, Node uint32 }

// GroupNormStatsArgs are the arguments of kernel group_norm_stats. See [NewGroupNorm].
type GroupNormStatsArgs struct{ Pixels, Channels, Groups, Chunk, Chunks uint32 }

// GroupNormArgs are the arguments of kernel group_norm, which follows group_norm_stats. See
// [NewGroupNorm].
type GroupNormArgs struct {
	Pixels, Channels, Groups, Chunk, Chunks, Tile uint32
	Eps                                           float32
}

// LayerNormArgs are the arguments of kernel layer_norm: x [rows, d].
type LayerNormArgs struct {
	Rows, D uint32
	Eps     float32
}

// SoftmaxArgs are the arguments of kernel softmax: softmax(Scale·x) of x [rows, d].
type SoftmaxArgs struct {
	Rows, D uint32
	Scale   float32
}

// GEMMArgs are the arguments of kernel gemm: Alpha·a·b + bias + residual. See [NewGEMM].
type GEMMArgs struct {
	M, N, K                   uint32
	LdA, LdB, LdY             uint32
	StrideA, StrideB, StrideY uint32
	ResidualRows              uint32
	Alpha                     float32
}

// Conv2DArgs are the arguments of kernel conv2d. H and W are those of the stored data, before an
// upsampling that the convolution includes.
type Conv2DArgs struct {
	N, H, W, C       uint32
	Out, OutH, OutW  uint32
	KernelH, KernelW uint32
	Stride           uint32
	Top, Left        uint32
	ResidualRows     uint32
}

// AttentionArgs are the arguments of kernel attention: softmax(QKᵀ·Scale)V for every head.
type AttentionArgs struct {
	Queries, Keys, D   uint32
	LdQ, LdK, LdV, LdY uint32
	Scale              float32
}

// PermuteArgs are the arguments of kernel permute. See [NewPermute].
type PermuteArgs struct {
	N             uint32
	Shape, Stride [4]uint32
}

// CopyArgs are the arguments of kernel copy: a block [rows, d] of x to a place in y.
type CopyArgs struct {
	Rows, D      uint32
	OffsetX, LdX uint32
	OffsetY, LdY uint32
}

// RowArgs are the arguments of kernel row: x [rows, d] → its row index, as [1, d].
type RowArgs struct{ Rows, D uint32 }

// PadArgs are the arguments of kernel pad: x [n, h, w, c] into zeros [n, outH, outW, c].
type PadArgs struct {
	N, H, W, C uint32
	OutH, OutW uint32
	Top, Left  uint32
}

// UpsampleArgs are the arguments of kernel upsample: x [n, h, w, c] → [n, 2h, 2w, c].
type UpsampleArgs struct{ N, H, W, C uint32 }

// AvgPool2DArgs are the arguments of kernel avg_pool2d: x [n, h, w, c] → [n, h/2, w/2, c].
type AvgPool2DArgs struct{ N, H, W, C uint32 }

// encode is args, one of the structs above, as the kernel reads them.
func encode(args any) []byte {
	data, err := binary.Append(nil, binary.LittleEndian, args)
	if err != nil {
		panic(err) // a field without a fixed size
	}
	return data
}
