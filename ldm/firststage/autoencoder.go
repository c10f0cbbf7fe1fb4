package firststage

import (
	"math"
	"slices"

	"ldm-mac/ldm/nn"
	"ldm-mac/ldm/tensor"
)

// FirstStage encodes a picture to latents, or to a normal distribution of them, and decodes latents
// to a picture.
type FirstStage struct {
	Encoder       *Encoder       `weight:"encoder"`
	Decoder       *Decoder       `weight:"decoder"`
	QuantConv     *nn.Conv2D     `weight:"quant_conv"`                // nil for none
	PostQuantConv *nn.Conv2D     `weight:"post_quant_conv"`           // nil for none
	Codes         *tensor.Weight `weight:"quantize.embedding.weight"` // [codes, Channels], see Codebook; nil for a KL model
}

// New builds the network that a valid config describes; its weights have shapes but no data.
func New(c *Config) (*FirstStage, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	encoded, latent := c.LatentChannels, c.Channels()
	if c.ClassName == VQ {
		return &FirstStage{
			Encoder: newEncoder(c, encoded), Decoder: newDecoder(c),
			QuantConv: nn.NewConv2D(encoded, latent, 1), PostQuantConv: nn.NewConv2D(latent, encoded, 1),
			Codes: tensor.NewWeight(c.NumVQEmbeddings, latent),
		}, nil
	}
	a := &FirstStage{Encoder: newEncoder(c, 2*encoded), Decoder: newDecoder(c)}
	if c.UseQuantConv {
		a.QuantConv = nn.NewConv2D(2*encoded, 2*encoded, 1)
	}
	if c.UsePostQuantConv {
		a.PostQuantConv = nn.NewConv2D(encoded, encoded, 1)
	}
	return a, nil
}

// Encode maps a picture [n, h, w, 3] in [-1, 1] to the moments [n, h/f, w/f, 2·z] of a KL model's
// latents, means, then logarithms of variances (see Moments), or to a VQ model's latents
// [n, h/f, w/f, z] before quantisation, on which diffusion works.
func (a *FirstStage) Encode(x *tensor.Tensor) *tensor.Tensor { return a.EncodeCoarse(a.EncodeFine(x)) }

// EncodeFine is the first part of Encode, down to the size of latents: [n, h/f, w/f, c].
func (a *FirstStage) EncodeFine(x *tensor.Tensor) *tensor.Tensor { return a.Encoder.Fine(x) }

// EncodeCoarse is the rest of Encode, in the size of latents. All attention of the published models is
// in it.
func (a *FirstStage) EncodeCoarse(h *tensor.Tensor) *tensor.Tensor {
	h = a.Encoder.Coarse(h)
	if a.QuantConv != nil {
		h = a.QuantConv.Forward(h)
	}
	return h
}

// Decode maps latents [n, h/f, w/f, z], as the encoder makes them and, of a VQ model, quantised
// (see Codebook), to a picture [n, h, w, 3] whose values mostly lie in [-1, 1].
func (a *FirstStage) Decode(z *tensor.Tensor) *tensor.Tensor { return a.DecodeFine(a.DecodeCoarse(z)) }

// DecodeCoarse is the first part of Decode, in the size of latents: [n, h/f, w/f, c]. All attention of
// the published models is in it.
func (a *FirstStage) DecodeCoarse(z *tensor.Tensor) *tensor.Tensor {
	if a.PostQuantConv != nil {
		z = a.PostQuantConv.Forward(z)
	}
	return a.Decoder.Coarse(z)
}

// DecodeFine is the rest of Decode, up to the size of pixels.
func (a *FirstStage) DecodeFine(h *tensor.Tensor) *tensor.Tensor { return a.Decoder.Fine(h) }

// Encoder is the way from pixels to moments or latents.
type Encoder struct {
	ConvIn     *nn.Conv2D    `weight:"conv_in"`
	DownBlocks []*DownBlock  `weight:"down_blocks"`
	MidBlock   *MidBlock     `weight:"mid_block"`
	NormOut    *nn.GroupNorm `weight:"conv_norm_out"`
	ConvOut    *nn.Conv2D    `weight:"conv_out"`
}

// DownBlock is one level of the encoder.
type DownBlock struct {
	Resnets      []*ResBlock          `weight:"resnets"`
	Attentions   []*nn.AttentionBlock `weight:"attentions"` // nil, or one behind each residual block
	Downsamplers []*Resample          `weight:"downsamplers"`
}

// newEncoder has the given number of output channels.
func newEncoder(c *Config, channels int) *Encoder {
	in := c.BlockOutChannels[0]
	e := &Encoder{ConvIn: nn.NewConv2D(c.InChannels, in, 3)}
	for level, out := range c.BlockOutChannels {
		b := &DownBlock{}
		for range c.LayersPerBlock {
			b.Resnets = append(b.Resnets, newResBlock(c, in, out))
			if c.DownBlockTypes[level] == attnDown {
				b.Attentions = append(b.Attentions, newAttention(c, out))
			}
			in = out
		}
		if level < len(c.BlockOutChannels)-1 {
			b.Downsamplers = []*Resample{{nn.NewDownsample(out, tensor.Padding{Bottom: 1, Right: 1})}}
		}
		e.DownBlocks = append(e.DownBlocks, b)
	}
	e.MidBlock = newMidBlock(c, in)
	e.NormOut = nn.NewGroupNorm(in, c.NormNumGroups, normEps)
	e.ConvOut = nn.NewConv2D(in, channels, 3)
	return e
}

