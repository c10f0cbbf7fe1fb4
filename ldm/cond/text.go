package cond

import (
	"fmt"
	"slices"

	"ldm-mac/ldm/nn"
	"ldm-mac/ldm/tensor"
)

// TextEncoder is the transformer that makes a condition of a prompt's tokens: *BERT or *CLIP.
type TextEncoder interface {
	// Embed writes the sum of token and position embeddings of ids to out [len(ids), d]. It fails on
	// an id outside the vocabulary and on more ids than positions.
	Embed(out []float32, ids []int32) error
	// Forward maps embedded tokens [n, l, d] to the condition [n, l, d]. The last layers, as many as
	// skip says, are left out, not the norm behind them (diffusers, clip_skip); 0 ≤ skip ≤ Depth.
	Forward(x *tensor.Tensor, skip int) *tensor.Tensor
	Vocabulary() int // number of ids
	Length() int     // number of positions
	Width() int      // d
	Depth() int      // number of layers
}

// bound is the range of a field of a config, from 1.
type bound struct {
	name        string
	value, most int
}

// check reports the first field of a config of model that is outside its bounds, and the first
// class in architectures that is another than class.
func check(model, class string, architectures []string, bounds ...bound) error {
	for _, b := range bounds {
		if b.value < 1 || b.value > b.most {
			return fmt.Errorf("%s: %s is %d, want 1 to %d", model, b.name, b.value, b.most)
		}
	}
	if i := slices.IndexFunc(architectures, func(c string) bool { return c != class }); i >= 0 {
		return fmt.Errorf("%s: class %q is not supported, want %s", model, architectures[i], class)
	}
	return nil
}

// embed writes the sum of the vectors of ids in tokens [vocabulary, d], times scale, and of their
// places in positions [length, d] to out [len(ids), d].
func embed(model string, tokens, positions *tensor.Weight, scale float32, out []float32, ids []int32) error {
	vocabulary, d := tokens.Shape[0], tokens.Shape[1]
	if len(ids) > positions.Shape[0] {
		return fmt.Errorf("%s: %d tokens for %d positions", model, len(ids), positions.Shape[0])
	}
	position := make([]float32, d)
	for i, id := range ids {
		if id < 0 || int(id) >= vocabulary {
			return fmt.Errorf("%s: token id %d is outside the vocabulary of %d", model, id, vocabulary)
		}
		row := out[i*d : (i+1)*d]
		if err := tokens.Row(row, int(id)); err != nil {
			return err
		}
		if err := positions.Row(position, i); err != nil {
			return err
		}
		for j := range row {
			row[j] = row[j]*scale + position[j]
		}
	}
	return nil
}

// SelfAttention lets tokens attend to each other, or with a causal mask to those before them and to
// themselves; the width of all heads together may differ from the tokens'.
type SelfAttention struct {
	Q   *nn.Linear `weight:"q_proj"`
	K   *nn.Linear `weight:"k_proj"`
	V   *nn.Linear `weight:"v_proj"`
	Out *nn.Linear `weight:"out_proj"`

	heads  int
	causal bool
}

// Forward keeps the shape of x [n, l, d].
func (a *SelfAttention) Forward(x *tensor.Tensor) *tensor.Tensor {
	q, k, v := a.Q.Forward(x), a.K.Forward(x), a.V.Forward(x)
	attend := nn.Attend
	if a.causal {
		attend = nn.AttendCausal
	}
	return a.Out.Forward(attend(a.Q, q, k, v, a.heads))
}
