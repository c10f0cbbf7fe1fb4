package cond

import (
	"fmt"

	"ldm-mac/ldm/nn"
	"ldm-mac/ldm/tensor"
)

// CLIPConfig is what the architecture needs of a CLIPTextModel's config.json, by its names.
type CLIPConfig struct {
	Architectures []string `json:"architectures"`
	VocabSize     int      `json:"vocab_size"`
	Width         int      `json:"hidden_size"`
	FFNDim        int      `json:"intermediate_size"`
	Layers        int      `json:"num_hidden_layers"`
	Heads         int      `json:"num_attention_heads"`
	MaxPositions  int      `json:"max_position_embeddings"`
	Activation    string   `json:"hidden_act"`
	Eps           float64  `json:"layer_norm_eps"`
}

// DefaultCLIPConfig holds transformers' defaults for fields that a config.json leaves out
// (huggingface/transformers src/transformers/models/clip/configuration_clip.py, CLIPTextConfig).
func DefaultCLIPConfig() CLIPConfig {
	return CLIPConfig{
		VocabSize: 49408, Width: 512, FFNDim: 2048, Layers: 12, Heads: 8, MaxPositions: 77,
		Activation: "quick_gelu", Eps: 1e-5,
	}
}

// Validate reports the first field that no encoder can have or that this package does not build.
// The bounds are generous multiples of every published model.
func (c *CLIPConfig) Validate() error {
	if err := check("clip", "CLIPTextModel", c.Architectures,
		bound{"vocab_size", c.VocabSize, 1 << 22}, bound{"hidden_size", c.Width, 1 << 14},
		bound{"intermediate_size", c.FFNDim, 1 << 16}, bound{"num_hidden_layers", c.Layers, 256},
		bound{"num_attention_heads", c.Heads, 1 << 10}, bound{"max_position_embeddings", c.MaxPositions, 1 << 14},
	); err != nil {
		return err
	}
	switch {
	case c.Width%c.Heads != 0:
		return fmt.Errorf("clip: num_attention_heads is %d, which does not divide the hidden_size %d", c.Heads, c.Width)
	case activations[c.Activation] == nil:
		return fmt.Errorf("clip: hidden_act %q is not supported, want quick_gelu or gelu", c.Activation)
	case c.Eps != 1e-5:
		return fmt.Errorf("clip: layer_norm_eps is %g, want 1e-05", c.Eps)
	}
	return nil
}

// activations are those of OpenAI's models and of OpenCLIP's.
var activations = map[string]func(*tensor.Tensor) *tensor.Tensor{
	"quick_gelu": tensor.QuickGELU,
	"gelu":       tensor.GELU,
}

// CLIP is the text encoder of Stable Diffusion: a transformer in which a token attends to itself
// and those before it, padding among them (Radford et al. 2021, arXiv:2103.00020, section 2.4;
// transformers CLIPTextModel).
type CLIP struct {
	Tokens    *tensor.Weight `weight:"text_model.embeddings.token_embedding.weight"`    // [vocabulary, d]
	Positions *tensor.Weight `weight:"text_model.embeddings.position_embedding.weight"` // [length, d]
	Layers    []*CLIPLayer   `weight:"text_model.encoder.layers"`
	Norm      *nn.LayerNorm  `weight:"text_model.final_layer_norm"`
}

// CLIPUnused are weights of a checkpoint that the condition does not need: the numbers of the
// positions, and the projection to the space that text and pictures share.
var CLIPUnused = []string{"text_model.embeddings.position_ids", "text_projection."}

// CLIPLayer is self-attention and a network of two layers, each behind a norm and around a residual.
type CLIPLayer struct {
	AttnNorm *nn.LayerNorm  `weight:"layer_norm1"`
	Attn     *SelfAttention `weight:"self_attn"`
	FFNorm   *nn.LayerNorm  `weight:"layer_norm2"`
	FC1      *nn.Linear     `weight:"mlp.fc1"`
	FC2      *nn.Linear     `weight:"mlp.fc2"`

	activation func(*tensor.Tensor) *tensor.Tensor
}

// NewCLIP builds the network that a valid config describes; its weights have shapes but no data.
func NewCLIP(c *CLIPConfig) (*CLIP, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	d := c.Width
	m := &CLIP{
		Tokens: tensor.NewWeight(c.VocabSize, d), Positions: tensor.NewWeight(c.MaxPositions, d),
		Norm: nn.NewLayerNorm(d),
	}
	for range c.Layers {
		m.Layers = append(m.Layers, &CLIPLayer{
			AttnNorm: nn.NewLayerNorm(d),
			Attn: &SelfAttention{
				Q: nn.NewLinear(d, d), K: nn.NewLinear(d, d), V: nn.NewLinear(d, d), Out: nn.NewLinear(d, d),
				heads: c.Heads, causal: true,
			},
			FFNorm: nn.NewLayerNorm(d), FC1: nn.NewLinear(d, c.FFNDim), FC2: nn.NewLinear(c.FFNDim, d),
			activation: activations[c.Activation],
		})
	}
	return m, nil
}

// Vocabulary is the number of ids.
func (c *CLIP) Vocabulary() int { return c.Tokens.Shape[0] }

// Length is the number of positions.
func (c *CLIP) Length() int { return c.Positions.Shape[0] }

// Width is the number of channels of a token.
func (c *CLIP) Width() int { return c.Tokens.Shape[1] }

// Depth is the number of layers.
func (c *CLIP) Depth() int { return len(c.Layers) }

// Embed is as TextEncoder says.
func (c *CLIP) Embed(out []float32, ids []int32) error {
	return embed("clip", c.Tokens, c.Positions, 1, out, ids)
}

// Forward is as TextEncoder says.
func (c *CLIP) Forward(x *tensor.Tensor, skip int) *tensor.Tensor {
	for _, l := range c.Layers[:len(c.Layers)-skip] {
		x = l.Forward(x)
	}
	return c.Norm.Forward(x)
}

// Forward keeps the shape of x [n, l, d].
func (l *CLIPLayer) Forward(x *tensor.Tensor) *tensor.Tensor {
	x = tensor.Add(l.Attn.Forward(l.AttnNorm.Forward(x)), x)
	h := l.FC2.Forward(l.activation(l.FC1.Forward(l.FFNorm.Forward(x))))
	return tensor.Add(h, x).Named(nn.Holder(l.AttnNorm.Weight))
}
