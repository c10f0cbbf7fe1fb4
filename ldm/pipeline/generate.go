package pipeline

import (
	"context"
	"fmt"
	"math"
	"time"

	"ldm-mac/ldm/firststage"
	"ldm-mac/ldm/imageio"
	"ldm-mac/ldm/rng"
	"ldm-mac/ldm/sampler"
	"ldm-mac/ldm/tensor"
)

// runState is one call of Generate.
type runState struct {
	*Pipeline
	req        *Request
	sampler    *sampler.Sampler
	conditions conditions
	given      given
	emit       func(Picture) error
	timings    Timings
	done       int // pictures
	steps      int // network evaluations of a batch
}

// Generate makes the pictures of a request and gives them to emit in their order. An error of
// emit, or the end of ctx between two network operations, ends it. Mistakes in the request are
// *RequestError.
func (p *Pipeline) Generate(ctx context.Context, req Request, emit func(Picture) error) (Timings, error) {
	s, err := p.check(&req)
	if err != nil {
		return nil, err
	}
	r := &runState{Pipeline: p, req: &req, sampler: s, emit: emit, timings: Timings{}, steps: len(s.Timesteps())}
	if p.stage.config.ClassName == firststage.VQ && p.latentScale(req.Convention) == firststage.KLScale {
		r.warn(fmt.Sprintf("latents are divided by %g, as diffusers does, but no quantised model of the paper was trained so; "+
			"the convention compvis does not", firststage.KLScale))
	}
	err = r.timed(StageText, func() (err error) {
		r.conditions, err = p.encodeCondition(ctx, &req, r.warn)
		return err
	})
	if err == nil {
		err = r.timed(StageEncode, func() (err error) {
			r.given, err = r.prepareGiven(ctx)
			return err
		})
	}
	if err != nil {
		return nil, err
	}
	for start := 0; start < len(req.Seeds); start += req.BatchSize {
		seeds := req.Seeds[start:min(start+req.BatchSize, len(req.Seeds))]
		if err := r.batch(ctx, start, seeds); err != nil {
			return nil, err
		}
	}
	return r.timings, nil
}

// batch makes the pictures of some seeds, the first of which is number start of the request.
func (r *runState) batch(ctx context.Context, start int, seeds []uint64) error {
	var d *denoiser
	err := r.timed(StageLoad, func() (err error) {
		d, err = r.prepareDenoiser(ctx, len(seeds))
		return err
	})
	if err != nil {
		return err
	}
	height, width := r.latentSize(r.req)
	latents := tensor.NewArray(len(seeds), r.LatentChannels(), height, width)
	noise := tensor.NewArray(latents.Shape...)
	generators, begun := make([]rng.Generator, len(seeds)), make([]beginning, len(seeds))
	size := len(latents.Data) / len(seeds)
	d.extra = nil
	for i := range seeds {
		if generators[i], err = r.generator(start + i); err != nil {
			return err
		}
		var fixed []float32
		if r.req.Noise != nil {
			fixed = r.req.Noise.Data[(start+i)*size:][:size]
		}
		if begun[i], err = r.begin(&r.given, generators[i], fixed); err != nil {
			return err
		}
		copy(noise.Data[i*size:], begun[i].noise)
		copy(latents.Data[i*size:], begun[i].latents)
		if r.req.Start != nil {
			copy(latents.Data[i*size:][:size], r.req.Start.Latents.Data[(start+i)*size:])
		}
		if begun[i].extra != nil {
			d.extra = append(d.extra, begun[i].extra)
		}
		if r.conditions.towards != nil {
			r.show("text", r.conditions.array(r.conditions.towards))
		}
	}
	r.show("noise", noise)
	err = r.timed(StageSample, func() error { return r.sample(ctx, d, latents, generators, begun) })
	if err != nil {
		return err
	}
	r.show("latents", latents)
	for i, seed := range seeds {
		err := r.timed(StageDecode, func() error {
			return r.decode(ctx, latents.Data[i*size:(i+1)*size], Picture{Index: start + i, Seed: seed})
		})
		if err != nil {
			return err
		}
		r.done++
	}
	return nil
}

