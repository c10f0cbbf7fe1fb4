package unet

import (
	"ldm-mac/ldm/nn"
	"ldm-mac/ldm/tensor"
)

// UNet predicts the noise (or what the schedule calls the model's output) in latents.
type UNet struct {
	ConvIn     *nn.Conv2D     `weight:"conv_in"`
	TimeEmbed  *TimeEmbedding `weight:"time_embedding"`
	DownBlocks []*DownBlock   `weight:"down_blocks"`
	MidBlock   *MidBlock      `weight:"mid_block"`
	UpBlocks   []*UpBlock     `weight:"up_blocks"`
	NormOut    *nn.GroupNorm  `weight:"conv_norm_out"`
	ConvOut    *nn.Conv2D     `weight:"conv_out"`
}

// TimeEmbedding is the network on the sinusoids of the timestep.
type TimeEmbedding struct {
	Linear1 *nn.Linear `weight:"linear_1"`
	Linear2 *nn.Linear `weight:"linear_2"`
}

// Forward maps sinusoids [n, model] to [n, 4·model].
func (e *TimeEmbedding) Forward(x *tensor.Tensor) *tensor.Tensor {
	return e.Linear2.Forward(tensor.SiLU(e.Linear1.Forward(x)))
}

// DownBlock is one level of the way down.
type DownBlock struct {
	Resnets      []*ResBlock           `weight:"resnets"`
	Attentions   []*SpatialTransformer `weight:"attentions"` // nil, or one behind each residual block
	Downsamplers []*Downsample         `weight:"downsamplers"`
}

// Downsample halves height and width.
type Downsample struct {
	Conv *nn.Conv2D `weight:"conv"`
}

// MidBlock is the coarsest level: a residual block, then transformers each followed by one more.
type MidBlock struct {
	Resnets    []*ResBlock           `weight:"resnets"`
	Attentions []*SpatialTransformer `weight:"attentions"`
}

// UpBlock is one level of the way up; each residual block reads one skip connection.
type UpBlock struct {
	Resnets    []*ResBlock           `weight:"resnets"`
	Attentions []*SpatialTransformer `weight:"attentions"` // nil, or one behind each residual block
	Upsamplers []*Upsample           `weight:"upsamplers"`
}

// Upsample doubles height and width.
type Upsample struct {
	Conv *nn.Conv2D `weight:"conv"`
}

// New builds the network that a valid config describes; its weights have shapes but no data.
func New(c *Config) (*UNet, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	model, last := c.BlockOutChannels[0], c.levels()-1
	u := &UNet{
		ConvIn:    nn.NewConv2D(c.InChannels, model, c.ConvInKernel),
		TimeEmbed: &TimeEmbedding{nn.NewLinear(model, 4*model), nn.NewLinear(4*model, 4*model)},
		NormOut:   nn.NewGroupNorm(model, c.NormNumGroups, c.NormEps),
		ConvOut:   nn.NewConv2D(model, c.OutChannels, c.ConvOutKernel),
	}
	skips := []int{model} // channels of the skip connections
	in := model
	for level, out := range c.BlockOutChannels {
		b := &DownBlock{}
		for range c.LayersPerBlock.at(level) {
			b.Resnets = append(b.Resnets, newResBlock(c, in, out))
			if c.DownBlockTypes[level] == crossAttnDown {
				b.Attentions = append(b.Attentions, newSpatialTransformer(c, level))
			}
			in = out
			skips = append(skips, out)
		}
		if level < last {
			b.Downsamplers = []*Downsample{{nn.NewDownsample(out, downsamplePadding(c))}}
			skips = append(skips, out)
		}
		u.DownBlocks = append(u.DownBlocks, b)
	}
	u.MidBlock = &MidBlock{
		Resnets:    []*ResBlock{newResBlock(c, in, in), newResBlock(c, in, in)},
		Attentions: []*SpatialTransformer{newSpatialTransformer(c, last)},
	}
	for level := last; level >= 0; level-- {
		b, out := &UpBlock{}, c.BlockOutChannels[level]
		for range c.LayersPerBlock.at(level) + 1 {
			skip := skips[len(skips)-1]
			skips = skips[:len(skips)-1]
			b.Resnets = append(b.Resnets, newResBlock(c, in+skip, out))
			if c.UpBlockTypes[last-level] == crossAttnUp {
				b.Attentions = append(b.Attentions, newSpatialTransformer(c, level))
			}
			in = out
		}
		if level > 0 {
			b.Upsamplers = []*Upsample{{nn.NewConv2D(out, out, 3)}}
		}
		u.UpBlocks = append(u.UpBlocks, b)
	}
	return u, nil
}

// downsamplePadding pads on all sides, or, where the config says 0, as diffusers' Downsample2D
// then does, at the bottom and the right.
func downsamplePadding(c *Config) tensor.Padding {
	if c.DownsamplePadding == 0 {
		return tensor.Padding{Bottom: 1, Right: 1}
	}
	return tensor.Same(3)
}

// Forward maps latents x [n, h, w, in], the sinusoids of their timesteps [n, model] and the
// condition [n, m, condWidth] to the model's output [n, h, w, out]. Any height and width will do:
// what is upsampled is cut to the size of its skip connection.
func (u *UNet) Forward(x, sinusoids, cond *tensor.Tensor) *tensor.Tensor {
	emb := tensor.SiLU(u.TimeEmbed.Forward(sinusoids)) // every residual block activates it
	h := u.ConvIn.Forward(x)
	skips := []*tensor.Tensor{h}
	for _, b := range u.DownBlocks {
		for i, r := range b.Resnets {
			h = r.Forward(h, emb)
			if b.Attentions != nil {
				h = b.Attentions[i].Forward(h, cond)
			}
			skips = append(skips, h)
		}
		for _, d := range b.Downsamplers {
			h = d.Conv.Forward(h)
			skips = append(skips, h)
		}
	}
	h = u.MidBlock.Forward(h, emb, cond)
	for _, b := range u.UpBlocks {
		for i, r := range b.Resnets {
			skip := skips[len(skips)-1]
			skips = skips[:len(skips)-1]
			h = r.Forward(tensor.Concat(3, h, skip), emb)
			if b.Attentions != nil {
				h = b.Attentions[i].Forward(h, cond)
			}
		}
		for _, up := range b.Upsamplers {
			h = up.Conv.Forward(crop(tensor.Upsample(h), skips[len(skips)-1]))
		}
	}
	return u.ConvOut.Forward(tensor.SiLU(u.NormOut.Forward(h)))
}

// Forward keeps the shape of x [n, h, w, c].
func (m *MidBlock) Forward(x, emb, cond *tensor.Tensor) *tensor.Tensor {
	x = m.Resnets[0].Forward(x, emb)
	for i, a := range m.Attentions {
		x = m.Resnets[i+1].Forward(a.Forward(x, cond), emb)
	}
	return x
}

// crop cuts x to the height and width of like, which an odd size makes one smaller.
func crop(x, like *tensor.Tensor) *tensor.Tensor {
	for _, axis := range []int{1, 2} {
		if x.Shape[axis] != like.Shape[axis] {
			x = tensor.Slice(x, axis, 0, like.Shape[axis])
		}
	}
	return x
}
