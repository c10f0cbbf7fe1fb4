package bridge

import "fmt"

// Info describes a device. Sizes are in bytes.
type Info struct {
	Name              string // "Apple M3 Max"
	Architecture      string // "applegpu_g15s" since macOS 14: its last letter is p, g, s or d for phone, base and Pro, Max, Ultra; else empty
	MaxBuffer         int    // the largest buffer
	WorkingSet        int    // what the system recommends as the most in use
	Allocated         int    // by this process, when Info was called
	ThreadgroupMemory int    // the most for one threadgroup
	HeapAlignment     int    // of offsets in a Heap: a power of two
	AppleFamily       int    // 7 for M1, 8 for M2, 9 for M3 and M4; 0 when older
	UnifiedMemory     bool   // host and device share memory
}

// DataType is the storage type of a graph's operands.
type DataType uint32

// The storage types: those that every Apple GPU computes with.
const (
	Float32 DataType = iota
	Float16
)

// String is the suffix of kernel names: "f32" or "f16".
func (t DataType) String() string {
	switch t {
	case Float32:
		return "f32"
	case Float16:
		return "f16"
	}
	return fmt.Sprintf("DataType(%d)", uint32(t))
}

// Size is the bytes of one element: 4 or 2.
func (t DataType) Size() int {
	if t == Float16 {
		return 2
	}
	return 4
}

// Constant is the value of a kernel's [[function_constant(Index)]]. Value is a bool, int32, uint32
// or float32, the type that the kernel declares.
type Constant struct {
	Index int
	Value any
}

// Size counts threadgroups in a grid or threads in a threadgroup; none of them is 0.
type Size struct{ X, Y, Z int }

// Binding is a place in a buffer. Offset is in bytes, a multiple of 4.
type Binding struct {
	Buffer *Buffer
	Offset int
}

// MatMulDesc is a product of matrices of one shape:
//
//	[batch, m, k] × [batch, k, n] + [n] = [batch, m, n]
//
// All are contiguous. Operands are a, b and, if Bias, the bias.
type MatMulDesc struct {
	Batch, M, N, K int
	A              DataType // of a and of the result
	B              DataType // of b and of the bias
	TransposeB     bool     // b is [batch, n, k], as PyTorch stores the weights of a Linear
	Bias           bool
	// Upcast makes MPSGraph multiply in fp32, which it does too where A and B differ: the operands
	// are cast in the graph. Without it the width of an fp16 product's sums is MPSGraph's choice.
	Upcast bool
}

// Conv2DDesc is a convolution of one shape: data [n, h, w, c], weights [out, c, kernel, kernel] as
// PyTorch stores them, bias [out], result [n, OutH(), OutW(), out]. Operands are data, weights and,
// if Bias, the bias.
type Conv2DDesc struct {
	N, H, W, C               int
	Out                      int // channels of the result
	KernelH, KernelW         int
	Stride                   int      // of both axes
	Top, Bottom, Left, Right int      // rows and columns of zeros around the data
	Data                     DataType // of the data and of the result
	Weights                  DataType // of the weights and of the bias
	Bias                     bool
	Upcast                   bool // as in MatMulDesc
}

// OutH is the height of the result.
func (d Conv2DDesc) OutH() int { return (d.H+d.Top+d.Bottom-d.KernelH)/d.Stride + 1 }

// OutW is the width of the result.
func (d Conv2DDesc) OutW() int { return (d.W+d.Left+d.Right-d.KernelW)/d.Stride + 1 }
