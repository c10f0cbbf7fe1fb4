package unet

import (
	"ldm-mac/ldm/nn"
	"ldm-mac/ldm/tensor"
)

// Attention is what follows a residual block: a SpatialTransformer, or a SelfAttention.
type Attention interface {
	// Forward keeps the shape of x [n, h, w, c]; cond is [n, m, condWidth].
	Forward(x, cond *tensor.Tensor) *tensor.Tensor
}

// SelfAttention is the attention of networks without a condition.
type SelfAttention struct{ *nn.AttentionBlock }

// Forward keeps the shape of x [n, h, w, c]; the condition is not read.
func (s *SelfAttention) Forward(x, _ *tensor.Tensor) *tensor.Tensor {
	return s.AttentionBlock.Forward(x)
}

// newAttention is the attention of a level; groups are those of a SelfAttention's norm, 0 for none.
func newAttention(c *Config, level, groups int, onlyCross bool) Attention {
	if c.conditional() {
		return newSpatialTransformer(c, level, onlyCross)
	}
	channels := c.BlockOutChannels[level]
	var norm *nn.GroupNorm
	if groups > 0 {
		norm = nn.NewGroupNorm(channels, groups, c.NormEps)
	}
	return &SelfAttention{nn.NewAttentionBlock(norm, channels, c.heads(level))}
}

// DownBlock is one level of the way down.
type DownBlock struct {
	Resnets      []*ResBlock   `weight:"resnets"`
	Attentions   []Attention   `weight:"attentions"`   // nil, or one behind each residual block
	Downsamplers []*Downsample `weight:"downsamplers"` // one, or none at the last level
}

// newDownBlock has the layers of a level whose input has the given channels.
func newDownBlock(c *Config, level, in int) *DownBlock {
	b, out, blockType := &DownBlock{}, c.BlockOutChannels[level], c.DownBlockTypes[level]
	for range c.LayersPerBlock.at(level) {
		b.Resnets = append(b.Resnets, newResBlock(c, in, out))
		if attention(blockType) {
			b.Attentions = append(b.Attentions, newAttention(c, level, c.NormNumGroups, c.onlyCross(level)))
		}
		in = out
	}
	switch {
	case level == c.levels()-1:
	case c.resnetResamples(blockType):
		r := newResBlock(c, out, out)
		r.resample = tensor.AvgPool2D
		b.Downsamplers = []*Downsample{{Block: r}}
	default:
		b.Downsamplers = []*Downsample{{Conv: nn.NewDownsample(out, c.downsamplePadding())}}
	}
	return b
}

// Forward maps x [n, h, w, in] to the level's results [n, h, w, out], all of which are skip
// connections and the last of which, [n, h/2, w/2, out] below the last level, is the next
// level's input.
func (b *DownBlock) Forward(x *tensor.Tensor, time Time, cond *tensor.Tensor) (results []*tensor.Tensor) {
	for i, r := range b.Resnets {
		x = r.Forward(x, time)
		if b.Attentions != nil {
			x = b.Attentions[i].Forward(x, cond)
		}
		results = append(results, x)
	}
	for _, d := range b.Downsamplers {
		x = d.Forward(x, time)
		results = append(results, x)
	}
	return results
}

// Downsample halves height and width: with a convolution, or in a residual block.
type Downsample struct {
	Conv  *nn.Conv2D `weight:"conv"` // or nil
	Block *ResBlock  `weight:""`     // or nil
}

// Forward maps x [n, h, w, c] to [n, h/2, w/2, c]; a convolution rounds up, a residual block wants
// even sizes.
func (d *Downsample) Forward(x *tensor.Tensor, time Time) *tensor.Tensor {
	if d.Block != nil {
		return d.Block.Forward(x, time)
	}
	return d.Conv.Forward(x)
}

// MidBlock is the coarsest level: a residual block, then attention and one more, or only that.
type MidBlock struct {
	Resnets    []*ResBlock `weight:"resnets"`
	Attentions []Attention `weight:"attentions"` // one, or none
}

func newMidBlock(c *Config) *MidBlock {
	last := c.levels() - 1
	channels := c.BlockOutChannels[last]
	m := &MidBlock{Resnets: []*ResBlock{newResBlock(c, channels, channels), newResBlock(c, channels, channels)}}
	if c.conditional() || c.AddAttention {
		m.Attentions = []Attention{newAttention(c, last, c.midNorm(), false)}
	}
	return m
}

// Forward keeps the shape of x [n, h, w, c].
func (m *MidBlock) Forward(x *tensor.Tensor, time Time, cond *tensor.Tensor) *tensor.Tensor {
	x = m.Resnets[0].Forward(x, time)
	for _, a := range m.Attentions {
		x = a.Forward(x, cond)
	}
	return m.Resnets[1].Forward(x, time)
}

// UpBlock is one level of the way up; each residual block reads one skip connection.
type UpBlock struct {
	Resnets    []*ResBlock `weight:"resnets"`
	Attentions []Attention `weight:"attentions"` // nil, or one behind each residual block
	Upsamplers []*Upsample `weight:"upsamplers"` // one, or none at the first level
}

// newUpBlock has the layers of a level whose input has the given channels, and those of its skip
// connections, in the order in which they are read.
func newUpBlock(c *Config, level, in int, skips []int) *UpBlock {
	b, out, blockType := &UpBlock{}, c.BlockOutChannels[level], c.UpBlockTypes[c.levels()-1-level]
	for _, skip := range skips {
		b.Resnets = append(b.Resnets, newResBlock(c, in+skip, out))
		if attention(blockType) {
			b.Attentions = append(b.Attentions, newAttention(c, level, c.NormNumGroups, c.onlyCross(level)))
		}
		in = out
	}
	switch {
	case level == 0:
	case c.resnetResamples(blockType):
		r := newResBlock(c, out, out)
		r.resample = tensor.Upsample
		b.Upsamplers = []*Upsample{{Block: r}}
	default:
		b.Upsamplers = []*Upsample{{Conv: nn.NewConv2D(out, out, 3)}}
	}
	return b
}

// Forward maps x [n, h, w, in] and skips, the last of which is read first, to [n, 2·h, 2·w, out],
// cut to the size of the next skip connection, and returns the skip connections that are left;
// the first level keeps height and width.
func (b *UpBlock) Forward(x *tensor.Tensor, time Time, cond *tensor.Tensor, skips []*tensor.Tensor) (*tensor.Tensor, []*tensor.Tensor) {
	for i, r := range b.Resnets {
		last := len(skips) - 1
		x = r.Forward(tensor.Concat(3, x, skips[last]), time)
		skips = skips[:last]
		if b.Attentions != nil {
			x = b.Attentions[i].Forward(x, cond)
		}
	}
	for _, u := range b.Upsamplers {
		x = u.Forward(x, time, skips[len(skips)-1])
	}
	return x, skips
}

// Upsample doubles height and width: before a convolution, or in a residual block.
type Upsample struct {
	Conv  *nn.Conv2D `weight:"conv"` // or nil
	Block *ResBlock  `weight:""`     // or nil
}

// Forward maps x [n, h, w, c] to [n, 2·h, 2·w, c]; a convolution reads, and gives, the size of like.
func (u *Upsample) Forward(x *tensor.Tensor, time Time, like *tensor.Tensor) *tensor.Tensor {
	if u.Block != nil {
		return u.Block.Forward(x, time)
	}
	return u.Conv.Forward(crop(tensor.Upsample(x), like))
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