// generator is that of a picture.
func (r *runState) generator(picture int) (rng.Generator, error) {
	if r.req.generator != nil {
		return r.req.generator(picture)
	}
	return rng.New(r.req.RNG, r.req.Seeds[picture])
}

// prepareDenoiser compiles the U-Net for some images at a time.
func (r *runState) prepareDenoiser(ctx context.Context, images int) (*denoiser, error) {
	if r.system.concat == concatNoisy && r.conditions.label == nil {
		if err := r.labelCondition(&r.conditions, r.req.NoiseLevel); err != nil {
			return nil, err
		}
	}
	height, width := r.latentSize(r.req)
	times := r.sampler.AllTimesteps() // also of what a start leaves out, so that a matrix product gives the same there
	d, err := r.newDenoiser(denoiserShape{
		images: images, height: height, width: width, tiles: r.req.Tiling.UNet, guided: r.req.GuidanceScale != 1,
		steps: len(distinct(times)), length: r.conditions.length, label: r.conditions.label != nil,
	})
	if err != nil {
		return nil, err
	}
	d.scale, d.rescale = float32(r.req.GuidanceScale), float32(r.req.GuidanceRescale)
	// LDMSuperResolutionPipeline of diffusers gives the sampler's scaling latents and picture in one.
	d.extraScaled = r.system.concat == concatImage && r.req.Convention == Diffusers
	return d, d.prepare(ctx, &r.conditions, times)
}

// sample takes latents from where they begin to a picture's.
func (r *runState) sample(ctx context.Context, d *denoiser, latents tensor.Array, generators []rng.Generator, begun []beginning) error {
	r.progress(StageSample, 0)
	size := len(latents.Data) / len(generators)
	draw := func(z []float32) {
		for i, g := range generators {
			g.Normal(z[i*size : (i+1)*size])
		}
	}
	model := func(x []float32, t, scale float64, out []float32) error { return d.evaluate(ctx, x, t, scale, out) }
	onStep := func(i, _ int, t float64, x []float32) error {
		for _, v := range x {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				return fmt.Errorf("pipeline: latents are not finite after step %d, timestep %g", i, t)
			}
		}
		r.show(fmt.Sprintf("step.%03d", i), tensor.Array{Shape: latents.Shape, Data: x})
		if r.req.Mask != nil && r.system.concat == concatNothing {
			for j := range begun {
				r.keepKnown(x[j*size:][:size], &begun[j], r.given.mask, i+1)
			}
		}
		r.progress(StageSample, i+1)
		return nil
	}
	return r.sampler.Sample(latents.Data, latents.Shape[0], model, draw, onStep)
}

// decode makes the picture of latents [c, h, w] and emits it.
func (r *runState) decode(ctx context.Context, latents []float32, picture Picture) error {
	r.progress(StageDecode, r.steps)
	height, width := r.latentSize(r.req)
	pixels, err := r.decodeLatents(ctx, latents, height, width, r.req.Convention, r.req.Tiling.Stage)
	if err != nil {
		return err
	}
	height, width = height*r.Factor(), width*r.Factor()
	if r.req.OnTensor != nil {
		r.show("image", tensor.Array{Shape: tensor.Shape{1, 3, height, width}, Data: pixels})
	}
	if picture.Image, err = r.picture(pixels, height, width, r.req.Convention); err != nil {
		return err
	}
	if r.req.Mask != nil && r.req.KeepUnmasked {
		if picture.Image, err = imageio.Paste(picture.Image, r.req.Image, r.req.Mask); err != nil {
			return err
		}
	}
	return r.emit(picture)
}

func (r *runState) timed(stage Stage, work func() error) error {
	r.progress(stage, 0)
	start := time.Now()
	err := work()
	r.timings[stage] += time.Since(start)
	return err
}

func (r *runState) progress(stage Stage, step int) {
	if r.req.OnProgress != nil {
		r.req.OnProgress(Progress{Stage: stage, Picture: r.done, Count: len(r.req.Seeds), Step: step, Steps: r.steps})
	}
}

func (r *runState) show(name string, value tensor.Array) {
	if r.req.OnTensor != nil {
		r.req.OnTensor(name, value)
	}
}

func (r *runState) warn(message string) {
	if r.req.OnWarning != nil {
		r.req.OnWarning(message)
	}
}
