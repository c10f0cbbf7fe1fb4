package tensor

import (
	"fmt"
	"slices"
)

// Add is a + b. The dimensions of b, aligned at the last, are those of a or 1; missing leading
// ones count as 1.
func Add(a, b *Tensor) *Tensor { return broadcast(OpAdd, a, b) }

// Mul is a · b, element by element, broadcast as in Add.
func Mul(a, b *Tensor) *Tensor { return broadcast(OpMul, a, b) }

func broadcast(op Op, a, b *Tensor) *Tensor {
	lead := len(a.Shape) - len(b.Shape)
	fits := lead >= 0
	for i := range b.Shape {
		fits = fits && (b.Shape[i] == 1 || b.Shape[i] == a.Shape[lead+i])
	}
	if !fits {
		return a.graph.fail(a, "%s: shape %s does not broadcast to %s", op, b.Shape, a.Shape)
	}
	return node(op, a.Shape, Attrs{}, nil, a, b)
}

// Affine is scale·x + shift.
func Affine(x *Tensor, scale, shift float32) *Tensor {
	return node(OpAffine, x.Shape, Attrs{Scale: scale, Shift: shift}, nil, x)
}

// SiLU is x·σ(x) (Elfwing et al. 2017, arXiv:1702.03118).
func SiLU(x *Tensor) *Tensor { return node(OpSiLU, x.Shape, Attrs{}, nil, x) }

// GELU is x·Φ(x) with the exact normal distribution function (Hendrycks and Gimpel 2016,
// arXiv:1606.08415, section 2).
func GELU(x *Tensor) *Tensor { return node(OpGELU, x.Shape, Attrs{}, nil, x) }

// QuickGELU is x·σ(1.702·x), the approximation that CLIP's text encoder was trained with.
func QuickGELU(x *Tensor) *Tensor { return node(OpQuickGELU, x.Shape, Attrs{}, nil, x) }

// GroupNorm normalises x [n, ..., c] over each image's groups of c/groups channels, then scales
// and shifts by weight and bias [c] (Wu and He 2018, arXiv:1803.08494, equation 7).
func GroupNorm(x *Tensor, weight, bias *Weight, groups int, eps float32) *Tensor {
	g := x.graph
	if len(x.Shape) < 2 {
		return g.fail(x, "group_norm: %s is no batch of images", x.Shape)
	}
	c := x.Shape.Last()
	if groups <= 0 || c%groups != 0 {
		return g.fail(x, "group_norm: %d groups do not divide %d channels", groups, c)
	}
	if !vector(c, weight, bias) {
		return g.fail(x, "group_norm: weights %s and %s do not fit %s", weight.Shape, bias.Shape, x.Shape)
	}
	return node(OpGroupNorm, x.Shape, Attrs{Groups: groups, Eps: eps}, weight, x, g.Param(weight), g.Param(bias))
}

// LayerNorm normalises the last axis of x [..., d], then scales and shifts by weight and bias
// [d] (Ba et al. 2016, arXiv:1607.06450).
func LayerNorm(x *Tensor, weight, bias *Weight, eps float32) *Tensor {
	g := x.graph
	if len(x.Shape) == 0 || !vector(x.Shape.Last(), weight, bias) {
		return g.fail(x, "layer_norm: weights %s and %s do not fit %s", weight.Shape, bias.Shape, x.Shape)
	}
	return node(OpLayerNorm, x.Shape, Attrs{Eps: eps}, weight, x, g.Param(weight), g.Param(bias))
}

func vector(size int, weights ...*Weight) bool {
	for _, w := range weights {
		if !w.Shape.Equal(Shape{size}) {
			return false
		}
	}
	return true
}

// Softmax is exp(x)/Σexp(x) over the last axis.
func Softmax(x *Tensor) *Tensor {
	if len(x.Shape) == 0 {
		return x.graph.fail(x, "softmax of a scalar")
	}
	return node(OpSoftmax, x.Shape, Attrs{}, nil, x)
}

// MatMul is a [..., m, k] times b [..., k, n], or times the transpose of b [..., n, k]; leading
// dimensions are equal.
func MatMul(a, b *Tensor, transposeB bool) *Tensor {
	r := len(a.Shape)
	if r < 2 || len(b.Shape) != r || !a.Shape[:r-2].Equal(b.Shape[:r-2]) {
		return a.graph.fail(a, "matmul: shapes %s and %s have other leading dimensions", a.Shape, b.Shape)
	}
	k, n := b.Shape[r-2], b.Shape[r-1]
	if transposeB {
		k, n = n, k
	}
	if a.Shape[r-1] != k {
		return a.graph.fail(a, "matmul: inner sizes of %s and %s (transposed: %t) differ", a.Shape, b.Shape, transposeB)
	}
	return node(OpMatMul, a.Shape.with(r-1, n), Attrs{TransposeB: transposeB}, nil, a, b)
}

