package pipeline

import (
	"context"

	"ldm-mac/ldm/imageio"
	"ldm-mac/ldm/rng"
	"ldm-mac/ldm/sampler"
)

// This file makes what sampling begins with: latents, and what is put behind them.

// changes reports whether sampling may start from a picture instead of noise alone.
func (p *Pipeline) changes(r *Request) bool {
	return r.Image != nil && p.system.task != SuperResolution && p.system.concat != concatHole
}

// given is what a request's picture and mask become, the same for all its pictures.
type given struct {
	image  []float32 // [3, h, w] in -1…1
	hidden []float32 // [h, w] of the picture's size, 1 where to fill, else 0; nil for none
	mask   []float32 // the same of the latents' size
	known  posterior // of the picture
	hole   posterior // of the picture with its hole
	labels []float32 // [c, h, w], of the rescaled label map
}

// prepareGiven encodes what every picture of a request begins with.
func (r *runState) prepareGiven(ctx context.Context) (g given, err error) {
	req, concat := r.req, r.system.concat
	if concat == concatLabelMap {
		g.labels, err = r.rescale()
	}
	if req.Image == nil || err != nil {
		return g, err
	}
	g.image = channelsFirst(imageio.ToFloats(req.Image), 3)
	if req.Mask != nil {
		height, width := r.latentSize(req)
		g.hidden = req.Mask.Binary().Floats()
		g.mask = imageio.ResizeNearest(g.hidden, 1, req.Height, req.Width, height, width)
	}
	if r.changes(req) && (req.Strength < 1 || concat != concatMask) {
		if g.known, err = r.encodePicture(ctx, g.image); err != nil {
			return g, err
		}
	}
	if r.Inpaints() {
		g.hole, err = r.encodePicture(ctx, r.withHole(g.image, g.hidden))
	}
	return g, err
}

func (r *runState) encodePicture(ctx context.Context, picture []float32) (posterior, error) {
	return r.encodeImage(ctx, picture, r.req.Height, r.req.Width, r.req.Convention, r.req.Tiling.Stage)
}

// withHole is a picture [3, h, w] where the pixels to fill are grey or, by CompVis' convention for its
// own model (scripts/inpaint.py), black.
func (r *runState) withHole(picture, hidden []float32) []float32 {
	hole := float32(0)
	if r.system.concat == concatHole && r.req.Convention == CompVis {
		hole = -1
	}
	out := make([]float32, len(picture))
	for i, v := range picture {
		if out[i] = v; hidden[i%len(hidden)] > 0 {
			out[i] = hole
		}
	}
	return out
}

// rescale reduces the label map to what is put behind the latents.
func (r *runState) rescale() ([]float32, error) {
	s := &r.rescaler
	if err := s.load(r.folder); err != nil {
		return nil, err
	}
	defer s.release()
	height, width := s.model.Size(r.req.Height, r.req.Width)
	out := make([]float32, height*width*s.config.OutChannels)
	if err := s.model.Rescale(out, r.req.LabelMap, r.req.Height, r.req.Width); err != nil {
		return nil, err
	}
	return channelsFirst(out, s.config.OutChannels), nil
}

// beginning is where one picture begins; all are [channels, h, w].
type beginning struct {
	latents []float32 // of the first evaluation
	noise   []float32 // the noise in them
	known   []float32 // clean latents of the picture given; nil for none
	extra   []float32 // what is put behind the latents; nil for nothing
}

// begin draws, in the order of the original programs, what a picture begins with. noise replaces what
// is drawn unless it is nil.
func (r *runState) begin(g *given, generator rng.Generator, noise []float32) (b beginning, err error) {
	height, width := r.latentSize(r.req)
	if r.system.concat == concatNoisy {
		if b.extra, err = r.noisy(g.image, generator); err != nil {
			return b, err
		}
	}
	if g.known.mean != nil {
		b.known = g.known.sample(generator)
	}
	b.noise = make([]float32, r.LatentChannels()*height*width)
	generator.Normal(b.noise)
	if noise != nil { // the generator goes on behind the noise that it would have made
		copy(b.noise, noise)
	}
	b.latents = make([]float32, len(b.noise))
	// At full strength, what is filled starts from noise alone (diffusers,
	// pipeline_stable_diffusion_inpaint.py, prepare_latents).
	if b.known != nil && (r.req.Mask == nil || r.req.Strength < 1) {
		copy(b.latents, b.known)
		r.sampler.AddNoise(b.latents, b.noise, 0)
	} else {
		sigma := float32(r.sampler.InitNoiseSigma())
		for i, v := range b.noise {
			b.latents[i] = v * sigma
		}
	}
	r.concatenate(&b, g, generator)
	return b, nil
}

// concatenate makes what is put behind the latents.
func (r *runState) concatenate(b *beginning, g *given, generator rng.Generator) {
	switch r.system.concat {
	case concatImage:
		b.extra = g.image
	case concatLabelMap:
		b.extra = g.labels
	case concatMask:
		b.extra = append(append(b.extra, g.mask...), g.hole.sample(generator)...)
	case concatHole:
		b.extra = g.hole.sample(generator)
		for _, m := range g.mask {
			if r.req.Convention == CompVis {
				m = 2*m - 1
			}
			b.extra = append(b.extra, m)
		}
	}
}

// noisy adds noise to a small picture [3, h, w] (diffusers, pipeline_stable_diffusion_upscale.py).
func (r *runState) noisy(picture []float32, generator rng.Generator) ([]float32, error) {
	alpha, sigma, err := sampler.NoiseAt(r.lowRes, r.req.NoiseLevel)
	if err != nil {
		return nil, err
	}
	out := make([]float32, len(picture))
	generator.Normal(out)
	for i, v := range picture {
		out[i] = float32(alpha*float64(v) + sigma*float64(out[i]))
	}
	return out, nil
}

// keepKnown puts the known part of a picture back into its latents x, with as much noise as
// evaluation next finds (Lugmayr et al. 2022, arXiv:2201.09865, equation 8; diffusers,
// pipeline_stable_diffusion_inpaint.py).
func (r *runState) keepKnown(x []float32, b *beginning, mask []float32, next int) {
	known := append([]float32(nil), b.known...)
	r.sampler.AddNoise(known, b.noise, next)
	for i, v := range known {
		m := mask[i%len(mask)]
		x[i] = (1-m)*v + m*x[i]
	}
}
