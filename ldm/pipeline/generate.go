package pipeline

import (
	"context"
	"fmt"
	"math"
	"time"

	"ldm-mac/ldm/imageio"
	"ldm-mac/ldm/rng"
	"ldm-mac/ldm/sampler"
	"ldm-mac/ldm/tensor"
)

// runState is one call of Generate.
type runState struct {
	*Pipeline
	req     *Request
	sampler *sampler.Sampler
	emit    func(Picture) error
	timings Timings
	done    int // pictures
	steps   int // network evaluations of a batch
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
	prompts, guided := []string{req.Prompt}, req.GuidanceScale != 1
	if guided {
		prompts = append(prompts, req.NegativePrompt)
	}
	var texts tensor.Array
	err = r.timed(StageText, func() (err error) {
		texts, err = p.encode(ctx, prompts, r.warn)
		return err
	})
	if err != nil {
		return nil, err
	}
	for start := 0; start < len(req.Seeds); start += req.BatchSize {
		batch := req.Seeds[start:min(start+req.BatchSize, len(req.Seeds))]
		if err := r.batch(ctx, start, batch, texts, guided); err != nil {
			return nil, err
		}
	}
	return r.timings, nil
}

// batch makes the pictures of some seeds, the first of which is number start of the request.
func (r *runState) batch(ctx context.Context, start int, seeds []uint64, texts tensor.Array, guided bool) error {
	height, width := r.req.Height/r.Factor(), r.req.Width/r.Factor()
	var d *denoiser
	err := r.timed(StageLoad, func() (err error) {
		d, err = r.newDenoiser(len(seeds), height, width, guided)
		return err
	})
	if err != nil {
		return err
	}
	row := texts.Shape[1] * texts.Shape[2]
	prompt, negative := texts.Data[:row], texts.Data[len(texts.Data)-row:]
	latents := tensor.NewArray(len(seeds), r.vae.config.LatentChannels, height, width)
	generators := make([]rng.Generator, len(seeds))
	for i, seed := range seeds {
		if generators[i], err = rng.New(r.req.RNG, seed); err != nil {
			return err
		}
	}
	size := len(latents.Data) / len(seeds)
	draw := func(z []float32) {
		for i, g := range generators {
			g.Normal(z[i*size : (i+1)*size])
		}
	}
	draw(latents.Data)
	if r.req.Noise != nil { // the generators go on behind the noise that they would have made
		copy(latents.Data, r.req.Noise.Data[start*size:])
	}
	for i := range seeds {
		d.condition(i, prompt, negative, r.req.GuidanceScale)
		r.show("text", tensor.Array{Shape: tensor.Shape{1, texts.Shape[1], texts.Shape[2]}, Data: prompt})
	}
	r.show("noise", latents)
	err = r.timed(StageSample, func() error { return r.sample(ctx, d, latents, draw) })
	if err != nil {
		return err
	}
	r.show("latents", latents)
	for i, seed := range seeds {
		err := r.timed(StageDecode, func() error {
			return r.decode(ctx, latents.Data[i*size:(i+1)*size], height, width, Picture{Index: start + i, Seed: seed})
		})
		if err != nil {
			return err
		}
		r.done++
	}
	return nil
}

// sample takes latents from noise to a picture's.
func (r *runState) sample(ctx context.Context, d *denoiser, latents tensor.Array, draw sampler.Noise) error {
	sigma := float32(r.sampler.InitNoiseSigma())
	for i := range latents.Data {
		latents.Data[i] *= sigma
	}
	r.progress(StageSample, 0)
	if err := d.prepare(ctx); err != nil {
		return err
	}
	model := func(x []float32, t, _ float64, out []float32) error { return d.evaluate(ctx, x, t, out) }
	onStep := func(i, _ int, t float64, x []float32) error {
		for _, v := range x {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				return fmt.Errorf("pipeline: latents are not finite after step %d, timestep %g", i, t)
			}
		}
		r.show(fmt.Sprintf("step.%03d", i), tensor.Array{Shape: latents.Shape, Data: x})
		r.progress(StageSample, i+1)
		return nil
	}
	return r.sampler.Sample(latents.Data, latents.Shape[0], model, draw, onStep)
}

// decode makes the picture of latents [c, h, w] and emits it.
func (r *runState) decode(ctx context.Context, latents []float32, height, width int, picture Picture) error {
	r.progress(StageDecode, r.steps)
	d, err := r.newDecoder(height, width)
	if err != nil {
		return err
	}
	image, err := d.decode(ctx, latents)
	if err != nil {
		return err
	}
	if r.req.OnTensor != nil {
		first := tensor.NewArray(1, 3, image.Shape[1], image.Shape[2])
		toChannelsFirst(first.Data, image.Data, 3)
		r.show("image", first)
	}
	if picture.Image, err = imageio.FromFloats(image.Data, image.Shape[1], image.Shape[2]); err != nil {
		return err
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
