package unet

import (
	"ldm-mac/ldm/nn"
	"ldm-mac/ldm/tensor"
)

// SpatialTransformer lets every pixel attend to the image and to the condition (Rombach et al.
// 2022, appendix E.2.1; diffusers Transformer2DModel).
type SpatialTransformer struct {
	Norm    *nn.GroupNorm       `weight:"norm"`
	ProjIn  *nn.Linear          `weight:"proj_in"` // stored as 1×1 convolutions by most models
	Blocks  []*TransformerBlock `weight:"transformer_blocks"`
	ProjOut *nn.Linear          `weight:"proj_out"`
}

func newSpatialTransformer(c *Config, level int, onlyCross bool) *SpatialTransformer {
	channels := c.BlockOutChannels[level]
	s := &SpatialTransformer{
		Norm:   nn.NewGroupNorm(channels, c.NormNumGroups, 1e-6), // not norm_eps: CompVis attention.py, Normalize
		ProjIn: nn.NewLinear(channels, channels), ProjOut: nn.NewLinear(channels, channels),
	}
	for range c.TransformerLayers.at(level) {
		s.Blocks = append(s.Blocks, newTransformerBlock(channels, c.CrossAttentionDim.at(level), c.heads(level), onlyCross))
	}
	return s
}

// Forward maps x [n, h, w, c] and cond [n, m, condWidth] to [n, h, w, c].
func (s *SpatialTransformer) Forward(x, cond *tensor.Tensor) *tensor.Tensor {
	h := s.ProjIn.Forward(nn.Tokens(s.Norm.Forward(x))) // [n, h·w, c]
	for _, b := range s.Blocks {
		h = b.Forward(h, cond)
	}
	h = s.ProjOut.Forward(h)
	return tensor.Add(x, tensor.Reshape(h, x.Shape...)).Named(nn.Holder(s.ProjOut.Weight))
}

// TransformerBlock is self-attention, cross-attention and a GEGLU network, each behind a layer
// norm and around a residual (diffusers BasicTransformerBlock).
type TransformerBlock struct {
	Norm1 *nn.LayerNorm   `weight:"norm1"`
	Attn1 *nn.Attention   `weight:"attn1"` // to the image itself, or to the condition
	Norm2 *nn.LayerNorm   `weight:"norm2"`
	Attn2 *nn.Attention   `weight:"attn2"` // to the condition
	Norm3 *nn.LayerNorm   `weight:"norm3"`
	FF    *nn.FeedForward `weight:"ff"`

	onlyCross bool // Attn1 is to the condition
}

func newTransformerBlock(width, condWidth, heads int, onlyCross bool) *TransformerBlock {
	first := width
	if onlyCross {
		first = condWidth
	}
	return &TransformerBlock{
		Norm1: nn.NewLayerNorm(width), Attn1: nn.NewAttention(width, first, heads),
		Norm2: nn.NewLayerNorm(width), Attn2: nn.NewAttention(width, condWidth, heads),
		Norm3: nn.NewLayerNorm(width), FF: nn.NewFeedForward(width), onlyCross: onlyCross,
	}
}

// Forward maps x [n, l, d] and cond [n, m, condWidth] to [n, l, d].
func (b *TransformerBlock) Forward(x, cond *tensor.Tensor) *tensor.Tensor {
	h := b.Norm1.Forward(x)
	first := h
	if b.onlyCross {
		first = cond
	}
	x = tensor.Add(b.Attn1.Forward(h, first), x)
	x = tensor.Add(b.Attn2.Forward(b.Norm2.Forward(x), cond), x)
	return tensor.Add(b.FF.Forward(b.Norm3.Forward(x)), x)
}
