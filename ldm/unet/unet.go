package unet

import (
	"fmt"

	"ldm-mac/ldm/nn"
	"ldm-mac/ldm/tensor"
)

// UNet predicts the noise (or what the schedule calls the model's output) in latents.
type UNet struct {
	ConvIn     *nn.Conv2D      `weight:"conv_in"`
	TimeEmbed  *TimeEmbedding  `weight:"time_embedding"`
	ClassEmbed *ClassEmbedding `weight:"class_embedding"` // nil for none
	DownBlocks []*DownBlock    `weight:"down_blocks"`
	MidBlock   *MidBlock       `weight:"mid_block"`
	UpBlocks   []*UpBlock      `weight:"up_blocks"`
	NormOut    *nn.GroupNorm   `weight:"conv_norm_out"`
	ConvOut    *nn.Conv2D      `weight:"conv_out"`
}

// TimeEmbedding is the network on the sinusoids of the timestep.
type TimeEmbedding struct {
	Linear1 *nn.Linear `weight:"linear_1"`
	Linear2 *nn.Linear `weight:"linear_2"`
}

// Forward maps sinusoids [m, model] to [m, 4·model].
func (e *TimeEmbedding) Forward(x *tensor.Tensor) *tensor.Tensor {
	return e.Linear2.Forward(tensor.SiLU(e.Linear1.Forward(x)))
}

// ClassEmbedding is the table of a vector for each class.
type ClassEmbedding struct {
	Weight *tensor.Weight `weight:"weight"` // [classes, 4·model]
}

// Inputs are what one evaluation reads.
type Inputs struct {
	X         *tensor.Tensor // [n, h, w, in], h and w multiples of Config.Multiple
	Sinusoids *tensor.Tensor // [m, model] of the timesteps, see TimestepEmbedding; m is n, or 1 for all images
	Row       *tensor.Tensor // [1], the row of Sinusoids that this evaluation uses, where they are those of a whole run; else nil
	Label     *tensor.Tensor // [1 or n, 4·model], see UNet.Label; nil without Config.NumClassEmbeds
	Cond      *tensor.Tensor // [n, l, d], d being CrossAttentionDim; nil for an Unconditional network
}

// New builds the network that a valid config describes; its weights have shapes but no data.
func New(c *Config) (*UNet, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	model := c.BlockOutChannels[0]
	u := &UNet{
		ConvIn:    nn.NewConv2D(c.InChannels, model, c.ConvInKernel),
		TimeEmbed: &TimeEmbedding{nn.NewLinear(model, 4*model), nn.NewLinear(4*model, 4*model)},
		NormOut:   nn.NewGroupNorm(model, c.NormNumGroups, c.NormEps),
		ConvOut:   nn.NewConv2D(model, c.OutChannels, c.ConvOutKernel),
	}
	if c.NumClassEmbeds != nil {
		u.ClassEmbed = &ClassEmbedding{tensor.NewWeight(*c.NumClassEmbeds, 4*model)}
	}
	in, skips := model, []int{model} // channels of the skip connections, the last read first
	for level, out := range c.BlockOutChannels {
		b := newDownBlock(c, level, in)
		for range len(b.Resnets) + len(b.Downsamplers) {
			skips = append(skips, out)
		}
		u.DownBlocks = append(u.DownBlocks, b)
		in = out
	}
	u.MidBlock = newMidBlock(c)
	for level := c.levels() - 1; level >= 0; level-- {
		var read []int
		for range c.LayersPerBlock.at(level) + 1 {
			read = append(read, skips[len(skips)-1])
			skips = skips[:len(skips)-1]
		}
		u.UpBlocks = append(u.UpBlocks, newUpBlock(c, level, in, read))
		in = c.BlockOutChannels[level]
	}
	return u, nil
}

// Label writes the embedding of a class to out, a row of Inputs.Label with 4·model elements. The
// weights are bound. It fails for a class that the network does not have.
func (u *UNet) Label(out []float32, class int) error {
	if u.ClassEmbed == nil {
		return fmt.Errorf("unet: class %d of a network without classes", class)
	}
	classes, size := u.ClassEmbed.Weight.Shape[0], u.ClassEmbed.Weight.Shape[1]
	if class < 0 || class >= classes {
		return fmt.Errorf("unet: class %d, want 0 to %d", class, classes-1)
	}
	if len(out) != size {
		return fmt.Errorf("unet: %d elements for the embedding of a class, want %d", len(out), size)
	}
	return u.ClassEmbed.Weight.Row(out, class)
}

// Forward maps the inputs to the model's output [n, h, w, out]. What is upsampled by a convolution
// is cut to the size of its skip connection.
func (u *UNet) Forward(in Inputs) *tensor.Tensor {
	emb := u.TimeEmbed.Forward(in.Sinusoids)
	if u.ClassEmbed != nil {
		if emb.Shape[0] < in.Label.Shape[0] {
			emb = tensor.Add(in.Label, emb)
		} else {
			emb = tensor.Add(emb, in.Label)
		}
	}
	time := Time{tensor.SiLU(emb), in.Row}
	h := u.ConvIn.Forward(in.X)
	skips := []*tensor.Tensor{h}
	for _, b := range u.DownBlocks {
		results := b.Forward(h, time, in.Cond)
		h = results[len(results)-1]
		skips = append(skips, results...)
	}
	h = u.MidBlock.Forward(h, time, in.Cond)
	for _, b := range u.UpBlocks {
		h, skips = b.Forward(h, time, in.Cond, skips)
	}
	return u.ConvOut.Forward(tensor.SiLU(u.NormOut.Forward(h)))
}