// Linear is x [..., in] times the transpose of weight [out, in], plus bias [out] unless it is
// nil.
func Linear(x *Tensor, weight, bias *Weight) *Tensor {
	g := x.graph
	if len(x.Shape) == 0 || len(weight.Shape) != 2 || weight.Shape[1] != x.Shape.Last() {
		return g.fail(x, "linear: weight %s does not fit %s", weight.Shape, x.Shape)
	}
	return weighted(OpLinear, x.Shape.with(len(x.Shape)-1, weight.Shape[0]), Attrs{}, x, weight, bias)
}

// Conv2D correlates x [n, h, w, in] with weight [out, in, kh, kw], plus bias [out] unless it is
// nil.
func Conv2D(x *Tensor, weight, bias *Weight, stride int, pad Padding) *Tensor {
	g := x.graph
	if len(x.Shape) != 4 || len(weight.Shape) != 4 || weight.Shape[1] != x.Shape[3] || stride <= 0 || pad.least() < 0 {
		return g.fail(x, "conv2d: weight %s with stride %d does not fit %s", weight.Shape, stride, x.Shape)
	}
	h := x.Shape[1] + pad.Top + pad.Bottom - weight.Shape[2]
	w := x.Shape[2] + pad.Left + pad.Right - weight.Shape[3]
	if h < 0 || w < 0 || weight.Shape.Elements() == 0 {
		return g.fail(x, "conv2d: weight %s is empty or larger than %s padded", weight.Shape, x.Shape)
	}
	shape := Shape{x.Shape[0], h/stride + 1, w/stride + 1, weight.Shape[0]}
	return weighted(OpConv2D, shape, Attrs{Stride: stride, Padding: pad}, x, weight, bias)
}

// weighted adds an operator on x, weight [out, ...] and an optional bias [out].
func weighted(op Op, shape Shape, attrs Attrs, x *Tensor, weight, bias *Weight) *Tensor {
	g := x.graph
	if bias == nil {
		return node(op, shape, attrs, weight, x, g.Param(weight))
	}
	if !vector(weight.Shape[0], bias) {
		return g.fail(x, "%s: bias %s does not fit weight %s", op, bias.Shape, weight.Shape)
	}
	return node(op, shape, attrs, weight, x, g.Param(weight), g.Param(bias))
}

// Attention is softmax(QKᵀ·scale)V for every head (Vaswani et al. 2017, arXiv:1706.03762,
// equation 1): q is [n, lq, heads·d], k and v are [n, lk, heads·d], the result is
// [n, lq, heads·d]. The name is that of the module, for taps.
func Attention(name string, q, k, v *Tensor, heads int, scale float32, causal bool) *Tensor {
	g := q.graph
	if err := checkHeads(q, k, v, heads); err != "" {
		return g.fail(q, "%s", err)
	}
	if causal && q.Shape[1] != k.Shape[1] {
		return g.fail(q, "attention: a causal mask on %d queries and %d keys", q.Shape[1], k.Shape[1])
	}
	if g.tap != nil && g.tap(name) && !causal {
		out, probs := DecomposedAttention(q, k, v, heads, scale)
		out.Named(name)
		g.Output(out.Name+".probs", probs.Named(name+".probs"))
		return out
	}
	return node(OpAttention, q.Shape, Attrs{Heads: heads, Scale: scale, Causal: causal}, nil, q, k, v).Named(name)
}

// checkHeads says what is wrong with the operands of an attention, or nothing.
func checkHeads(q, k, v *Tensor, heads int) string {
	ok := len(q.Shape) == 3 && len(k.Shape) == 3 && k.Shape.Equal(v.Shape) &&
		q.Shape[0] == k.Shape[0] && q.Shape[2] == k.Shape[2]
	if !ok || heads <= 0 || q.Shape[2]%heads != 0 {
		return fmt.Sprintf("attention: q %s, k %s and v %s do not fit %d heads", q.Shape, k.Shape, v.Shape, heads)
	}
	return ""
}

// DecomposedAttention is Attention without a mask, built of MatMul and Softmax, together with
// its probabilities [n, heads, lq, lk].
func DecomposedAttention(q, k, v *Tensor, heads int, scale float32) (out, probs *Tensor) {
	if err := checkHeads(q, k, v, heads); err != "" {
		return q.graph.fail(q, "%s", err), q.graph.fail(q, "")
	}
	split := func(t *Tensor) *Tensor { // [n, l, heads·d] → [n, heads, l, d]
		s := t.Shape
		return Permute(Reshape(t, s[0], s[1], heads, s[2]/heads), 0, 2, 1, 3)
	}
	probs = Softmax(Affine(MatMul(split(q), split(k), true), scale, 0))
	out = Permute(MatMul(probs, split(v), false), 0, 2, 1, 3)
	return Reshape(out, q.Shape...), probs
}

