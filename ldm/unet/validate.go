package unet

import (
	"fmt"
	"slices"
)

// Bounds on what a config file may ask for: generous multiples of every published model, so that
// a broken file is refused before memory is spent on it.
const (
	maxLevels   = 16
	maxChannels = 1 << 14
	maxLayers   = 64
	maxClasses  = 1 << 20
)

// Validate reports the first field that no U-Net can have or that this package does not build.
func (c *Config) Validate() error {
	if c.ClassName != Conditional && c.ClassName != Unconditional {
		return fmt.Errorf("unet: class %q is not supported, want %s or %s", c.ClassName, Conditional, Unconditional)
	}
	for _, validate := range []func() error{c.validateLevels, c.validateNumbers, c.validateTypes, c.validateVariant, c.validateWidths} {
		if err := validate(); err != nil {
			return err
		}
	}
	return nil
}

// validateLevels checks that every level has its blocks.
func (c *Config) validateLevels() error {
	levels := c.levels()
	if levels < 1 || levels > maxLevels {
		return fmt.Errorf("unet: block_out_channels has %d levels, want 1 to %d", levels, maxLevels)
	}
	if len(c.DownBlockTypes) != levels || len(c.UpBlockTypes) != levels {
		return fmt.Errorf("unet: %d down_block_types and %d up_block_types for %d block_out_channels",
			len(c.DownBlockTypes), len(c.UpBlockTypes), levels)
	}
	if n := len(c.OnlyCrossAttention); n > 1 && n != levels {
		return fmt.Errorf("unet: only_cross_attention has %d values for %d levels", n, levels)
	}
	return nil
}

// validateNumbers checks the numbers one by one.
func (c *Config) validateNumbers() error {
	type list struct {
		name   string
		values []int
		most   int
		one    bool // a single number may serve all levels
	}
	lists := []list{
		{"in_channels", []int{c.InChannels}, maxChannels, true},
		{"out_channels", []int{c.OutChannels}, maxChannels, true},
		{"norm_num_groups", []int{c.NormNumGroups}, maxChannels, true},
		{"conv_in_kernel", []int{c.ConvInKernel}, 15, true},
		{"conv_out_kernel", []int{c.ConvOutKernel}, 15, true},
		{"block_out_channels", c.BlockOutChannels, maxChannels, false},
		{"layers_per_block", c.LayersPerBlock, maxLayers, true},
	}
	if c.conditional() {
		lists = append(lists, list{"transformer_layers_per_block", c.TransformerLayers, maxLayers, true},
			list{"cross_attention_dim", c.CrossAttentionDim, maxChannels, true})
	}
	if name, values := c.headField(); len(values) > 0 || c.conditional() {
		lists = append(lists, list{name, values, maxChannels, true})
	}
	if c.AttnNormNumGroups != nil {
		lists = append(lists, list{"attn_norm_num_groups", []int{*c.AttnNormNumGroups}, maxChannels, true})
	}
	if c.NumClassEmbeds != nil {
		lists = append(lists, list{"num_class_embeds", []int{*c.NumClassEmbeds}, maxClasses, true})
	}
	for _, l := range lists {
		if len(l.values) != c.levels() && !(l.one && len(l.values) == 1) {
			return fmt.Errorf("unet: %s has %d numbers for %d levels", l.name, len(l.values), c.levels())
		}
		for _, v := range l.values {
			if v < 1 || v > l.most {
				return fmt.Errorf("unet: %s is %d, want 1 to %d", l.name, v, l.most)
			}
		}
	}
	if c.ConvInKernel%2 == 0 || c.ConvOutKernel%2 == 0 {
		return fmt.Errorf("unet: conv_in_kernel %d and conv_out_kernel %d, want odd ones", c.ConvInKernel, c.ConvOutKernel)
	}
	if !(c.NormEps > 0) {
		return fmt.Errorf("unet: norm_eps is %g, want a positive number", c.NormEps)
	}
	if c.SampleSize < 0 || c.SampleSize > maxChannels {
		return fmt.Errorf("unet: sample_size is %d, want 0 to %d", c.SampleSize, maxChannels)
	}
	// The number of frequencies less freq_shift is a divisor, see TimestepEmbedding.
	if half := c.BlockOutChannels[0] / 2; !(c.FreqShift >= 0 && c.FreqShift < float64(max(half, 1))) {
		return fmt.Errorf("unet: freq_shift is %g, want less than the %d frequencies", c.FreqShift, half)
	}
	return nil
}

