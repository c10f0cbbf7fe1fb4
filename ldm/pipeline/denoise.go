package pipeline

import (
	"context"

	"ldm-mac/ldm/tensor"
	"ldm-mac/ldm/unet"
)

// denoiser is the U-Net compiled for one size of batch. With guidance it evaluates every latent
// twice in one batch: first without the prompt, then with it (Ho and Salimans 2022,
// arXiv:2207.12598, equation 6). What depends on the condition alone, such as the keys and values
// of cross-attention, is a program of its own, which runs once for all steps.
type denoiser struct {
	conditioner    tensor.Program
	program        tensor.Program // bound to what conditioner keeps
	config         *unet.Config
	images         int
	guided         bool
	scale          float32
	x              tensor.Array // [rows, h, w, c]
	sinusoids      tensor.Array // [rows, model]
	cond           tensor.Array // [rows, l, d]
	in             map[string]tensor.Array
	timesteps      []float64
	uncond, output []float32 // of one image, [c, h, w]
}

// newDenoiser compiles the U-Net, or takes the one that is there when it has the right size.
func (p *Pipeline) newDenoiser(images, height, width int, guided bool) (*denoiser, error) {
	rows, c := images, &p.unet.config
	if guided {
		rows *= 2
	}
	shape := tensor.Shape{rows, height, width, c.InChannels}
	if d := p.denoiser; d != nil && d.x.Shape.Equal(shape) && d.guided == guided {
		return d, nil
	}
	p.denoiser.close()
	p.denoiser = nil
	d := &denoiser{
		config: c, images: images, guided: guided,
		x:         tensor.NewArray(shape...),
		sinusoids: tensor.NewArray(rows, c.BlockOutChannels[0]),
		cond:      tensor.NewArray(rows, p.text.config.MaxPositions, p.text.config.Width),
		timesteps: make([]float64, rows),
		uncond:    make([]float32, height*width*c.OutChannels),
		output:    make([]float32, height*width*c.OutChannels),
	}
	d.in = map[string]tensor.Array{"x": d.x, "sinusoids": d.sinusoids}
	g, err := p.graph(&p.unet.component, func(g *tensor.Graph) {
		x, sinusoids := g.Input("x", d.x.Shape...), g.Input("sinusoids", d.sinusoids.Shape...)
		g.Output("out", p.unet.model.Forward(x, sinusoids, g.Input("cond", d.cond.Shape...)))
	})
	if err != nil {
		return nil, err
	}
	if err := d.compile(p.backend, g); err != nil {
		d.close()
		return nil, err
	}
	p.unet.release()
	p.denoiser = d
	return d, nil
}

func (d *denoiser) compile(backend tensor.Backend, g *tensor.Graph) (err error) {
	once, rest := g.Hoist("cond")
	if d.conditioner, err = backend.Compile(once); err != nil {
		return err
	}
	if d.program, err = backend.Compile(rest); err != nil {
		return err
	}
	for _, o := range once.Outputs() {
		if err := d.program.Bind(o.Name, d.conditioner, o.Name); err != nil {
			return err
		}
	}
	return nil
}

// condition sets what latent i is denoised towards and away from, both [l, d], and how strongly.
func (d *denoiser) condition(i int, prompt, negative []float32, scale float64) {
	d.scale = float32(scale)
	size := len(prompt)
	if d.guided {
		copy(d.cond.Data[i*size:], negative)
		i += d.images
	}
	copy(d.cond.Data[i*size:], prompt)
}

// prepare computes what all evaluations share, after the last change of a condition.
func (d *denoiser) prepare(ctx context.Context) error {
	_, err := d.conditioner.Run(ctx, map[string]tensor.Array{"cond": d.cond})
	return err
}

// evaluate writes the guided output of the network at timestep t for latents x to out, both
// [images, c, h, w].
func (d *denoiser) evaluate(ctx context.Context, x []float32, t float64, out []float32) error {
	size, channels := len(x)/d.images, d.config.InChannels
	for row := range d.x.Shape[0] {
		image := x[row%d.images*size:][:size]
		toChannelsLast(d.x.Data[row*size:][:size], image, channels)
		d.timesteps[row] = t
	}
	unet.TimestepEmbedding(d.sinusoids.Data, d.timesteps, d.sinusoids.Shape[1], d.config.FlipSinToCos, d.config.FreqShift)
	results, err := d.program.Run(ctx, d.in)
	if err != nil {
		return err
	}
	result, size := results["out"].Data, len(d.output)
	for i := range d.images {
		mixed := out[i*size : (i+1)*size]
		if !d.guided {
			toChannelsFirst(mixed, result[i*size:][:size], d.config.OutChannels)
			continue
		}
		toChannelsFirst(d.uncond, result[i*size:][:size], d.config.OutChannels)
		toChannelsFirst(d.output, result[(d.images+i)*size:][:size], d.config.OutChannels)
		for j, u := range d.uncond {
			mixed[j] = u + d.scale*(d.output[j]-u)
		}
	}
	return nil
}

func (d *denoiser) close() {
	if d == nil {
		return
	}
	for _, p := range []tensor.Program{d.program, d.conditioner} {
		if p != nil {
			p.Close()
		}
	}
}

// toChannelsLast copies an image [c, h, w] to [h, w, c].
func toChannelsLast(dst, src []float32, channels int) {
	pixels := len(src) / channels
	for c := range channels {
		for i, v := range src[c*pixels : (c+1)*pixels] {
			dst[i*channels+c] = v
		}
	}
}

// toChannelsFirst copies an image [h, w, c] to [c, h, w].
func toChannelsFirst(dst, src []float32, channels int) {
	pixels := len(src) / channels
	for c := range channels {
		plane := dst[c*pixels : (c+1)*pixels]
		for i := range plane {
			plane[i] = src[i*channels+c]
		}
	}
}
