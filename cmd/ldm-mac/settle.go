package main

import (
	"image"

	"ldm-mac/ldm/imageio"
	"ldm-mac/ldm/pipeline"
)

// This file fills in what the user has left to the model, in the recipe as in the request.

// settleSampling fills in how a loaded model samples.
func (s *settings) settleSampling(m *model) pipeline.Request {
	c, r := s.flags, &s.recipe
	d := m.defaults()
	r.Model.Name = m.name
	if c.IsSet("steps") {
		r.Steps = c.Int("steps")
	} else if r.Steps == 0 {
		r.Steps = d.steps
	}
	if c.IsSet("guidance-scale") {
		r.GuidanceScale = c.Float64("guidance-scale")
	} else if s.origin == nil {
		r.GuidanceScale = d.guidanceScale
	}
	if c.IsSet("guidance-rescale") {
		r.GuidanceRescale = c.Float64("guidance-rescale")
	}
	if c.IsSet("clip-skip") {
		r.ClipSkip = c.Int("clip-skip")
	}
	if r.Convention == "" {
		r.Convention = string(m.Convention())
	}
	if r.Sampler == "" || r.OwnSampler && r.Sampler == m.Sampler() {
		r.Sampler, r.OwnSampler = m.Sampler(), true
	} else {
		r.OwnSampler = false
	}
	if c.IsSet("eta") {
		r.Eta = c.Float64("eta")
	} else if s.origin == nil && r.Sampler == "ddim" {
		r.Eta = d.eta
	}
	request := pipeline.Request{
		Prompt: r.Prompt, NegativePrompt: r.NegativePrompt, ClipSkip: r.ClipSkip,
		Steps: r.Steps, Sampler: r.Sampler, GuidanceScale: r.GuidanceScale, GuidanceRescale: r.GuidanceRescale, Eta: r.Eta,
		RNG: r.RNG, Seeds: s.seeds, BatchSize: 1, Convention: pipeline.Convention(r.Convention),
	}
	if r.OwnSampler {
		request.Sampler = ""
	}
	return request
}

// settle makes the request for a loaded model.
func (s *settings) settle(m *model) (pipeline.Request, error) {
	request := s.settleSampling(m)
	request.BatchSize = s.flags.Int("batch-size")
	if s.noise != nil && s.noise.start > 0 {
		request.Start = &pipeline.Start{Latents: s.noise.Array, Step: s.noise.start}
	} else if s.noise != nil {
		request.Noise = &pipeline.NoiseSource{Array: s.noise.Array}
	}
	if err := s.settleCondition(m, &request); err != nil {
		return request, err
	}
	if err := s.settleSize(m, &request); err != nil {
		return request, err
	}
	return request, s.settleTiling(m, &request)
}

// settleSize decides the size of the pictures: that which the user gives, or of what is given to begin
// with, or the model's.
func (s *settings) settleSize(m *model, request *pipeline.Request) error {
	r := &s.recipe
	switch {
	case s.source != nil:
		return s.settleSource(m, request)
	case request.LabelMap != nil:
		return nil
	case s.noise != nil:
		width, height := s.noise.Shape[3]*m.Factor(), s.noise.Shape[2]*m.Factor()
		c := s.flags
		if c.IsSet("size") && (r.Width != width || r.Height != height) ||
			c.IsSet("width") && r.Width != width || c.IsSet("height") && r.Height != height {
			return usagef("the noise of %s is for %dx%d pixels; leave the size out, or give that", s.noise.file, width, height)
		}
		r.Width, r.Height = width, height
	default:
		if r.Width == 0 {
			r.Width = m.Size()
		}
		if r.Height == 0 {
			r.Height = m.Size()
		}
	}
	request.Width, request.Height = r.Width, r.Height
	return nil
}

// settleSource fits the picture to begin with, and its mask, to what the model takes: of the size that
// the user gives, or else with its edges repeated up to the next multiple, which finished cuts off.
func (s *settings) settleSource(m *model, request *pipeline.Request) error {
	r, from := &s.recipe, s.source
	if m.Task() == pipeline.SuperResolution {
		return usagef("%s enlarges pictures; see ldm-mac upscale --help", m.name)
	}
	size := from.input.Image.Bounds().Size()
	if s.sized() || s.origin != nil && r.Width > 0 && r.Height > 0 {
		if r.Width == 0 {
			r.Width = size.X * r.Height / size.Y
		}
		if r.Height == 0 {
			r.Height = size.Y * r.Width / size.X
		}
		if err := from.resize(r.Width, r.Height); err != nil {
			return inputError(err)
		}
	} else {
		r.Width, r.Height = size.X, size.Y
	}
	multiple := m.Multiple()
	request.Width, request.Height = roundUp(r.Width, multiple), roundUp(r.Height, multiple)
	request.Image = extend(from.input.Image, request.Width, request.Height)
	if from.mask != nil {
		request.Mask = extendMask(from.mask, request.Width, request.Height)
		request.KeepUnmasked = r.KeepUnmasked
	}
	request.Strength = r.Strength
	return nil
}

// finished is a picture as the user gets it: without what was added to what it began with, and with
// the transparency of that.
func (s *settings) finished(m *image.NRGBA) (*image.NRGBA, error) {
	if s.source == nil {
		return m, nil
	}
	m = m.SubImage(image.Rect(0, 0, s.recipe.Width, s.recipe.Height)).(*image.NRGBA)
	if !s.source.input.Alpha {
		return m, nil
	}
	return imageio.WithAlpha(m, s.source.input.Image)
}

func roundUp(n, multiple int) int { return (n + multiple - 1) / multiple * multiple }
