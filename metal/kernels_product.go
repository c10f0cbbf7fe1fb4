package metal

import (
	"fmt"
	"slices"

	"ldm-mac/bridge"
)

// This file launches the kernels of shaders/gemm.metal, shaders/conv.metal and
// shaders/attention.metal.

// Tile is the part of the result that a threadgroup of gemm or conv2d computes.
type Tile struct{ Rows, Columns int }

// The tiles. A large one moves fewer bytes, a small one keeps more of a chip's cores busy.
var (
	Tile64     = Tile{64, 64}
	Tile32     = Tile{32, 32}
	TileNarrow = Tile{128, 8} // conv2d to few channels
)

func (tile Tile) kernelName(op string, t bridge.DataType) string {
	return fmt.Sprintf("%s_%dx%d_%s", op, tile.Rows, tile.Columns, t)
}

func (tile Tile) memory(t bridge.DataType) int {
	return (tile.Rows + tile.Columns) * (productDepth + productPadding) * t.Size()
}

func (tile Tile) grid(rows, columns, batch int) bridge.Size {
	return bridge.Size{X: divUp(columns, tile.Columns), Y: divUp(rows, tile.Rows), Z: batch}
}

// Product says what a gemm or conv2d reads, and how.
type Product struct {
	Type     bridge.DataType // of all operands not named below
	Weights  bridge.DataType // of gemm's b and conv2d's weights
	Result   bridge.DataType
	Bias     bool // there is a bias [n], one for each column or channel of the result
	Residual bool // there is a residual
	Tile     Tile
}

func (p Product) constants(more ...bridge.Constant) []bridge.Constant {
	return append(more,
		bridge.Constant{Index: constantWeightsF32, Value: p.Weights == bridge.Float32},
		bridge.Constant{Index: constantOutputF32, Value: p.Result == bridge.Float32},
		bridge.Constant{Index: constantBias, Value: p.Bias},
		bridge.Constant{Index: constantResidual, Value: p.Residual})
}

// NewGEMM returns the arguments for contiguous matrices without a residual or with one of the
// result's size: a [batch, m, k] times b [batch, k, n], or [batch, n, k] when transposed.
func NewGEMM(m, n, k int, transposeB bool) GEMMArgs {
	a := GEMMArgs{
		M: uint32(m), N: uint32(n), K: uint32(k), LdA: uint32(k), LdB: uint32(n), LdY: uint32(n),
		StrideA: uint32(m * k), StrideB: uint32(k * n), StrideY: uint32(m * n), ResidualRows: 1, Alpha: 1,
	}
	if transposeB {
		a.LdB = a.K
	}
	return a
}

// Launch is one gemm. Buffers: a, b, y, bias, residual; the last two may be missing, or anything,
// where p says that there are none.
func (a GEMMArgs) Launch(p Product, batch int, transposeB bool) Launch {
	return Launch{
		Kernel: p.Tile.kernelName("gemm", p.Type), Args: encode(a),
		Constants: p.constants(bridge.Constant{Index: constantTransposeB, Value: transposeB}),
		Grid:      p.Tile.grid(int(a.M), int(a.N), batch),
		Group:     bridge.Size{X: productGroup, Y: 1, Z: 1},
	}
}

// Launch is one conv2d, of x or, if upsample, of x with height and width doubled by repeating
// pixels. Buffers: x, weight [out, kernelH, kernelW, c], y, bias, residual; the last two as in
// [GEMMArgs.Launch].
func (a Conv2DArgs) Launch(p Product, upsample bool) Launch {
	return Launch{
		Kernel: p.Tile.kernelName("conv2d", p.Type), Args: encode(a),
		Constants: p.constants(
			bridge.Constant{Index: constantUpsample, Value: upsample},
			bridge.Constant{Index: constantFewChannels, Value: a.C < productDepth}),
		Grid:  p.Tile.grid(int(a.N*a.OutH*a.OutW), int(a.Out), 1),
		Group: bridge.Size{X: productGroup, Y: 1, Z: 1},
	}
}

// headSizes are those that attention is compiled for; others are padded to the next.
var headSizes = []int{32, 40, 48, 64, 80, 96, 128, 160}

// MaxHeadSize is the largest d of kernel attention.
var MaxHeadSize = slices.Max(headSizes)

const queryBlock = 32 // queries of a threadgroup: 8 for each of its simdgroups

// keyBlock is how many keys are in threadgroup memory at a time: as many as leave it below 32 KiB.
func keyBlock(t bridge.DataType, d int) int {
	if t == bridge.Float32 && d > 96 {
		return 16
	}
	return 32
}

func attentionName(t bridge.DataType, d int) string { return fmt.Sprintf("attention_d%d_%s", d, t) }

// Launch is one attention of n images, for D up to MaxHeadSize. With causal, query i sees keys
// 0…i. Buffers: q, k, v, y.
func (a AttentionArgs) Launch(t bridge.DataType, n, heads int, causal bool) Launch {
	i, _ := slices.BinarySearch(headSizes, int(a.D))
	return Launch{
		Kernel: attentionName(t, headSizes[i]), Args: encode(a),
		Constants: []bridge.Constant{{Index: constantCausal, Value: causal}},
		Grid:      bridge.Size{X: divUp(int(a.Queries), queryBlock), Y: heads, Z: n},
		Group:     bridge.Size{X: productGroup, Y: 1, Z: 1},
	}
}
