// Package unet is the time-conditional U-Net of latent diffusion (Rombach et al. 2022, section 3):
// residual blocks and spatial transformers on a pyramid of resolutions. It is built from the
// config.json of diffusers' UNet2DConditionModel and has that model's weight names; CompVis'
// openaimodel.py constructs the same network.
package unet

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Config is what the architecture needs of a UNet2DConditionModel's config.json, by its names.
type Config struct {
	ClassName               string   `json:"_class_name"`
	InChannels              int      `json:"in_channels"`
	OutChannels             int      `json:"out_channels"`
	BlockOutChannels        []int    `json:"block_out_channels"` // by level, finest first
	DownBlockTypes          []string `json:"down_block_types"`
	MidBlockType            *string  `json:"mid_block_type"`
	UpBlockTypes            []string `json:"up_block_types"`
	LayersPerBlock          PerLevel `json:"layers_per_block"`
	AttentionHeadDim        PerLevel `json:"attention_head_dim"`  // the number of heads, in spite of its name
	NumAttentionHeads       PerLevel `json:"num_attention_heads"` // overrides AttentionHeadDim
	CrossAttentionDim       PerLevel `json:"cross_attention_dim"` // width of the condition
	TransformerLayers       PerLevel `json:"transformer_layers_per_block"`
	NormNumGroups           int      `json:"norm_num_groups"`
	NormEps                 float32  `json:"norm_eps"`
	FlipSinToCos            bool     `json:"flip_sin_to_cos"` // cosines first
	FreqShift               float64  `json:"freq_shift"`
	DownsamplePadding       int      `json:"downsample_padding"`
	UseLinearProjection     bool     `json:"use_linear_projection"`
	ConvInKernel            int      `json:"conv_in_kernel"`
	ConvOutKernel           int      `json:"conv_out_kernel"`
	SampleSize              int      `json:"sample_size"` // of latents at training; 0 if unknown
	ResnetTimeScaleShift    string   `json:"resnet_time_scale_shift"`
	ActFn                   string   `json:"act_fn"`
	MidBlockScaleFactor     float64  `json:"mid_block_scale_factor"`
	ResnetOutScaleFactor    float64  `json:"resnet_out_scale_factor"`
	CenterInputSample       bool     `json:"center_input_sample"`
	DualCrossAttention      bool     `json:"dual_cross_attention"`
	OnlyCrossAttention      any      `json:"only_cross_attention"`
	ResnetSkipTimeAct       bool     `json:"resnet_skip_time_act"`
	TimeEmbeddingType       string   `json:"time_embedding_type"`
	AttentionType           string   `json:"attention_type"`
	TimeEmbeddingDim        *int     `json:"time_embedding_dim"`
	TimeCondProjDim         *int     `json:"time_cond_proj_dim"`
	NumClassEmbeds          *int     `json:"num_class_embeds"`
	ClassEmbedType          *string  `json:"class_embed_type"`
	AdditionEmbedType       *string  `json:"addition_embed_type"`
	EncoderHidDim           *int     `json:"encoder_hid_dim"`
	ReverseTransformerCount any      `json:"reverse_transformer_layers_per_block"`
}

// PerLevel is a number for every level of the pyramid; config files give one for all, or a list.
type PerLevel []int

// UnmarshalJSON reads a number, a list of numbers, or null.
func (p *PerLevel) UnmarshalJSON(data []byte) error {
	var one int
	if json.Unmarshal(data, &one) == nil && string(data) != "null" {
		*p = PerLevel{one}
		return nil
	}
	return json.Unmarshal(data, (*[]int)(p))
}

// at is the number for a level; a list of one serves all.
func (p PerLevel) at(level int) int {
	if len(p) == 1 {
		return p[0]
	}
	return p[level]
}

// The block types of diffusers that make up the paper's U-Nets with cross-attention.
const (
	crossAttnDown = "CrossAttnDownBlock2D"
	plainDown     = "DownBlock2D"
	crossAttnMid  = "UNetMidBlock2DCrossAttn"
	crossAttnUp   = "CrossAttnUpBlock2D"
	plainUp       = "UpBlock2D"
)

// DefaultConfig holds diffusers' defaults for fields that a config.json leaves out
// (diffusers, src/diffusers/models/unets/unet_2d_condition.py).
func DefaultConfig() Config {
	mid := crossAttnMid
	return Config{
		InChannels: 4, OutChannels: 4,
		BlockOutChannels: []int{320, 640, 1280, 1280},
		DownBlockTypes:   []string{crossAttnDown, crossAttnDown, crossAttnDown, plainDown},
		MidBlockType:     &mid,
		UpBlockTypes:     []string{plainUp, crossAttnUp, crossAttnUp, crossAttnUp},
		LayersPerBlock:   PerLevel{2}, AttentionHeadDim: PerLevel{8},
		CrossAttentionDim: PerLevel{1280}, TransformerLayers: PerLevel{1},
		NormNumGroups: 32, NormEps: 1e-5, FlipSinToCos: true, DownsamplePadding: 1,
		ConvInKernel: 3, ConvOutKernel: 3, ResnetTimeScaleShift: "default", ActFn: "silu",
		MidBlockScaleFactor: 1, ResnetOutScaleFactor: 1,
		TimeEmbeddingType: "positional", AttentionType: "default",
	}
}

// heads is the number of attention heads at a level.
func (c *Config) heads(level int) int {
	if len(c.NumAttentionHeads) > 0 {
		return c.NumAttentionHeads.at(level)
	}
	return c.AttentionHeadDim.at(level)
}

