package firststage

import (
	"ldm-mac/ldm/nn"
	"ldm-mac/ldm/tensor"
)

// normEps is the epsilon of every norm in the first stage (CompVis,
// ldm/modules/diffusionmodules/model.py, Normalize).
const normEps = 1e-6

// ResBlock is the residual block without a time embedding.
type ResBlock struct {
	Norm1    *nn.GroupNorm `weight:"norm1"`
	Conv1    *nn.Conv2D    `weight:"conv1"`
	Norm2    *nn.GroupNorm `weight:"norm2"`
	Conv2    *nn.Conv2D    `weight:"conv2"`
	Shortcut *nn.Conv2D    `weight:"conv_shortcut"` // 1×1, where the channel count changes; else nil
}

func newResBlock(c *Config, in, out int) *ResBlock {
	b := &ResBlock{
		Norm1: nn.NewGroupNorm(in, c.NormNumGroups, normEps), Conv1: nn.NewConv2D(in, out, 3),
		Norm2: nn.NewGroupNorm(out, c.NormNumGroups, normEps), Conv2: nn.NewConv2D(out, out, 3),
	}
	if in != out {
		b.Shortcut = nn.NewConv2D(in, out, 1)
	}
	return b
}

// Forward maps x [n, h, w, in] to [n, h, w, out].
func (b *ResBlock) Forward(x *tensor.Tensor) *tensor.Tensor {
	h := b.Conv1.Forward(tensor.SiLU(b.Norm1.Forward(x)))
	h = b.Conv2.Forward(tensor.SiLU(b.Norm2.Forward(h)))
	if b.Shortcut != nil {
		x = b.Shortcut.Forward(x)
	}
	return tensor.Add(x, h).Named(nn.Holder(b.Conv2.Weight))
}

// newAttention is attention over all pixels with one head.
func newAttention(c *Config, channels int) *nn.AttentionBlock {
	return nn.NewAttentionBlock(nn.NewGroupNorm(channels, c.NormNumGroups, normEps), channels, 1)
}

// MidBlock is the coarsest level of encoder and decoder.
type MidBlock struct {
	Resnets    []*ResBlock          `weight:"resnets"`
	Attentions []*nn.AttentionBlock `weight:"attentions"` // one, or none
}

func newMidBlock(c *Config, channels int) *MidBlock {
	m := &MidBlock{Resnets: []*ResBlock{newResBlock(c, channels, channels), newResBlock(c, channels, channels)}}
	if c.MidBlockAddAttention {
		m.Attentions = []*nn.AttentionBlock{newAttention(c, channels)}
	}
	return m
}

// Forward keeps the shape of x [n, h, w, c].
func (m *MidBlock) Forward(x *tensor.Tensor) *tensor.Tensor {
	x = m.Resnets[0].Forward(x)
	for _, a := range m.Attentions {
		x = a.Forward(x)
	}
	return m.Resnets[1].Forward(x)
}

// Resample is the convolution before which the size is doubled or with which it is halved.
type Resample struct {
	Conv *nn.Conv2D `weight:"conv"`
}
