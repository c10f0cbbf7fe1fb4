package nn

import (
	"math"
	"strings"

	"ldm-mac/ldm/tensor"
)

// Attention is multi-head attention, softmax(QKᵀ/√d)V, of x to itself or to a condition
// (Rombach et al. 2022, section 3.3).
type Attention struct {
	ToQ   *Linear `weight:"to_q"`
	ToK   *Linear `weight:"to_k"`
	ToV   *Linear `weight:"to_v"`
	ToOut *Linear `weight:"to_out.0"`

	heads int
}

// NewAttention attends from tokens of the given width to tokens of width condWidth, which is
// width for self-attention. The heads have size width/heads; queries, keys and values have no
// bias.
func NewAttention(width, condWidth, heads int) *Attention {
	return &Attention{
		ToQ: NewProjection(width, width), ToK: NewProjection(condWidth, width),
		ToV: NewProjection(condWidth, width), ToOut: NewLinear(width, width), heads: heads,
	}
}

// Forward attends from x [n, l, d] to cond [n, m, condWidth]; the result is [n, l, d].
func (a *Attention) Forward(x, cond *tensor.Tensor) *tensor.Tensor {
	q, k, v := a.ToQ.Forward(x), a.ToK.Forward(cond), a.ToV.Forward(cond)
	return a.ToOut.Forward(Attend(a.ToQ, q, k, v, a.heads))
}

// Attend is softmax(QKᵀ/√d)V for every head, named after the module that holds the layer toQ.
func Attend(toQ *Linear, q, k, v *tensor.Tensor, heads int) *tensor.Tensor {
	scale := 1 / math.Sqrt(float64(q.Shape.Last())/float64(heads))
	return tensor.Attention(Holder(toQ.Weight), q, k, v, heads, float32(scale), false)
}

// Holder is the name of the module that a layer with weight w is a part of, "" before binding:
// "….attn2.to_q.weight" is held by "….attn2". Blocks name their results so.
func Holder(w *tensor.Weight) string {
	name := w.Name
	for range 2 {
		name = name[:max(strings.LastIndexByte(name, '.'), 0)]
	}
	return name
}

// FeedForward is the transformer's GEGLU network (Shazeer 2020, arXiv:2002.05202).
type FeedForward struct {
	Proj *Linear `weight:"net.0.proj"` // value and gate, each four times as wide
	Out  *Linear `weight:"net.2"`
}

// NewFeedForward maps tokens of the given width.
func NewFeedForward(width int) *FeedForward {
	return &FeedForward{Proj: NewLinear(width, 8*width), Out: NewLinear(4*width, width)}
}

// Forward keeps the shape of x [n, l, d].
func (f *FeedForward) Forward(x *tensor.Tensor) *tensor.Tensor {
	h := f.Proj.Forward(x)
	inner := h.Shape.Last() / 2
	value, gate := tensor.Slice(h, 2, 0, inner), tensor.Slice(h, 2, inner, 2*inner)
	return f.Out.Forward(tensor.Mul(value, tensor.GELU(gate)))
}
