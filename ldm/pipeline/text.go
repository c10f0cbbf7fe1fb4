package pipeline

import (
	"context"
	"fmt"

	"ldm-mac/ldm/tensor"
)

// encode gives the condition [len(prompts), l, d] of prompts, on which the U-Net attends. The text
// encoder is freed before it returns: at full size it needs as much memory as the U-Net.
func (p *Pipeline) encode(ctx context.Context, prompts []string, warn func(string)) (tensor.Array, error) {
	length, width := p.text.config.MaxPositions, p.text.config.Width
	program, err := p.compile(&p.text.component, func(g *tensor.Graph) {
		g.Output("cond", p.text.model.Forward(g.Input("tokens", len(prompts), length, width)))
	})
	if err != nil {
		return tensor.Array{}, err
	}
	defer program.Close()
	tokens := tensor.NewArray(len(prompts), length, width)
	for i, prompt := range prompts {
		ids, _, cut := p.tokenizer.Encode(prompt, length)
		if cut > 0 {
			warn(fmt.Sprintf("the text encoder reads %d tokens: the last %d of %.40q are not used", length, cut, prompt))
		}
		if err := p.text.model.Embed(tokens.Data[i*length*width:(i+1)*length*width], ids); err != nil {
			return tensor.Array{}, err
		}
	}
	p.text.release()
	out, err := program.Run(ctx, map[string]tensor.Array{"tokens": tokens})
	if err != nil {
		return tensor.Array{}, err
	}
	result := tensor.NewArray(tokens.Shape...)
	copy(result.Data, out["cond"].Data)
	return result, nil
}