// Reshape gives the elements of x, in their order, another shape.
func Reshape(x *Tensor, shape ...int) *Tensor {
	if len(shape) > 0 && slices.Min(shape) <= 0 || Shape(shape).Elements() != x.Shape.Elements() {
		return x.graph.fail(x, "reshape: %s has other elements than %s", x.Shape, Shape(shape))
	}
	return node(OpReshape, slices.Clone(shape), Attrs{}, nil, x)
}

// Permute reorders the axes: axis i of the result is axis perm[i] of x.
func Permute(x *Tensor, perm ...int) *Tensor {
	sorted := slices.Sorted(slices.Values(perm))
	for i, axis := range sorted {
		if axis != i {
			return x.graph.fail(x, "permute: %v is no order of axes", perm)
		}
	}
	if len(perm) != len(x.Shape) {
		return x.graph.fail(x, "permute: %v does not fit %s", perm, x.Shape)
	}
	shape := make(Shape, len(perm))
	for i, axis := range perm {
		shape[i] = x.Shape[axis]
	}
	return node(OpPermute, shape, Attrs{Perm: slices.Clone(perm)}, nil, x)
}

// Concat joins tensors along an axis; their other dimensions are equal.
func Concat(axis int, parts ...*Tensor) *Tensor {
	first := parts[0]
	if axis < 0 || axis >= len(first.Shape) {
		return first.graph.fail(first, "concat: %s has no axis %d", first.Shape, axis)
	}
	size := 0
	for _, p := range parts {
		if len(p.Shape) != len(first.Shape) || !p.Shape.with(axis, 1).Equal(first.Shape.with(axis, 1)) {
			return first.graph.fail(first, "concat: shapes %s and %s differ beside axis %d", first.Shape, p.Shape, axis)
		}
		size += p.Shape[axis]
	}
	return node(OpConcat, first.Shape.with(axis, size), Attrs{Axis: axis}, nil, parts...)
}

// Slice is the part start:stop of an axis.
func Slice(x *Tensor, axis, start, stop int) *Tensor {
	if axis < 0 || axis >= len(x.Shape) || start < 0 || stop <= start || stop > x.Shape[axis] {
		return x.graph.fail(x, "slice: %s has no part %d:%d of axis %d", x.Shape, start, stop, axis)
	}
	return node(OpSlice, x.Shape.with(axis, stop-start), Attrs{Axis: axis, Start: start, Stop: stop}, nil, x)
}

// Row is row index of x [m, ...], as [1, ...]. index [1] holds a whole number from 0 to m-1, up to
// 2^24 exactly whatever the graph's storage type (see Indices); a smaller one means the first row, a
// larger one the last.
func Row(x, index *Tensor) *Tensor {
	if len(x.Shape) == 0 || !index.Shape.Equal(Shape{1}) {
		return x.graph.fail(x, "row: %s has no row that an index %s says", x.Shape, index.Shape)
	}
	return node(OpRow, x.Shape.with(0, 1), Attrs{}, nil, x, index)
}

// Pad puts rows and columns of zeros around x [n, h, w, c].
func Pad(x *Tensor, pad Padding) *Tensor {
	if len(x.Shape) != 4 || pad.least() < 0 {
		return x.graph.fail(x, "pad: %v does not fit %s", pad, x.Shape)
	}
	shape := Shape{x.Shape[0], x.Shape[1] + pad.Top + pad.Bottom, x.Shape[2] + pad.Left + pad.Right, x.Shape[3]}
	return node(OpPad, shape, Attrs{Padding: pad}, nil, x)
}

// Cast stores x as another floating-point type.
func Cast(x *Tensor, dtype DType) *Tensor {
	if dtype != F32 && dtype != F16 && dtype != BF16 {
		return x.graph.fail(x, "cast: graphs do not compute in %s", dtype)
	}
	t := node(OpCast, x.Shape, Attrs{}, nil, x)
	t.DType = dtype
	return t
}

// Upsample doubles height and width of x [n, h, w, c] by repeating pixels.
func Upsample(x *Tensor) *Tensor {
	if len(x.Shape) != 4 {
		return x.graph.fail(x, "upsample: %s is no image", x.Shape)
	}
	return node(OpUpsample, Shape{x.Shape[0], 2 * x.Shape[1], 2 * x.Shape[2], x.Shape[3]}, Attrs{}, nil, x)
}

// AvgPool2D halves height and width of x [n, h, w, c], both even, by the mean of 2×2 pixels.
func AvgPool2D(x *Tensor) *Tensor {
	if len(x.Shape) != 4 || x.Shape[1]%2 != 0 || x.Shape[2]%2 != 0 {
		return x.graph.fail(x, "avg_pool2d: %s has no even height and width", x.Shape)
	}
	return node(OpAvgPool2D, Shape{x.Shape[0], x.Shape[1] / 2, x.Shape[2] / 2, x.Shape[3]}, Attrs{}, nil, x)
}