// Fine maps x [n, h, w, 3] to [n, h/f, w/f, c].
func (e *Encoder) Fine(x *tensor.Tensor) *tensor.Tensor {
	h := e.ConvIn.Forward(x)
	for _, b := range e.DownBlocks[:len(e.DownBlocks)-1] {
		h = b.Forward(h)
	}
	return h
}

// Coarse maps h [n, h/f, w/f, c] to [n, h/f, w/f, channels].
func (e *Encoder) Coarse(h *tensor.Tensor) *tensor.Tensor {
	h = e.DownBlocks[len(e.DownBlocks)-1].Forward(h)
	h = e.MidBlock.Forward(h)
	return e.ConvOut.Forward(tensor.SiLU(e.NormOut.Forward(h)))
}

// Forward halves the size of h [n, h, w, c] on all levels but the coarsest.
func (b *DownBlock) Forward(h *tensor.Tensor) *tensor.Tensor {
	for i, r := range b.Resnets {
		h = r.Forward(h)
		if b.Attentions != nil {
			h = b.Attentions[i].Forward(h)
		}
	}
	for _, d := range b.Downsamplers {
		h = d.Conv.Forward(h)
	}
	return h
}

// Decoder is the way from latents to pixels.
type Decoder struct {
	ConvIn   *nn.Conv2D    `weight:"conv_in"`
	MidBlock *MidBlock     `weight:"mid_block"`
	UpBlocks []*UpBlock    `weight:"up_blocks"`
	NormOut  *nn.GroupNorm `weight:"conv_norm_out"`
	ConvOut  *nn.Conv2D    `weight:"conv_out"`
}

// UpBlock is one level of the decoder; it has one residual block more than the encoder's.
type UpBlock struct {
	Resnets    []*ResBlock          `weight:"resnets"`
	Attentions []*nn.AttentionBlock `weight:"attentions"` // nil, or one behind each residual block
	Upsamplers []*Resample          `weight:"upsamplers"`
}

func newDecoder(c *Config) *Decoder {
	channels := slices.Clone(c.BlockOutChannels)
	slices.Reverse(channels) // coarsest first
	in := channels[0]
	d := &Decoder{ConvIn: nn.NewConv2D(c.LatentChannels, in, 3), MidBlock: newMidBlock(c, in)}
	for i, out := range channels {
		b := &UpBlock{}
		for range c.LayersPerBlock + 1 {
			b.Resnets = append(b.Resnets, newResBlock(c, in, out))
			if c.UpBlockTypes[i] == attnUp {
				b.Attentions = append(b.Attentions, newAttention(c, out))
			}
			in = out
		}
		if i < len(channels)-1 {
			b.Upsamplers = []*Resample{{nn.NewConv2D(out, out, 3)}}
		}
		d.UpBlocks = append(d.UpBlocks, b)
	}
	d.NormOut = nn.NewGroupNorm(in, c.NormNumGroups, normEps)
	d.ConvOut = nn.NewConv2D(in, c.OutChannels, 3)
	return d
}

// Coarse maps z [n, h, w, z] to [n, h, w, c].
func (d *Decoder) Coarse(z *tensor.Tensor) *tensor.Tensor {
	return d.UpBlocks[0].Forward(d.MidBlock.Forward(d.ConvIn.Forward(z)))
}

// Fine maps h [n, h, w, c] to [n, f·h, f·w, 3].
func (d *Decoder) Fine(h *tensor.Tensor) *tensor.Tensor {
	for i, b := range d.UpBlocks[1:] {
		h = b.Forward(d.UpBlocks[i].Upsample(h))
	}
	return d.ConvOut.Forward(tensor.SiLU(d.NormOut.Forward(h)))
}

// Forward keeps the size of h [n, h, w, c].
func (b *UpBlock) Forward(h *tensor.Tensor) *tensor.Tensor {
	for i, r := range b.Resnets {
		h = r.Forward(h)
		if b.Attentions != nil {
			h = b.Attentions[i].Forward(h)
		}
	}
	return h
}

// Upsample doubles the size of h [n, h, w, c], on all levels but the finest.
func (b *UpBlock) Upsample(h *tensor.Tensor) *tensor.Tensor {
	for _, u := range b.Upsamplers {
		h = u.Conv.Forward(tensor.Upsample(h))
	}
	return h
}

// Moments splits the encoder's moments of one picture, pixels·[mean…, logvar…] with z of each,
// into means and standard deviations; logarithms of variances are clamped to [-30, 20] (CompVis,
// ldm/modules/distributions/distributions.py).
func Moments(moments []float32, z int) (mean, std []float32) {
	for i := 0; i < len(moments); i += 2 * z {
		mean = append(mean, moments[i:i+z]...)
		for _, logvar := range moments[i+z : i+2*z] {
			std = append(std, deviation(logvar))
		}
	}
	return mean, std
}

func deviation(logvar float32) float32 {
	return float32(math.Exp(0.5 * float64(min(max(logvar, -30), 20))))
}
