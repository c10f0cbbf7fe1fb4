// Package firststage is the autoencoder between pixels and latents (Rombach et al. 2022, section
// 3.1), regularised towards a normal distribution or by vector quantisation. It is built from the
// config.json of diffusers' AutoencoderKL or VQModel and has those models' weight names.
package firststage

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Config is what the architecture needs of a model's config.json, by its names.
type Config struct {
	ClassName            string   `json:"_class_name"` // KL or VQ
	InChannels           int      `json:"in_channels"`
	OutChannels          int      `json:"out_channels"`
	LatentChannels       int      `json:"latent_channels"`    // of encoder and decoder, see Channels
	BlockOutChannels     []int    `json:"block_out_channels"` // by level, finest first
	DownBlockTypes       []string `json:"down_block_types"`
	UpBlockTypes         []string `json:"up_block_types"`
	LayersPerBlock       int      `json:"layers_per_block"`
	NormNumGroups        int      `json:"norm_num_groups"`
	NormType             string   `json:"norm_type"` // VQ
	ActFn                string   `json:"act_fn"`
	SampleSize           int      `json:"sample_size"` // of pictures at training; 0 if unknown
	MidBlockAddAttention bool     `json:"mid_block_add_attention"`
	UseQuantConv         bool     `json:"use_quant_conv"`      // KL
	UsePostQuantConv     bool     `json:"use_post_quant_conv"` // KL
	NumVQEmbeddings      int      `json:"num_vq_embeddings"`   // VQ: codes
	VQEmbedDim           *int     `json:"vq_embed_dim"`        // VQ: elements of a code; nil for LatentChannels
	LookupFromCodebook   bool     `json:"lookup_from_codebook"`
	ScalingFactor        float64  `json:"scaling_factor"` // latents of the diffusion model = encoder's · ScalingFactor
	ShiftFactor          *float64 `json:"shift_factor"`
}

// The classes of diffusers that Config describes.
const (
	KL = "AutoencoderKL"
	VQ = "VQModel"
)

const (
	plainDown = "DownEncoderBlock2D"
	attnDown  = "AttnDownEncoderBlock2D"
	plainUp   = "UpDecoderBlock2D"
	attnUp    = "AttnUpDecoderBlock2D"
)

// DefaultConfig holds the defaults of AutoencoderKL for fields that a config.json leaves out
// (diffusers, src/diffusers/models/autoencoders/autoencoder_kl.py).
func DefaultConfig() Config { return DefaultConfigOf(KL) }

// KLScale makes the variance of kl-f8's latents 1 (Rombach et al. 2022, appendix G). It is diffusers'
// default for all first stages.
const KLScale = 0.18215

// DefaultConfigOf holds the defaults of the class: those of VQModel (diffusers,
// src/diffusers/models/autoencoders/vq_model.py), or else of AutoencoderKL. Both scale latents by
// 0.18215, although no VQ system of latent diffusion was trained so (CompVis latent-diffusion,
// scale_factor 1): the configs of folders made of them say 1.
func DefaultConfigOf(class string) Config {
	c := Config{
		ClassName: class, InChannels: 3, OutChannels: 3, LatentChannels: 4, BlockOutChannels: []int{64},
		DownBlockTypes: []string{plainDown}, UpBlockTypes: []string{plainUp},
		LayersPerBlock: 1, NormNumGroups: 32, NormType: "group", ActFn: "silu", SampleSize: 32,
		MidBlockAddAttention: true, UseQuantConv: true, UsePostQuantConv: true,
		ScalingFactor: KLScale,
	}
	if class == VQ {
		c.LatentChannels, c.NumVQEmbeddings = 3, 256
	}
	return c
}

// UnmarshalJSON reads a config.json over c. One of another class than c starts from the defaults
// of that class.
func (c *Config) UnmarshalJSON(data []byte) error {
	class := struct {
		Name string `json:"_class_name"`
	}{c.ClassName}
	if err := json.Unmarshal(data, &class); err != nil {
		return err
	}
	if class.Name != c.ClassName {
		*c = DefaultConfigOf(class.Name)
	}
	type fields Config // without this method
	return json.Unmarshal(data, (*fields)(c))
}

// Factor is the size of a picture divided by that of its latents.
func (c *Config) Factor() int { return 1 << (len(c.BlockOutChannels) - 1) }

