package pipeline

import (
	"context"

	"ldm-mac/ldm/tensor"
)

// decoder is the first stage's decoder compiled for one picture of one size: pictures are decoded
// one by one, because their activations, not the weights, take the memory.
type decoder struct {
	program tensor.Program
	z       tensor.Array // [1, h, w, c]
	in      map[string]tensor.Array
	scale   float32
}

func (p *Pipeline) newDecoder(height, width int) (*decoder, error) {
	shape := tensor.Shape{1, height, width, p.vae.config.LatentChannels}
	if d := p.decoder; d != nil && d.z.Shape.Equal(shape) {
		return d, nil
	}
	p.decoder.close()
	p.decoder = nil
	d := &decoder{z: tensor.NewArray(shape...), scale: float32(1 / p.vae.config.ScalingFactor)}
	d.in = map[string]tensor.Array{"z": d.z}
	program, err := p.compile(&p.vae.component, func(g *tensor.Graph) {
		g.Output("image", p.vae.model.Decode(g.Input("z", shape...)))
	})
	if err != nil {
		return nil, err
	}
	p.vae.release()
	d.program, p.decoder = program, d
	return d, nil
}

// decode maps the latents [c, h, w] of one picture to its pixels [1, f·h, f·w, 3], mostly in
// [-1, 1], which are valid until the next call.
func (d *decoder) decode(ctx context.Context, latents []float32) (tensor.Array, error) {
	toChannelsLast(d.z.Data, latents, d.z.Shape[3])
	for i := range d.z.Data {
		d.z.Data[i] *= d.scale
	}
	out, err := d.program.Run(ctx, d.in)
	return out["image"], err
}

func (d *decoder) close() {
	if d != nil {
		d.program.Close()
	}
}
