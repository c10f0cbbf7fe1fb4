package unet

import (
	"ldm-mac/ldm/nn"
	"ldm-mac/ldm/tensor"
)

// ResBlock is the residual block with a time embedding (diffusers ResnetBlock2D; CompVis
// openaimodel.py, ResBlock).
type ResBlock struct {
	Norm1    *nn.GroupNorm `weight:"norm1"`
	Conv1    *nn.Conv2D    `weight:"conv1"`
	TimeProj *nn.Linear    `weight:"time_emb_proj"`
	Norm2    *nn.GroupNorm `weight:"norm2"`
	Conv2    *nn.Conv2D    `weight:"conv2"`
	Shortcut *nn.Conv2D    `weight:"conv_shortcut"` // 1×1, where the channel count changes; else nil

	scaleShift bool                                // the embedding scales and shifts the second norm instead of being added before it
	resample   func(*tensor.Tensor) *tensor.Tensor // changes the size before the first convolution and around it; nil for none
}

// Time is the embedding of the timestep, and of the class where there is one, as all residual
// blocks read it.
type Time struct {
	emb *tensor.Tensor // [m, 4·model], activated; m is the number of images, or 1
	row *tensor.Tensor // [1], the one row of emb that counts; nil for all
}

// project is what a block's layer makes of the embedding: [m, 1, 1, out], for every pixel. The layer
// is computed before a row is picked, so that it depends on nothing that changes between evaluations.
func (t Time) project(l *nn.Linear) *tensor.Tensor {
	h := l.Forward(t.emb)
	if t.row != nil {
		h = tensor.Row(h, t.row)
	}
	return nn.Spatial(h)
}

func newResBlock(c *Config, in, out int) *ResBlock {
	time := 4 * c.BlockOutChannels[0]
	b := &ResBlock{
		Norm1: nn.NewGroupNorm(in, c.NormNumGroups, c.NormEps), Conv1: nn.NewConv2D(in, out, 3),
		TimeProj: nn.NewLinear(time, out),
		Norm2:    nn.NewGroupNorm(out, c.NormNumGroups, c.NormEps), Conv2: nn.NewConv2D(out, out, 3),
		scaleShift: c.ResnetTimeScaleShift == "scale_shift",
	}
	if b.scaleShift {
		b.TimeProj = nn.NewLinear(time, 2*out)
	}
	if in != out {
		b.Shortcut = nn.NewConv2D(in, out, 1)
	}
	return b
}

// Forward maps x [n, h, w, in] to [n, h, w, out], or to twice or half that height and width.
func (b *ResBlock) Forward(x *tensor.Tensor, time Time) *tensor.Tensor {
	h := tensor.SiLU(b.Norm1.Forward(x))
	if b.resample != nil {
		x, h = b.resample(x), b.resample(h)
	}
	h = b.Conv1.Forward(h)
	t := time.project(b.TimeProj) // [m, 1, 1, out], or twice that
	if b.scaleShift {
		out := h.Shape.Last()
		scale, shift := tensor.Slice(t, 3, 0, out), tensor.Slice(t, 3, out, 2*out)
		h = tensor.Add(tensor.Mul(b.Norm2.Forward(h), tensor.Affine(scale, 1, 1)), shift)
	} else {
		h = b.Norm2.Forward(tensor.Add(h, t))
	}
	h = b.Conv2.Forward(tensor.SiLU(h))
	if b.Shortcut != nil {
		x = b.Shortcut.Forward(x)
	}
	return tensor.Add(x, h).Named(nn.Holder(b.Conv2.Weight))
}
