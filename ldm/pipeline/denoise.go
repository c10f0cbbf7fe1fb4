package pipeline

import (
	"context"
	"fmt"
	"slices"

	"ldm-mac/ldm/tensor"
	"ldm-mac/ldm/unet"
)

// denoiser is the U-Net compiled for one size of batch. With guidance it evaluates every latent
// twice in one batch: first without the condition, then with it (Ho and Salimans 2022,
// arXiv:2207.12598, equation 6). What depends on the condition or on the time steps alone, such as the
// keys and values of cross-attention and the time embeddings of all steps, is a program of its own,
// which runs once.
type denoiser struct {
	denoiserShape
	once    tensor.Program // nil where nothing depends on the condition and the time steps alone
	program tensor.Program // bound to what once keeps
	config  *unet.Config

	scale, rescale float32
	times          []float64    // distinct time steps, by row of sinusoids
	extra          [][]float32  // by image, [channels, height, width] behind the latents; nil for nothing
	extraScaled    bool         // they are scaled as the latents are
	x              tensor.Array // [rows, tile height, tile width, in]
	row            tensor.Array // [1]
	given          map[string]tensor.Array
	in             map[string]tensor.Array
	output         []float32 // of one tile of one image with the condition, [out, h, w]
}

// denoiserShape decides the programs.
type denoiserShape struct {
	images, height, width int
	tiles                 Tiles
	guided                bool
	steps                 int // distinct time steps
	length                int // of the condition
	label                 bool
}

// newDenoiser compiles the U-Net, or takes the one that is there when it has the right shape.
func (p *Pipeline) newDenoiser(shape denoiserShape) (*denoiser, error) {
	if d := p.denoiser; d != nil && d.denoiserShape == shape {
		return d, nil
	}
	p.denoiser.close()
	p.denoiser = nil
	c := &p.unet.config
	rows := shape.images
	if shape.guided {
		rows *= 2
	}
	height, width := shape.tiles.shape(shape.height, shape.width)
	d := &denoiser{
		denoiserShape: shape, config: c,
		x:      tensor.NewArray(rows, height, width, c.InChannels),
		row:    tensor.NewArray(1),
		given:  map[string]tensor.Array{"sinusoids": tensor.NewArray(shape.steps, c.BlockOutChannels[0])},
		output: make([]float32, height*width*c.OutChannels),
	}
	d.in = map[string]tensor.Array{"x": d.x, "row": d.row}
	if shape.length > 0 {
		d.given["cond"] = tensor.NewArray(rows, shape.length, p.condWidth())
	}
	if shape.label {
		d.given["label"] = tensor.NewArray(1, 4*c.BlockOutChannels[0])
	}
	g, err := p.graph(&p.unet.component, func(g *tensor.Graph) {
		in := unet.Inputs{X: g.Input("x", d.x.Shape...), Row: g.Input("row", 1)}
		in.Sinusoids = g.Input("sinusoids", d.given["sinusoids"].Shape...)
		if shape.length > 0 {
			in.Cond = g.Input("cond", d.given["cond"].Shape...)
		}
		if shape.label {
			in.Label = g.Input("label", d.given["label"].Shape...)
		}
		g.Output("out", p.unet.model.Forward(in))
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
	var names []string
	for name := range d.given {
		names = append(names, name)
	}
	once, rest := g.Hoist(names...)
	if d.once, err = backend.Compile(once); err != nil {
		return err
	}
	if d.program, err = backend.Compile(rest); err != nil {
		return err
	}
	for _, o := range once.Outputs() {
		if err := d.program.Bind(o.Name, d.once, o.Name); err != nil {
			return err
		}
	}
	return nil
}

// prepare computes what all evaluations share: times are their time steps, each of which may occur
// more than once.
func (d *denoiser) prepare(ctx context.Context, c *conditions, times []float64) error {
	d.times = distinct(times)
	sinusoids := d.given["sinusoids"]
	unet.TimestepEmbedding(sinusoids.Data, d.times, sinusoids.Shape[1], d.config.FlipSinToCos, d.config.FreqShift)
	if d.length > 0 {
		data := d.given["cond"].Data
		if d.guided {
			for range d.images {
				data = data[copy(data, c.away):]
			}
		}
		for range d.images {
			data = data[copy(data, c.towards):]
		}
	}
	if d.label {
		copy(d.given["label"].Data, c.label)
	}
	_, err := d.once.Run(ctx, d.given)
	return err
}

// distinct are time steps without repetitions, in their order.
func distinct(times []float64) []float64 {
	var all []float64
	for _, t := range times {
		if !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	return all
}

// evaluate writes the guided output of the network at time step t for latents x, which have been
// multiplied by scale, to out, both [images, c, height, width].
func (d *denoiser) evaluate(ctx context.Context, x []float32, t, scale float64, out []float32) error {
	row := slices.Index(d.times, t)
	if row < 0 {
		return fmt.Errorf("pipeline: time step %g was not prepared", t)
	}
	d.row.Data[0] = float32(row)
	images := make([][]float32, d.images) // [channels, height, width], of latents and what is behind them
	size, z := len(x)/d.images, d.config.OutChannels
	for i := range images {
		images[i] = x[i*size:][:size]
		if d.extra == nil {
			continue
		}
		extra := d.extra[i]
		if d.extraScaled && scale != 1 {
			extra = scaled(extra, float32(scale))
		}
		images[i] = append(slices.Clone(images[i]), extra...)
	}
	channels := d.images * z
	if d.rescale > 0 {
		channels *= 2
	}
	made, err := d.tiles.blend(d.height, d.width, channels, 1, func(part tile) ([]float32, error) {
		return d.evaluateTile(ctx, images, part, channels)
	})
	if err != nil {
		return err
	}
	copy(out, made)
	if d.rescale > 0 {
		for i := range d.images {
			rescaleGuidance(out[i*size:][:size], made[len(out)+i*size:][:size], float64(d.rescale))
		}
	}
	return nil
}

// evaluateTile is the guided output for a part of all images, [h, w, channels]: of each image, behind
// one another, and if there are as many channels again, those of the outputs with the condition.
func (d *denoiser) evaluateTile(ctx context.Context, images [][]float32, part tile, channels int) ([]float32, error) {
	in, out, pixels := d.config.InChannels, d.config.OutChannels, part.height*part.width
	size := pixels * in
	for row := range d.x.Shape[0] {
		toChannelsLast(d.x.Data[row*size:][:size], crop(images[row%d.images], in, d.height, d.width, part), in)
	}
	results, err := d.program.Run(ctx, d.in)
	if err != nil {
		return nil, err
	}
	size = pixels * out
	result := results["out"].Data
	planes := make([]float32, channels*pixels) // [channels, h, w]
	for i := range d.images {
		mixed := planes[i*size:][:size]
		toChannelsFirst(mixed, result[i*size:][:size], out)
		if !d.guided {
			continue
		}
		toChannelsFirst(d.output, result[(d.images+i)*size:][:size], out)
		for j, u := range mixed {
			mixed[j] = u + d.scale*(d.output[j]-u)
		}
		if d.rescale > 0 {
			copy(planes[(d.images+i)*size:], d.output)
		}
	}
	return channelsLast(planes, channels), nil
}

func (d *denoiser) close() {
	if d == nil {
		return
	}
	for _, p := range []tensor.Program{d.program, d.once} {
		if p != nil {
			p.Close()
		}
	}
}