// validateWidths checks that norms and heads divide the channels that they are for.
func (c *Config) validateWidths() error {
	for level, channels := range c.BlockOutChannels {
		if channels%c.NormNumGroups != 0 {
			return fmt.Errorf("unet: %d norm_num_groups do not divide %d channels", c.NormNumGroups, channels)
		}
		if !c.attends(level) {
			continue
		}
		name, values := c.headField()
		switch size := len(values) > 0 && c.headsBySize(); {
		case size && channels%values.at(level) != 0:
			return fmt.Errorf("unet: heads of %d channels (%s) do not divide %d channels", values.at(level), name, channels)
		case !size && channels%c.heads(level) != 0:
			return fmt.Errorf("unet: %d heads (%s) do not divide %d channels", c.heads(level), name, channels)
		}
	}
	if groups, channels := c.midNorm(), c.BlockOutChannels[c.levels()-1]; groups > 0 && channels%groups != 0 {
		return fmt.Errorf("unet: %d attn_norm_num_groups do not divide %d channels", groups, channels)
	}
	return nil
}

// known reports the first type that is not among those wanted.
func known(field string, types []string, want ...string) error {
	for _, t := range types {
		if !slices.Contains(want, t) {
			return fmt.Errorf("unet: %s %q is not supported, want one of %q", field, t, want)
		}
	}
	return nil
}

// validateTypes checks the names of what the network is made of.
func (c *Config) validateTypes() error {
	mid := "null"
	if c.MidBlockType != nil {
		mid = *c.MidBlockType
	}
	down, middle, up := []string{attnDown, plainDown, resnetDown}, plainMid, []string{attnUp, plainUp, resnetUp}
	if c.conditional() {
		down, middle, up = []string{crossAttnDown, plainDown, resnetDown}, crossAttnMid, []string{crossAttnUp, plainUp, resnetUp}
	}
	for _, err := range []error{
		known("down_block_types", c.DownBlockTypes, down...),
		known("mid_block_type", []string{mid}, middle),
		known("up_block_types", c.UpBlockTypes, up...),
		known("downsample_type", []string{c.DownsampleType}, "conv", resnet),
		known("upsample_type", []string{c.UpsampleType}, "conv", resnet),
		known("act_fn", []string{c.ActFn}, "silu", "swish"),
		known("resnet_time_scale_shift", []string{c.ResnetTimeScaleShift}, "default", "scale_shift"),
		known("time_embedding_type", []string{c.TimeEmbeddingType}, "positional"),
		known("attention_type", []string{c.AttentionType}, "default"),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// validateVariant refuses what diffusers knows and this package does not build.
func (c *Config) validateVariant() error {
	for _, v := range []struct {
		field string
		set   bool
	}{
		{"center_input_sample", c.CenterInputSample},
		{"dual_cross_attention", c.DualCrossAttention},
		{"resnet_skip_time_act", c.ResnetSkipTimeAct},
		{"mid_block_scale_factor", c.MidBlockScaleFactor != 1},
		{"resnet_out_scale_factor", c.ResnetOutScaleFactor != 1},
		{"downsample_padding", c.DownsamplePadding != 0 && c.DownsamplePadding != 1},
		{"time_embedding_dim", c.TimeEmbeddingDim != nil},
		{"time_cond_proj_dim", c.TimeCondProjDim != nil},
		{"class_embed_type", c.ClassEmbedType != nil},
		{"addition_embed_type", c.AdditionEmbedType != nil},
		{"encoder_hid_dim", c.EncoderHidDim != nil},
		{"reverse_transformer_layers_per_block", c.ReverseTransformerCount != nil},
	} {
		if v.set {
			return fmt.Errorf("unet: a model with this %s is not supported", v.field)
		}
	}
	return nil
}