// Channels are those of latents: of what Encode's moments describe or Encode gives, and of what
// Decode reads.
func (c *Config) Channels() int {
	if c.ClassName == VQ && c.VQEmbedDim != nil {
		return *c.VQEmbedDim
	}
	return c.LatentChannels
}

// CoarseChannels are those between the decoder's two parts, see FirstStage.DecodeCoarse.
func (c *Config) CoarseChannels() int { return c.BlockOutChannels[len(c.BlockOutChannels)-1] }

// FineChannels are those between the encoder's two parts, see FirstStage.EncodeFine: of the level
// before the coarsest, where there is one.
func (c *Config) FineChannels() int { return c.BlockOutChannels[max(len(c.BlockOutChannels)-2, 0)] }

// Bounds on what a config file may ask for, far above every published model.
const (
	maxLevels   = 8
	maxChannels = 1 << 13
	maxLayers   = 64
	maxCodes    = 1 << 20
)

// Validate reports the first field that no autoencoder can have or that this package does not
// build.
func (c *Config) Validate() error {
	if c.ClassName != KL && c.ClassName != VQ {
		return fmt.Errorf("first stage: class %q is not supported, want %s or %s", c.ClassName, KL, VQ)
	}
	levels := len(c.BlockOutChannels)
	if levels < 1 || levels > maxLevels {
		return fmt.Errorf("first stage: block_out_channels has %d levels, want 1 to %d", levels, maxLevels)
	}
	if len(c.DownBlockTypes) != levels || len(c.UpBlockTypes) != levels {
		return fmt.Errorf("first stage: %d down_block_types and %d up_block_types for %d block_out_channels",
			len(c.DownBlockTypes), len(c.UpBlockTypes), levels)
	}
	for _, t := range c.DownBlockTypes {
		if t != plainDown && t != attnDown {
			return fmt.Errorf("first stage: down_block_types %q is not supported, want %s or %s", t, plainDown, attnDown)
		}
	}
	for _, t := range c.UpBlockTypes {
		if t != plainUp && t != attnUp {
			return fmt.Errorf("first stage: up_block_types %q is not supported, want %s or %s", t, plainUp, attnUp)
		}
	}
	if err := c.validateNumbers(); err != nil {
		return err
	}
	switch {
	case !slices.Contains([]string{"silu", "swish"}, c.ActFn):
		return fmt.Errorf("first stage: act_fn %q is not supported, want silu", c.ActFn)
	case c.NormType != "group":
		return fmt.Errorf("first stage: norm_type %q is not supported, want group", c.NormType)
	case c.LookupFromCodebook:
		return fmt.Errorf("first stage: a model with lookup_from_codebook is not supported")
	case c.ShiftFactor != nil:
		return fmt.Errorf("first stage: a model with a shift_factor is not supported")
	}
	return nil
}

// validateNumbers checks the numbers.
func (c *Config) validateNumbers() error {
	type number struct {
		name        string
		value, most int
	}
	numbers := []number{
		{"in_channels", c.InChannels, maxChannels},
		{"out_channels", c.OutChannels, maxChannels},
		{"latent_channels", c.LatentChannels, maxChannels},
		{"layers_per_block", c.LayersPerBlock, maxLayers},
		{"norm_num_groups", c.NormNumGroups, maxChannels},
	}
	for _, channels := range c.BlockOutChannels {
		numbers = append(numbers, number{"block_out_channels", channels, maxChannels})
	}
	if c.ClassName == VQ {
		numbers = append(numbers, number{"num_vq_embeddings", c.NumVQEmbeddings, maxCodes},
			number{"vq_embed_dim", c.Channels(), maxChannels})
	}
	for _, n := range numbers {
		if n.value < 1 || n.value > n.most {
			return fmt.Errorf("first stage: %s is %d, want 1 to %d", n.name, n.value, n.most)
		}
	}
	for _, channels := range c.BlockOutChannels {
		if channels%c.NormNumGroups != 0 {
			return fmt.Errorf("first stage: %d norm_num_groups do not divide %d channels", c.NormNumGroups, channels)
		}
	}
	if !(c.ScalingFactor > 0) || c.ScalingFactor > 1e6 {
		return fmt.Errorf("first stage: scaling_factor is %g, want a positive number", c.ScalingFactor)
	}
	return nil
}
