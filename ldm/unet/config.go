// Package unet is the time-conditional U-Net of latent diffusion (Rombach et al. 2022, section 3):
// residual blocks and attention on a pyramid of resolutions. It is built from the config.json of
// diffusers' UNet2DConditionModel, whose spatial transformers attend to a condition, or of its
// UNet2DModel, which has none, and has those models' weight names; CompVis' openaimodel.py
// constructs the same networks.
package unet

import "encoding/json"

// Config is what the architecture needs of a model's config.json, by its names.
type Config struct {
	ClassName               string       `json:"_class_name"` // Conditional or Unconditional
	InChannels              int          `json:"in_channels"`
	OutChannels             int          `json:"out_channels"`
	BlockOutChannels        []int        `json:"block_out_channels"` // by level, finest first
	DownBlockTypes          []string     `json:"down_block_types"`
	MidBlockType            *string      `json:"mid_block_type"`
	UpBlockTypes            []string     `json:"up_block_types"`
	LayersPerBlock          PerLevel     `json:"layers_per_block"`
	AttentionHeadDim        PerLevel     `json:"attention_head_dim"`           // the number of heads, in spite of its name; Unconditional: a head's channels, nil for one head
	NumAttentionHeads       PerLevel     `json:"num_attention_heads"`          // overrides AttentionHeadDim
	CrossAttentionDim       PerLevel     `json:"cross_attention_dim"`          // width of the condition
	TransformerLayers       PerLevel     `json:"transformer_layers_per_block"` // depth of each spatial transformer
	OnlyCrossAttention      FlagPerLevel `json:"only_cross_attention"`         // the first attention is to the condition, too
	AddAttention            bool         `json:"add_attention"`                // Unconditional: in the middle
	NormNumGroups           int          `json:"norm_num_groups"`
	AttnNormNumGroups       *int         `json:"attn_norm_num_groups"` // Unconditional, in the middle, see midNorm
	NormEps                 float32      `json:"norm_eps"`
	FlipSinToCos            bool         `json:"flip_sin_to_cos"` // cosines first
	FreqShift               float64      `json:"freq_shift"`
	DownsamplePadding       int          `json:"downsample_padding"`
	DownsampleType          string       `json:"downsample_type"` // Unconditional, of AttnDownBlock2D: "conv" or "resnet"
	UpsampleType            string       `json:"upsample_type"`   // Unconditional, of AttnUpBlock2D
	UseLinearProjection     bool         `json:"use_linear_projection"`
	ConvInKernel            int          `json:"conv_in_kernel"`
	ConvOutKernel           int          `json:"conv_out_kernel"`
	SampleSize              int          `json:"sample_size"` // of latents at training; 0 if unknown
	ResnetTimeScaleShift    string       `json:"resnet_time_scale_shift"`
	ActFn                   string       `json:"act_fn"`
	NumClassEmbeds          *int         `json:"num_class_embeds"` // classes whose embedding is added to that of the time; nil for none
	MidBlockScaleFactor     float64      `json:"mid_block_scale_factor"`
	ResnetOutScaleFactor    float64      `json:"resnet_out_scale_factor"`
	CenterInputSample       bool         `json:"center_input_sample"`
	DualCrossAttention      bool         `json:"dual_cross_attention"`
	ResnetSkipTimeAct       bool         `json:"resnet_skip_time_act"`
	TimeEmbeddingType       string       `json:"time_embedding_type"`
	AttentionType           string       `json:"attention_type"`
	TimeEmbeddingDim        *int         `json:"time_embedding_dim"`
	TimeCondProjDim         *int         `json:"time_cond_proj_dim"`
	ClassEmbedType          *string      `json:"class_embed_type"`
	AdditionEmbedType       *string      `json:"addition_embed_type"`
	EncoderHidDim           *int         `json:"encoder_hid_dim"`
	ReverseTransformerCount any          `json:"reverse_transformer_layers_per_block"`
}

// The classes of diffusers that Config describes.
const (
	Conditional   = "UNet2DConditionModel"
	Unconditional = "UNet2DModel"
)

