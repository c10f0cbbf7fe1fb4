package pipeline

import (
	"context"
	"fmt"
	"slices"

	"ldm-mac/ldm/cond"
	"ldm-mac/ldm/labels"
	"ldm-mac/ldm/tensor"
)

// This file makes conditions: what cross-attention reads, and the numbers of a class.

// conditions are what all pictures of a request are denoised towards and away from, each [l, d]: both
// are nil without cross-attention, and away is without guidance.
type conditions struct {
	towards, away []float32
	length, width int
	label         []float32 // [4·model] of the U-Net's class; nil for none
}

// array is a condition as the networks have it.
func (c *conditions) array(data []float32) tensor.Array {
	return tensor.Array{Shape: tensor.Shape{1, c.length, c.width}, Data: data}
}

// encodeCondition makes the conditions of a request.
func (p *Pipeline) encodeCondition(ctx context.Context, r *Request, warn func(string)) (conditions, error) {
	guided := r.GuidanceScale != 1
	switch {
	case p.class.model != nil:
		return p.classCondition(r, guided)
	case p.system.task == LayoutToImage:
		tokens, err := p.layoutTokens(r)
		if err != nil {
			return conditions{}, err
		}
		return p.encodeTokens(ctx, tokens, nil, 0)
	case p.tokenizer != nil:
		towards, away := p.tokenize(r.Prompt, warn), []int32(nil)
		if guided {
			away = p.tokenize(r.NegativePrompt, warn)
		}
		return p.encodeTokens(ctx, towards, away, r.ClipSkip)
	}
	return conditions{}, nil
}

// tokenize makes the tokens of a prompt.
func (p *Pipeline) tokenize(prompt string, warn func(string)) []int32 {
	length := p.text.length
	ids, _, cut := p.tokenizer.Encode(prompt, length)
	if cut > 0 {
		warn(fmt.Sprintf("the text encoder reads %d tokens: the last %d of %.40q are not used", length, cut, prompt))
	}
	return ids
}

// classCondition is the embedding of a class, and with guidance that of none.
func (p *Pipeline) classCondition(r *Request, guided bool) (conditions, error) {
	c := &p.class
	if err := c.load(p.folder); err != nil {
		return conditions{}, err
	}
	defer c.release()
	width := c.config.EmbedDim
	made := conditions{towards: make([]float32, width), length: 1, width: width}
	if err := c.model.Embed(made.towards, r.Class); err != nil || !guided {
		return made, err
	}
	unconditional, _ := c.config.Unconditional() // Check has refused guidance where there is none
	made.away = make([]float32, width)
	return made, c.model.Embed(made.away, unconditional)
}

// encodeTokens runs the text encoder on the tokens of what to draw and, unless there are none, of what
// to move away from. Layers are left out for the first only (diffusers, pipeline_stable_diffusion.py,
// encode_prompt). The encoder is freed before it returns: at full size it needs as much memory as the
// U-Net.
func (p *Pipeline) encodeTokens(ctx context.Context, towards, away []int32, skip int) (conditions, error) {
	t := &p.text
	length, width := len(towards), t.model.Width()
	if err := t.load(p.folder); err != nil {
		return conditions{}, err
	}
	defer t.release()
	rows := [][]int32{towards}
	if away != nil {
		rows = append(rows, away)
	}
	in := map[string]tensor.Array{}
	for i, ids := range rows {
		tokens := tensor.NewArray(1, length, width)
		if err := t.model.Embed(tokens.Data, ids); err != nil {
			return conditions{}, err
		}
		in[fmt.Sprint("tokens", i)] = tokens
	}
	program, err := p.compile(&t.component, func(g *tensor.Graph) {
		for i := range rows {
			g.Output(fmt.Sprint("cond", i), t.model.Forward(g.Input(fmt.Sprint("tokens", i), 1, length, width), skip))
			skip = 0
		}
	})
	if err != nil {
		return conditions{}, err
	}
	defer program.Close()
	out, err := program.Run(ctx, in)
	if err != nil {
		return conditions{}, err
	}
	c := conditions{towards: slices.Clone(out["cond0"].Data), length: length, width: width}
	if away != nil {
		c.away = slices.Clone(out["cond1"].Data)
	}
	return c, nil
}

// skippable is how many layers of the text encoder may be left out: of CLIP all but one.
func (p *Pipeline) skippable() int {
	if _, ok := p.text.model.(*cond.CLIP); ok {
		return p.text.model.Depth() - 1
	}
	return 0
}

// conditionLength is the number of tokens of a condition; 0 without cross-attention.
func (p *Pipeline) conditionLength() int {
	switch {
	case p.class.model != nil:
		return 1
	case p.text.model != nil:
		return p.text.length
	}
	return 0
}

// categories is the number of classes of a layout's objects: that of the paper's model for its
// vocabulary, else as many as there are tokens.
func (p *Pipeline) categories() int {
	const openImages = 8192 // CompVis latent-diffusion, models/ldm/layout2img-openimages256/config.yaml
	if p.text.model.Vocabulary() == openImages {
		return labels.OpenImagesStride
	}
	return p.text.model.Vocabulary() - 1
}

func (p *Pipeline) layoutTokens(r *Request) ([]int32, error) {
	if r.tokens != nil {
		return r.tokens, nil
	}
	return p.layout().Tokens(r.Boxes, cond.FullCrop)
}

// layout makes the tokens of a layout.
func (p *Pipeline) layout() cond.Layout {
	return cond.Layout{Vocabulary: p.text.model.Vocabulary(), Length: p.text.model.Length(), Stride: p.categories()}
}

// labelCondition adds the embedding of the level of noise in the small picture.
func (p *Pipeline) labelCondition(c *conditions, level int) error {
	u := &p.unet
	if err := u.load(p.folder); err != nil {
		return err
	}
	c.label = make([]float32, 4*u.config.BlockOutChannels[0])
	return u.model.Label(c.label, level)
}
