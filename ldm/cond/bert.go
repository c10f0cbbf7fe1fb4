// Package cond holds the encoders of conditions, τ_θ in Rombach et al. 2022, section 3.3.
package cond

import (
	"fmt"
	"math"

	"ldm-mac/ldm/nn"
	"ldm-mac/ldm/tensor"
)

// BERTConfig is what the architecture needs of an LDMBertModel's config.json, by its names.
type BERTConfig struct {
	Architectures []string `json:"architectures"`
	VocabSize     int      `json:"vocab_size"`
	MaxPositions  int      `json:"max_position_embeddings"`
	Layers        int      `json:"encoder_layers"`
	FFNDim        int      `json:"encoder_ffn_dim"`
	Heads         int      `json:"encoder_attention_heads"`
	HeadDim       int      `json:"head_dim"`
	Activation    string   `json:"activation_function"`
	Width         int      `json:"d_model"`
	ScaleEmbed    bool     `json:"scale_embedding"`
	PadTokenID    int      `json:"pad_token_id"`
}

// DefaultBERTConfig holds diffusers' defaults for fields that a config.json leaves out
// (diffusers, src/diffusers/pipelines/latent_diffusion/pipeline_latent_diffusion.py,
// LDMBertConfig).
func DefaultBERTConfig() BERTConfig {
	return BERTConfig{
		VocabSize: 30522, MaxPositions: 77, Layers: 32, FFNDim: 5120, Heads: 8, HeadDim: 64,
		Activation: "gelu", Width: 1280,
	}
}

// Validate reports the first field that no encoder can have or that this package does not build.
// The bounds are generous multiples of every published model.
func (c *BERTConfig) Validate() error {
	if err := check("bert", "LDMBertModel", c.Architectures,
		bound{"vocab_size", c.VocabSize, 1 << 22}, bound{"max_position_embeddings", c.MaxPositions, 1 << 14},
		bound{"encoder_layers", c.Layers, 256}, bound{"encoder_ffn_dim", c.FFNDim, 1 << 16},
		bound{"encoder_attention_heads", c.Heads, 1 << 10}, bound{"head_dim", c.HeadDim, 1 << 12},
		bound{"d_model", c.Width, 1 << 14},
	); err != nil {
		return err
	}
	if c.Activation != "gelu" {
		return fmt.Errorf("bert: activation_function %q is not supported, want gelu", c.Activation)
	}
	return nil
}

// BERT is the text encoder of the paper's text-to-image model: a transformer without a mask, so
// that padding is attended like any token (diffusers LDMBertModel; CompVis BERTEmbedder).
type BERT struct {
	Tokens    *tensor.Weight `weight:"model.embed_tokens.weight"`    // [vocabulary, d]
	Positions *tensor.Weight `weight:"model.embed_positions.weight"` // [length, d]
	Layers    []*BERTLayer   `weight:"model.layers"`
	Norm      *nn.LayerNorm  `weight:"model.layer_norm"`

	scale float32 // of token embeddings
}

// BERTUnused are weights of a checkpoint that belong to training: the head that predicts tokens.
var BERTUnused = []string{"to_logits.", "model.embed_positions.position_ids"}

// BERTLayer is self-attention and a GELU network, each behind a norm and around a residual.
type BERTLayer struct {
	AttnNorm *nn.LayerNorm  `weight:"self_attn_layer_norm"`
	Attn     *SelfAttention `weight:"self_attn"`
	FFNorm   *nn.LayerNorm  `weight:"final_layer_norm"`
	FC1      *nn.Linear     `weight:"fc1"`
	FC2      *nn.Linear     `weight:"fc2"`
}

// NewBERT builds the network that a valid config describes; its weights have shapes but no data.
func NewBERT(c *BERTConfig) (*BERT, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	d, inner := c.Width, c.Heads*c.HeadDim
	b := &BERT{
		Tokens: tensor.NewWeight(c.VocabSize, d), Positions: tensor.NewWeight(c.MaxPositions, d),
		Norm: nn.NewLayerNorm(d), scale: 1,
	}
	if c.ScaleEmbed {
		b.scale = float32(math.Sqrt(float64(d)))
	}
	for range c.Layers {
		b.Layers = append(b.Layers, &BERTLayer{
			AttnNorm: nn.NewLayerNorm(d),
			Attn: &SelfAttention{
				Q: nn.NewProjection(d, inner), K: nn.NewProjection(d, inner),
				V: nn.NewProjection(d, inner), Out: nn.NewLinear(inner, d), heads: c.Heads,
			},
			FFNorm: nn.NewLayerNorm(d), FC1: nn.NewLinear(d, c.FFNDim), FC2: nn.NewLinear(c.FFNDim, d),
		})
	}
	return b, nil
}

// Vocabulary is the number of ids.
func (b *BERT) Vocabulary() int { return b.Tokens.Shape[0] }

// Length is the number of positions.
func (b *BERT) Length() int { return b.Positions.Shape[0] }

// Width is the number of channels of a token.
func (b *BERT) Width() int { return b.Tokens.Shape[1] }

// Depth is the number of layers.
func (b *BERT) Depth() int { return len(b.Layers) }

// Embed is as TextEncoder says.
func (b *BERT) Embed(out []float32, ids []int32) error {
	return embed("bert", b.Tokens, b.Positions, b.scale, out, ids)
}

// Forward is as TextEncoder says.
func (b *BERT) Forward(x *tensor.Tensor, skip int) *tensor.Tensor {
	for _, l := range b.Layers[:len(b.Layers)-skip] {
		x = l.Forward(x)
	}
	return b.Norm.Forward(x)
}

// Forward keeps the shape of x [n, l, d].
func (l *BERTLayer) Forward(x *tensor.Tensor) *tensor.Tensor {
	x = tensor.Add(l.Attn.Forward(l.AttnNorm.Forward(x)), x)
	h := l.FC2.Forward(tensor.GELU(l.FC1.Forward(l.FFNorm.Forward(x))))
	return tensor.Add(h, x).Named(nn.Holder(l.FC2.Weight))
}
