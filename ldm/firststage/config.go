// Package firststage is the autoencoder between pixels and latents (Rombach et al. 2022, section
// 3.1), built from the config.json of diffusers' AutoencoderKL and with that model's weight
// names.
package firststage

import "fmt"

// Config is what the architecture needs of an AutoencoderKL's config.json, by its names.
type Config struct {
	ClassName            string   `json:"_class_name"`
	InChannels           int      `json:"in_channels"`
	OutChannels          int      `json:"out_channels"`
	LatentChannels       int      `json:"latent_channels"`
	BlockOutChannels     []int    `json:"block_out_channels"` // by level, finest first
	DownBlockTypes       []string `json:"down_block_types"`
	UpBlockTypes         []string `json:"up_block_types"`
	LayersPerBlock       int      `json:"layers_per_block"`
	NormNumGroups        int      `json:"norm_num_groups"`
	ActFn                string   `json:"act_fn"`
	SampleSize           int      `json:"sample_size"` // of pictures at training; 0 if unknown
	MidBlockAddAttention bool     `json:"mid_block_add_attention"`
	UseQuantConv         bool     `json:"use_quant_conv"`
	UsePostQuantConv     bool     `json:"use_post_quant_conv"`
	ScalingFactor        float64  `json:"scaling_factor"` // latents of the diffusion model = encoder's · ScalingFactor
	ShiftFactor          *float64 `json:"shift_factor"`
}

const (
	downBlock = "DownEncoderBlock2D"
	upBlock   = "UpDecoderBlock2D"
)

// DefaultConfig holds diffusers' defaults for fields that a config.json leaves out
// (diffusers, src/diffusers/models/autoencoders/autoencoder_kl.py).
func DefaultConfig() Config {
	return Config{
		InChannels: 3, OutChannels: 3, LatentChannels: 4, BlockOutChannels: []int{64},
		DownBlockTypes: []string{downBlock}, UpBlockTypes: []string{upBlock},
		LayersPerBlock: 1, NormNumGroups: 32, ActFn: "silu", SampleSize: 32,
		MidBlockAddAttention: true, UseQuantConv: true, UsePostQuantConv: true,
		ScalingFactor: 0.18215, // makes the latents' variance 1 (Rombach et al. 2022, appendix G)
	}
}

// Factor is the size of a picture divided by that of its latents.
func (c *Config) Factor() int { return 1 << (len(c.BlockOutChannels) - 1) }

// Bounds on what a config file may ask for, far above every published model.
const (
	maxLevels   = 8
	maxChannels = 1 << 13
	maxLayers   = 64
)

// Validate reports the first field that no autoencoder can have or that this package does not
// build.
func (c *Config) Validate() error {
	if c.ClassName != "" && c.ClassName != "AutoencoderKL" {
		return fmt.Errorf("first stage: class %q is not supported, want AutoencoderKL", c.ClassName)
	}
	levels := len(c.BlockOutChannels)
	if levels < 1 || levels > maxLevels {
		return fmt.Errorf("first stage: block_out_channels has %d levels, want 1 to %d", levels, maxLevels)
	}
	if len(c.DownBlockTypes) != levels || len(c.UpBlockTypes) != levels {
		return fmt.Errorf("first stage: %d down_block_types and %d up_block_types for %d block_out_channels",
			len(c.DownBlockTypes), len(c.UpBlockTypes), levels)
	}
	for level := range levels {
		if down, up := c.DownBlockTypes[level], c.UpBlockTypes[level]; down != downBlock || up != upBlock {
			return fmt.Errorf("first stage: block types %q and %q are not supported, want %s and %s", down, up, downBlock, upBlock)
		}
	}
	numbers := []struct {
		name        string
		value, most int
	}{
		{"in_channels", c.InChannels, maxChannels},
		{"out_channels", c.OutChannels, maxChannels},
		{"latent_channels", c.LatentChannels, maxChannels},
		{"layers_per_block", c.LayersPerBlock, maxLayers},
		{"norm_num_groups", c.NormNumGroups, maxChannels},
	}
	for _, channels := range c.BlockOutChannels {
		numbers = append(numbers, struct {
			name        string
			value, most int
		}{"block_out_channels", channels, maxChannels})
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
	switch {
	case c.ActFn != "silu" && c.ActFn != "swish":
		return fmt.Errorf("first stage: act_fn %q is not supported, want silu", c.ActFn)
	case !(c.ScalingFactor > 0) || c.ScalingFactor > 1e6:
		return fmt.Errorf("first stage: scaling_factor is %g, want a positive number", c.ScalingFactor)
	case c.ShiftFactor != nil:
		return fmt.Errorf("first stage: a model with a shift_factor is not supported")
	}
	return nil
}
