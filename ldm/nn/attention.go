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
	return attend(Holder(toQ.Weight), q, k, v, heads, false)
}

// AttendCausal is Attend in which a token attends to itself and those before it.
func AttendCausal(toQ *Linear, q, k, v *tensor.Tensor, heads int) *tensor.Tensor {
	return attend(Holder(toQ.Weight), q, k, v, heads, true)
}

func attend(name string, q, k, v *tensor.Tensor, heads int, causal bool) *tensor.Tensor {
	scale := 1 / math.Sqrt(float64(q.Shape.Last())/float64(heads))
	return tensor.Attention(name, q, k, v, heads, float32(scale), causal)
}

// AttentionBlock is self-attention of the pixels of an image, behind a group norm and around a
// residual (CompVis, openaimodel.py, AttentionBlock, and model.py, AttnBlock; diffusers Attention).
type AttentionBlock struct {
	Norm  *GroupNorm `weight:"group_norm"` // nil for none
	ToQ   *Linear    `weight:"to_q"`
	ToK   *Linear    `weight:"to_k"`
	ToV   *Linear    `weight:"to_v"`
	ToOut *Linear    `weight:"to_out.0"`

	heads int
}

// NewAttentionBlock attends on images of the given channels, which heads divides; norm may be nil.
func NewAttentionBlock(norm *GroupNorm, channels, heads int) *AttentionBlock {
	return &AttentionBlock{
		Norm: norm, ToQ: NewLinear(channels, channels), ToK: NewLinear(channels, channels),
		ToV: NewLinear(channels, channels), ToOut: NewLinear(channels, channels), heads: heads,
	}
}

// Forward keeps the shape of x [n, h, w, c].
func (a *AttentionBlock) Forward(x *tensor.Tensor) *tensor.Tensor {
	h := x
	if a.Norm != nil {
		h = a.Norm.Forward(x)
	}
	h = Tokens(h) // [n, h·w, c]
	name := Holder(a.ToQ.Weight)
	attention := strings.TrimPrefix(name+".attention", ".") // the name itself is the result's
	h = attend(attention, a.ToQ.Forward(h), a.ToK.Forward(h), a.ToV.Forward(h), a.heads, false)
	return tensor.Add(x, tensor.Reshape(a.ToOut.Forward(h), x.Shape...)).Named(name)
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