func (c *Config) levels() int { return len(c.BlockOutChannels) }

// Bounds on what a config file may ask for: generous multiples of every published model, so that
// a broken file is refused before memory is spent on it.
const (
	maxLevels   = 16
	maxChannels = 1 << 14
	maxLayers   = 64
)

// Validate reports the first field that no U-Net can have or that this package does not build.
func (c *Config) Validate() error {
	if c.ClassName != "" && c.ClassName != "UNet2DConditionModel" {
		return fmt.Errorf("unet: class %q is not supported, want UNet2DConditionModel", c.ClassName)
	}
	if err := c.validateShape(); err != nil {
		return err
	}
	return c.validateVariant()
}

// validateShape checks the numbers.
func (c *Config) validateShape() error {
	levels := c.levels()
	if levels < 1 || levels > maxLevels {
		return fmt.Errorf("unet: block_out_channels has %d levels, want 1 to %d", levels, maxLevels)
	}
	if len(c.DownBlockTypes) != levels || len(c.UpBlockTypes) != levels {
		return fmt.Errorf("unet: %d down_block_types and %d up_block_types for %d block_out_channels",
			len(c.DownBlockTypes), len(c.UpBlockTypes), levels)
	}
	heads := c.AttentionHeadDim
	headsName := "attention_head_dim"
	if len(c.NumAttentionHeads) > 0 {
		heads, headsName = c.NumAttentionHeads, "num_attention_heads"
	}
	lists := []struct {
		name   string
		values []int
		most   int
		one    bool // a single number may serve all levels
	}{
		{"in_channels", []int{c.InChannels}, maxChannels, true},
		{"out_channels", []int{c.OutChannels}, maxChannels, true},
		{"norm_num_groups", []int{c.NormNumGroups}, maxChannels, true},
		{"conv_in_kernel", []int{c.ConvInKernel}, 15, true},
		{"conv_out_kernel", []int{c.ConvOutKernel}, 15, true},
		{"block_out_channels", c.BlockOutChannels, maxChannels, false},
		{"layers_per_block", c.LayersPerBlock, maxLayers, true},
		{"transformer_layers_per_block", c.TransformerLayers, maxLayers, true},
		{"cross_attention_dim", c.CrossAttentionDim, maxChannels, true},
		{headsName, heads, maxChannels, true},
	}
	for _, l := range lists {
		if len(l.values) != levels && !(l.one && len(l.values) == 1) {
			return fmt.Errorf("unet: %s has %d numbers for %d levels", l.name, len(l.values), levels)
		}
		for _, v := range l.values {
			if v < 1 || v > l.most {
				return fmt.Errorf("unet: %s is %d, want 1 to %d", l.name, v, l.most)
			}
		}
	}
	for level, channels := range c.BlockOutChannels {
		if channels%c.NormNumGroups != 0 {
			return fmt.Errorf("unet: %d norm_num_groups do not divide %d channels", c.NormNumGroups, channels)
		}
		if h := c.heads(level); c.attends(level) && channels%h != 0 {
			return fmt.Errorf("unet: %d heads (%s) do not divide %d channels", h, headsName, channels)
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
	return nil
}

// attends reports whether some block at a level has transformers; the middle is the last level's.
func (c *Config) attends(level int) bool {
	last := c.levels() - 1
	return level == last || c.DownBlockTypes[level] == crossAttnDown || c.UpBlockTypes[last-level] == crossAttnUp
}

// validateVariant refuses what diffusers knows and this package does not build.
func (c *Config) validateVariant() error {
	known := func(field string, types []string, want ...string) error {
		for _, t := range types {
			if !slices.Contains(want, t) {
				return fmt.Errorf("unet: %s %q is not supported, want one of %q", field, t, want)
			}
		}
		return nil
	}
	mid := "null"
	if c.MidBlockType != nil {
		mid = *c.MidBlockType
	}
	for _, err := range []error{
		known("down_block_types", c.DownBlockTypes, crossAttnDown, plainDown),
		known("mid_block_type", []string{mid}, crossAttnMid),
		known("up_block_types", c.UpBlockTypes, crossAttnUp, plainUp),
		known("act_fn", []string{c.ActFn}, "silu", "swish"),
		known("resnet_time_scale_shift", []string{c.ResnetTimeScaleShift}, "default", "scale_shift"),
		known("time_embedding_type", []string{c.TimeEmbeddingType}, "positional"),
		known("attention_type", []string{c.AttentionType}, "default"),
	} {
		if err != nil {
			return err
		}
	}
	for _, v := range []struct {
		field string
		set   bool
	}{
		{"center_input_sample", c.CenterInputSample},
		{"dual_cross_attention", c.DualCrossAttention},
		{"only_cross_attention", c.OnlyCrossAttention != nil && c.OnlyCrossAttention != false},
		{"resnet_skip_time_act", c.ResnetSkipTimeAct},
		{"mid_block_scale_factor", c.MidBlockScaleFactor != 1},
		{"resnet_out_scale_factor", c.ResnetOutScaleFactor != 1},
		{"downsample_padding", c.DownsamplePadding != 0 && c.DownsamplePadding != 1},
		{"time_embedding_dim", c.TimeEmbeddingDim != nil},
		{"time_cond_proj_dim", c.TimeCondProjDim != nil},
		{"num_class_embeds", c.NumClassEmbeds != nil},
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
