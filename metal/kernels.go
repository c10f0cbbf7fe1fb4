package metal

import (
	"fmt"

	"ldm-mac/bridge"
)

// A Launch is one dispatch of a kernel: everything but its buffers, whose order the Launch methods
// name. Buffers begin at a multiple of 16 bytes. Biases and the weights of norms are float32 always,
// other operands have the type that the method is given unless it says otherwise.
type Launch struct {
	Kernel    string            // function of shaders.Source()
	Constants []bridge.Constant // every function constant that the kernel reads
	Args      []byte            // buffer 0
	Grid      bridge.Size       // threadgroups
	Group     bridge.Size       // threads of a threadgroup
}

// The function constants of shaders/common.metal.
const (
	constantBroadcast   = iota // uint: see Broadcast
	constantSiLU               // bool: group_norm ends with SiLU
	constantCausal             // bool: attention masks keys after the query
	constantTransposeB         // bool: gemm reads b [n, k]
	constantWeightsF32         // bool: the weights of gemm and conv2d are float32, else float16
	constantOutputF32          // bool: the result of gemm and conv2d is float32, else that of the kernel
	constantBias               // bool: gemm and conv2d add a bias
	constantResidual           // bool: gemm and conv2d add a residual
	constantUpsample           // bool: conv2d doubles height and width first
	constantFewChannels        // bool: conv2d joins taps and channels, for channels fewer than a block
)

const (
	simdWidth      = 32
	wideGroup      = 256 // threads of elementwise kernels and norms
	productGroup   = 128 // threads of gemm, conv2d and attention: 4 simdgroups
	perThread      = 4   // elements of a thread of an elementwise kernel
	productDepth   = 16  // of the tiles of gemm and conv2d that are staged in threadgroup memory
	productPadding = 4   // elements after each of their rows, against bank conflicts
	headPadding    = 8   // elements after each key and value of attention, likewise
)

// A Kernel is a function of shaders.Source().
type Kernel struct {
	Name        string
	Bindings    []string // what buffers 1, 2, … hold
	Threads     int      // of a threadgroup
	Threadgroup int      // bytes of threadgroup memory that it declares
}

// Kernels lists every kernel of shaders.Source().
func Kernels() []Kernel {
	list := []Kernel{
		{"cast_f32_f16", []string{"x", "y"}, wideGroup, 0},
		{"cast_f16_f32", []string{"x", "y"}, wideGroup, 0},
		{"cast_f32_bf16", []string{"x", "y"}, wideGroup, 0},
		{"softmax_f32_f16", []string{"x", "y"}, wideGroup, 0},
	}
	for _, t := range []bridge.DataType{bridge.Float32, bridge.Float16} {
		add := func(name string, threads, memory int, bindings ...string) {
			list = append(list, Kernel{name, bindings, threads, memory})
		}
		for _, op := range []string{"affine", "silu", "gelu", "quick_gelu", "geglu", "softmax", "permute", "copy", "pad", "upsample", "avg_pool2d"} {
			add(kernelName(op, t), wideGroup, 0, "x", "y")
		}
		add(kernelName("add", t), wideGroup, 0, "a", "b", "y")
		add(kernelName("mul", t), wideGroup, 0, "a", "b", "y")
		add(kernelName("row", t), wideGroup, 0, "x", "index", "y")
		add(kernelName("finite", t), wideGroup, 0, "x", "flag")
		add(kernelName("group_norm_stats", t), wideGroup, 0, "x", "partial")
		add(kernelName("group_norm", t), wideGroup, 2*4*applyWidth, "x", "partial", "weight", "bias", "y")
		add(kernelName("layer_norm", t), wideGroup, 0, "x", "weight", "bias", "y")
		for _, tile := range []Tile{Tile64, Tile32} {
			add(tile.kernelName("gemm", t), productGroup, tile.memory(t), "a", "b", "y", "bias", "residual")
		}
		for _, tile := range []Tile{Tile64, Tile32, TileNarrow} {
			add(tile.kernelName("conv2d", t), productGroup, tile.memory(t), "x", "weight", "y", "bias", "residual")
		}
		for _, d := range headSizes {
			add(attentionName(t, d), productGroup, 2*keyBlock(t, d)*(d+headPadding)*t.Size(), "q", "k", "v", "y")
		}
	}
	return list
}

func kernelName(op string, t bridge.DataType) string { return fmt.Sprintf("%s_%s", op, t) }

// flat launches one thread for each perThread elements of n.
func flat(kernel string, n int, args any, constants ...bridge.Constant) Launch {
	return Launch{
		Kernel: kernel, Constants: constants, Args: encode(args),
		Grid: bridge.Size{X: divUp(n, wideGroup*perThread), Y: 1, Z: 1}, Group: bridge.Size{X: wideGroup, Y: 1, Z: 1},
	}
}

// quads launches one thread for each perThread neighbours, or fewer at the end, of every row.
func quads(kernel string, rows, d int, args any) Launch {
	return flat(kernel, rows*divUp(d, perThread)*perThread, args)
}

// rowwise launches one simdgroup for each row.
func rowwise(kernel string, rows int, args any) Launch {
	return Launch{
		Kernel: kernel, Args: encode(args),
		Grid: bridge.Size{X: divUp(rows, wideGroup/simdWidth), Y: 1, Z: 1}, Group: bridge.Size{X: wideGroup, Y: 1, Z: 1},
	}
}

func divUp(a, b int) int { return (a + b - 1) / b }