// The block types of diffusers that make up the paper's U-Nets.
const (
	crossAttnDown = "CrossAttnDownBlock2D"
	attnDown      = "AttnDownBlock2D"
	plainDown     = "DownBlock2D"
	resnetDown    = "ResnetDownsampleBlock2D"
	crossAttnMid  = "UNetMidBlock2DCrossAttn"
	plainMid      = "UNetMidBlock2D"
	crossAttnUp   = "CrossAttnUpBlock2D"
	attnUp        = "AttnUpBlock2D"
	plainUp       = "UpBlock2D"
	resnetUp      = "ResnetUpsampleBlock2D"
)

// resnet is the DownsampleType and UpsampleType that resamples inside a residual block.
const resnet = "resnet"

// DefaultConfig holds the defaults of UNet2DConditionModel for fields that a config.json leaves
// out (diffusers, src/diffusers/models/unets/unet_2d_condition.py).
func DefaultConfig() Config { return DefaultConfigOf(Conditional) }

// DefaultConfigOf holds the defaults of the class: those of UNet2DModel (diffusers,
// src/diffusers/models/unets/unet_2d.py), or else of UNet2DConditionModel.
func DefaultConfigOf(class string) Config {
	mid := crossAttnMid
	c := Config{
		ClassName: class, InChannels: 4, OutChannels: 4,
		BlockOutChannels: []int{320, 640, 1280, 1280},
		DownBlockTypes:   []string{crossAttnDown, crossAttnDown, crossAttnDown, plainDown},
		MidBlockType:     &mid,
		UpBlockTypes:     []string{plainUp, crossAttnUp, crossAttnUp, crossAttnUp},
		LayersPerBlock:   PerLevel{2}, AttentionHeadDim: PerLevel{8},
		CrossAttentionDim: PerLevel{1280}, TransformerLayers: PerLevel{1}, OnlyCrossAttention: FlagPerLevel{false},
		AddAttention: true, NormNumGroups: 32, NormEps: 1e-5, FlipSinToCos: true,
		DownsamplePadding: 1, DownsampleType: "conv", UpsampleType: "conv",
		ConvInKernel: 3, ConvOutKernel: 3, ResnetTimeScaleShift: "default", ActFn: "silu",
		MidBlockScaleFactor: 1, ResnetOutScaleFactor: 1,
		TimeEmbeddingType: "positional", AttentionType: "default",
	}
	if class == Unconditional {
		mid = plainMid
		c.InChannels, c.OutChannels = 3, 3
		c.BlockOutChannels = []int{224, 448, 672, 896}
		c.DownBlockTypes = []string{plainDown, attnDown, attnDown, attnDown}
		c.UpBlockTypes = []string{attnUp, attnUp, attnUp, plainUp}
		c.CrossAttentionDim, c.TransformerLayers, c.OnlyCrossAttention = nil, nil, nil
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

// PerLevel is a number for every level of the pyramid; config files give one for all, or a list.
type PerLevel []int

// FlagPerLevel is a truth value for every level, in the same form.
type FlagPerLevel []bool

// UnmarshalJSON reads a number, a list of numbers, or null.
func (p *PerLevel) UnmarshalJSON(data []byte) (err error) {
	*p, err = readPerLevel[int](data)
	return err
}

// UnmarshalJSON reads true, false, a list of them, or null.
func (p *FlagPerLevel) UnmarshalJSON(data []byte) (err error) {
	*p, err = readPerLevel[bool](data)
	return err
}

// MarshalJSON writes one number for all levels as such, the only form that UNet2DModel knows.
func (p PerLevel) MarshalJSON() ([]byte, error) { return writePerLevel(p) }

// MarshalJSON writes one truth value for all levels as such.
func (p FlagPerLevel) MarshalJSON() ([]byte, error) { return writePerLevel(p) }

func readPerLevel[T any](data []byte) (values []T, err error) {
	var one T
	if json.Unmarshal(data, &one) == nil && string(data) != "null" {
		return []T{one}, nil
	}
	err = json.Unmarshal(data, &values)
	return values, err
}

func writePerLevel[T any](values []T) ([]byte, error) {
	if len(values) == 1 {
		return json.Marshal(values[0])
	}
	return json.Marshal(values)
}

// at is the number for a level; a list of one serves all.
func (p PerLevel) at(level int) int { return at(p, level) }

// at is the truth value for a level.
func (p FlagPerLevel) at(level int) bool { return at(p, level) }

func at[T any](values []T, level int) T {
	if len(values) == 1 {
		return values[0]
	}
	return values[level]
}
