package unet

import "ldm-mac/ldm/tensor"

// This file says what follows from a config.

// conditional reports that the network attends to a condition.
func (c *Config) conditional() bool { return c.ClassName == Conditional }

func (c *Config) levels() int { return len(c.BlockOutChannels) }

// headField is the field that decides the heads, by its name.
func (c *Config) headField() (string, PerLevel) {
	if len(c.NumAttentionHeads) > 0 {
		return "num_attention_heads", c.NumAttentionHeads
	}
	return "attention_head_dim", c.AttentionHeadDim
}

// headsBySize reports that headField is a head's number of channels, not the number of heads.
func (c *Config) headsBySize() bool { return !c.conditional() && len(c.NumAttentionHeads) == 0 }

// heads is the number of attention heads at a level.
func (c *Config) heads(level int) int {
	_, values := c.headField()
	switch {
	case len(values) == 0:
		return 1
	case c.headsBySize():
		return c.BlockOutChannels[level] / values.at(level)
	}
	return values.at(level)
}

// attends reports whether some block at a level has attention; the middle is the last level's.
func (c *Config) attends(level int) bool {
	last := c.levels() - 1
	return level == last && (c.conditional() || c.AddAttention) ||
		attention(c.DownBlockTypes[level]) || attention(c.UpBlockTypes[last-level])
}

// attention reports whether blocks of a type have attention behind each residual block.
func attention(blockType string) bool {
	switch blockType {
	case crossAttnDown, attnDown, crossAttnUp, attnUp:
		return true
	}
	return false
}

// onlyCross reports whether the first attention of the level's transformers is to the condition.
// It never is in the middle (diffusers, UNetMidBlock2DCrossAttn).
func (c *Config) onlyCross(level int) bool {
	return len(c.OnlyCrossAttention) > 0 && c.OnlyCrossAttention.at(level)
}

// midNorm is the number of groups of the norm before attention in the middle of an unconditional
// network, 0 for no norm: diffusers' UNetMidBlock2D has none with scale_shift unless
// attn_norm_num_groups is given, although all other blocks have.
func (c *Config) midNorm() int {
	switch {
	case c.AttnNormNumGroups != nil:
		return *c.AttnNormNumGroups
	case c.ResnetTimeScaleShift == "scale_shift":
		return 0
	}
	return c.NormNumGroups
}

// resnetResamples reports whether the size changes inside a residual block behind blocks of the
// type; only those with attention ask the config.
func (c *Config) resnetResamples(blockType string) bool {
	switch blockType {
	case attnDown:
		return c.DownsampleType == resnet
	case attnUp:
		return c.UpsampleType == resnet
	}
	return blockType == resnetDown || blockType == resnetUp
}

// downsamplePadding pads on all sides, or, where the config says 0, as diffusers' Downsample2D
// then does, at the bottom and the right.
func (c *Config) downsamplePadding() tensor.Padding {
	if c.DownsamplePadding == 0 {
		return tensor.Padding{Bottom: 1, Right: 1}
	}
	return tensor.Same(3)
}

// Multiple is what height and width of the latents must be multiples of: 1 where convolutions
// halve the size, which take odd ones too, and more where residual blocks do.
func (c *Config) Multiple() int {
	multiple := 1
	for level := range c.levels() - 1 {
		if c.resnetResamples(c.DownBlockTypes[level]) || c.resnetResamples(c.UpBlockTypes[c.levels()-1-level-1]) {
			multiple = 2 << level
		}
	}
	return multiple
}
