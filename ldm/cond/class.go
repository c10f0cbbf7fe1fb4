package cond

import (
	"fmt"

	"ldm-mac/ldm/tensor"
)

// ClassEmbedderConfig is the config.json of a class embedder.
type ClassEmbedderConfig struct {
	NumClasses int `json:"num_classes"`
	EmbedDim   int `json:"embed_dim"`
}

// DefaultClassEmbedderConfig holds the number of classes that CompVis' ClassEmbedder has where its
// config leaves it out; the width has no default (CompVis, ldm/modules/encoders/modules.py).
func DefaultClassEmbedderConfig() ClassEmbedderConfig { return ClassEmbedderConfig{NumClasses: 1000} }

// Validate reports the first field that no embedder can have.
func (c *ClassEmbedderConfig) Validate() error {
	if c.NumClasses < 1 || c.NumClasses > 1<<20 {
		return fmt.Errorf("class embedder: num_classes is %d, want 1 to %d", c.NumClasses, 1<<20)
	}
	if c.EmbedDim < 1 || c.EmbedDim > 1<<14 {
		return fmt.Errorf("class embedder: embed_dim is %d, want 1 to %d", c.EmbedDim, 1<<14)
	}
	return nil
}

// Unconditional is the class that stands for no class, for classifier-free guidance: the last, as
// in the paper's cin256-v2 with class 1000 of 1,001 (CompVis,
// scripts/latent_imagenet_diffusion.ipynb). A model of exactly the 1,000 classes of ImageNet, the
// paper's cin256, has none. Nothing in a model says so: one of other data is taken to have it.
func (c *ClassEmbedderConfig) Unconditional() (class int, ok bool) {
	return c.NumClasses - 1, c.NumClasses != 1000 && c.NumClasses > 1
}

// ClassEmbedder turns a class into a condition of one token (CompVis ClassEmbedder).
type ClassEmbedder struct {
	Embedding *tensor.Weight `weight:"embedding.weight"` // [classes, d]
}

// NewClassEmbedder builds the embedder that a valid config describes, without its weight's data.
func NewClassEmbedder(c *ClassEmbedderConfig) (*ClassEmbedder, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &ClassEmbedder{tensor.NewWeight(c.NumClasses, c.EmbedDim)}, nil
}

// Embed writes the condition [1, d] of a class to out, and fails on a class that there is not.
func (e *ClassEmbedder) Embed(out []float32, class int) error {
	classes, d := e.Embedding.Shape[0], e.Embedding.Shape[1]
	if class < 0 || class >= classes {
		return fmt.Errorf("class embedder: class %d, want 0 to %d", class, classes-1)
	}
	return e.Embedding.Row(out[:d], class)
}
