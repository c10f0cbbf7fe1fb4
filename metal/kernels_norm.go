package metal

import "ldm-mac/bridge"

// This file launches the kernels of shaders/norm.metal and shaders/softmax.metal.

const (
	applyWidth = 128 // channels of a threadgroup of group_norm: a simdgroup reads 4 a lane
	applyRows  = 8   // pixels that it writes at a time: its simdgroups

	leastChunk = 1024 // elements of a group that one simdgroup measures, at least
	mostChunks = 128  // of one image, so that a simdgroup of group_norm joins few
	leastTile  = 64   // pixels that a threadgroup of group_norm writes, at least
	mostTiles  = 512  // of one image
)

// NewGroupNorm returns the two halves of a group norm of images of so many pixels and channels:
// group_norm_stats measures chunks of each image, group_norm joins them and writes the result. The
// buffer between them has Partial bytes for each image.
func NewGroupNorm(pixels, channels, groups int, eps float32) (GroupNormStatsArgs, GroupNormArgs) {
	chunk := max(divUp(leastChunk, channels/groups), divUp(pixels, mostChunks))
	chunks := divUp(pixels, chunk)
	tile := max(leastTile, divUp(divUp(pixels, mostTiles), applyRows)*applyRows)
	stats := GroupNormStatsArgs{uint32(pixels), uint32(channels), uint32(groups), uint32(chunk), uint32(chunks)}
	return stats, GroupNormArgs{stats.Pixels, stats.Channels, stats.Groups, stats.Chunk, stats.Chunks, uint32(tile), eps}
}

// Partial is the bytes of each image's measurements: a mean and a sum of squares, in float32, for
// every group and chunk.
func (a GroupNormStatsArgs) Partial() int { return 2 * 4 * int(a.Groups*a.Chunks) }

// Launch is one group_norm_stats of n images. Buffers: x, partial.
func (a GroupNormStatsArgs) Launch(t bridge.DataType, n int) Launch {
	return Launch{
		Kernel: kernelName("group_norm_stats", t), Args: encode(a),
		Grid:  bridge.Size{X: int(a.Chunks), Y: divUp(int(a.Groups), wideGroup/simdWidth), Z: n},
		Group: bridge.Size{X: wideGroup, Y: 1, Z: 1},
	}
}

// Launch is one group_norm of n images, followed by SiLU if so told. Buffers: x, partial, weight,
// bias, y.
func (a GroupNormArgs) Launch(t bridge.DataType, n int, silu bool) Launch {
	return Launch{
		Kernel: kernelName("group_norm", t), Args: encode(a),
		Constants: []bridge.Constant{{Index: constantSiLU, Value: silu}},
		Grid:      bridge.Size{X: divUp(int(a.Pixels), int(a.Tile)), Y: divUp(int(a.Channels), applyWidth), Z: n},
		Group:     bridge.Size{X: wideGroup, Y: 1, Z: 1},
	}
}

// Launch is one layer_norm. Buffers: x, weight, bias, y.
func (a LayerNormArgs) Launch(t bridge.DataType) Launch {
	return rowwise(kernelName("layer_norm", t), int(a.Rows), a)
}

// Launch is one softmax from one type to another; x may be float32 where y is float16. Buffers: x, y.
func (a SoftmaxArgs) Launch(x, y bridge.DataType) Launch {
	kernel := kernelName("softmax", y)
	if x != y {
		kernel = "softmax_f32_f16"
	}
	return rowwise(kernel, int(a.Rows), a)
}
