package tensor

// Op is an operator. Each backend implements every one in a switch.
type Op uint8

// The operators. Shapes are those of the constructors of the same name.
const (
	OpInput     Op = iota // a value given to Program.Run, or bound to another program's output
	OpParam               // a stored weight
	OpAdd                 // a + b, broadcast
	OpMul                 // a · b, broadcast
	OpAffine              // Scale·x + Shift
	OpSiLU                // x·σ(x)
	OpGELU                // x·Φ(x), exact (erf)
	OpQuickGELU           // x·σ(1.702·x)
	OpGroupNorm           // per image and group of channels; then Activation
	OpLayerNorm           // per row of the last axis
	OpSoftmax             // over the last axis
	OpMatMul              // batched a·b or a·bᵀ
	OpLinear              // x·Wᵀ + b
	OpConv2D              // cross-correlation, as every framework's convolution
	OpAttention           // softmax(QKᵀ·Scale)V for every head
	OpReshape             // the same elements under another shape
	OpPermute             // axes in another order
	OpConcat              // along Axis
	OpSlice               // Start:Stop along Axis
	OpRow                 // the one of the first axis that an index says
	OpPad                 // zeros around height and width
	OpCast                // another storage type
	OpUpsample            // nearest neighbour, twice the height and width
	OpAvgPool2D           // mean of 2×2 pixels, half the height and width
	opCount
)

var opNames = [opCount]string{
	"input", "param", "add", "mul", "affine", "silu", "gelu", "quick_gelu", "group_norm",
	"layer_norm", "softmax", "matmul", "linear", "conv2d", "attention", "reshape", "permute",
	"concat", "slice", "row", "pad", "cast", "upsample", "avg_pool2d",
}

// String is the one word for the operator in kernels, files, profiles and messages.
func (o Op) String() string { return opNames[o] }

// Ops lists every operator.
func Ops() []Op {
	ops := make([]Op, opCount)
	for i := range ops {
		ops[i] = Op(i)
	}
	return ops
}

// Padding is the number of zero rows and columns around height and width.
type Padding struct{ Top, Bottom, Left, Right int }

// Same pads so that a convolution with a square kernel of odd size and stride 1 keeps the size.
func Same(kernel int) Padding {
	p := kernel / 2
	return Padding{p, p, p, p}
}

func (p Padding) least() int { return min(p.Top, p.Bottom, p.Left, p.Right) }

// Attrs are the constants of an operator; each reads only its own.
type Attrs struct {
	Eps          float32 // GroupNorm, LayerNorm: added to the variance
	Groups       int     // GroupNorm
	Activation   Op      // GroupNorm: OpSiLU when fused, else OpInput for none
	Scale, Shift float32 // Affine; Attention: Scale multiplies QKᵀ
	Stride       int     // Conv2D
	Padding      Padding // Conv2D, Pad
	Heads        int     // Attention
	Causal       bool    // Attention: query i sees keys 0…i
	TransposeB   bool    // MatMul: b is [..., n, k]
	Axis         int     // Concat, Slice
	Start, Stop  int     // Slice
	Perm         []int   // Permute: axis i of the result is axis Perm[i] of the operand
}
