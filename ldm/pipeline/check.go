package pipeline

import (
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"ldm-mac/ldm/rng"
	"ldm-mac/ldm/sampler"
	"ldm-mac/ldm/tensor"
)

// maxPromptBytes bounds prompts: thousands of times what any text encoder reads.
const maxPromptBytes = 64 << 10

// maxSide bounds the sides of a picture in pixels.
const maxSide = 8192

func mistake(format string, args ...any) error {
	return &RequestError{fmt.Errorf(format, args...)}
}

// Check reports the first mistake in r for this model, as Generate does.
func (p *Pipeline) Check(r Request) error {
	_, err := p.check(&r)
	return err
}

// check reports the first mistake in r for this model, and makes the sampler it asks for. It fills in
// the convention.
func (p *Pipeline) check(r *Request) (*sampler.Sampler, error) {
	r.Convention = p.orOwn(r.Convention)
	if !slices.Contains(Conventions(), r.Convention) {
		return nil, mistake("convention %q, want one of %q", r.Convention, Conventions())
	}
	for _, err := range []error{
		checkPrompt("prompt", r.Prompt), checkPrompt("negative prompt", r.NegativePrompt),
		p.checkSide("width", r.Width), p.checkSide("height", r.Height),
		p.checkCondition(r), p.checkImages(r), p.checkGuidance(r),
		r.Tiling.UNet.check("U-Net"), r.Tiling.Stage.check("first stage"),
	} {
		if err != nil {
			return nil, err
		}
	}
	if len(r.Seeds) == 0 {
		return nil, mistake("no seeds, want one for each picture")
	}
	if r.BatchSize < 1 || r.BatchSize > 64 {
		return nil, mistake("batch size %d, want 1 to 64", r.BatchSize)
	}
	if _, err := rng.New(r.RNG, slices.Max(r.Seeds)); err != nil {
		return nil, &RequestError{err}
	}
	if err := p.checkLatents(r); err != nil {
		return nil, err
	}
	return p.newSampler(r)
}

func (p *Pipeline) checkGuidance(r *Request) error {
	switch {
	case math.IsNaN(r.GuidanceScale) || math.Abs(r.GuidanceScale) > 1000:
		return mistake("guidance scale %g, want a number from -1000 to 1000", r.GuidanceScale)
	case r.GuidanceScale != 1 && !p.Guidable():
		return mistake("guidance scale %g, but this model has nothing to move away from (%s); want 1", r.GuidanceScale, p.system.task)
	case !(r.GuidanceRescale >= 0 && r.GuidanceRescale <= 1):
		return mistake("guidance rescale %g, want a number from 0 to 1", r.GuidanceRescale)
	}
	return nil
}

// checkCondition checks what a model of the paper's other kinds draws.
func (p *Pipeline) checkCondition(r *Request) error {
	switch p.system.task {
	case ClassToImage:
		if n := p.Classes(); r.Class < 0 || r.Class >= n {
			return mistake("class %d, want 0 to %d", r.Class, n-1)
		}
	case LayoutToImage:
		if n := p.Objects(); r.tokens == nil && (len(r.Boxes) < 1 || len(r.Boxes) > n) {
			return mistake("%d boxes, want 1 to %d", len(r.Boxes), n)
		}
		if _, err := p.layoutTokens(r); err != nil {
			return &RequestError{err}
		}
	case SemanticSynthesis:
		if len(r.LabelMap) != r.Width*r.Height {
			return mistake("a label map of %d pixels, want %dx%d", len(r.LabelMap), r.Width, r.Height)
		}
		for i, label := range r.LabelMap {
			if int(label) >= p.Labels() {
				return mistake("class %d in row %d, column %d of the label map, want 0 to %d", label, i/r.Width, i%r.Width, p.Labels()-1)
			}
		}
	}
	if r.ClipSkip != 0 {
		if n := p.skippable(); r.ClipSkip < 0 || r.ClipSkip > n {
			return mistake("%d layers of the text encoder left out, want 0 to %d", r.ClipSkip, n)
		}
	}
	return nil
}

// checkImages checks the picture to begin with and its mask.
func (p *Pipeline) checkImages(r *Request) error {
	needs := p.system.concat == concatImage || p.system.concat == concatNoisy || p.Inpaints()
	switch {
	case r.Image == nil && needs:
		return mistake("no picture to begin with, which %s needs", p.system.task)
	case r.Mask != nil && r.Image == nil:
		return mistake("a mask without a picture")
	case r.Mask == nil && p.Inpaints():
		return mistake("no mask, which says what of the picture to fill")
	case r.Image == nil:
		return nil
	}
	if size := r.Image.Bounds().Size(); size.X != r.Width || size.Y != r.Height {
		return mistake("the picture to begin with is %dx%d, want %dx%d", size.X, size.Y, r.Width, r.Height)
	}
	if m := r.Mask; m != nil && (m.Width != r.Width || m.Height != r.Height) {
		return mistake("the mask is %dx%d, want %dx%d", m.Width, m.Height, r.Width, r.Height)
	}
	if p.system.concat == concatNoisy {
		if _, _, err := sampler.NoiseAt(p.lowRes, r.NoiseLevel); err != nil {
			return &RequestError{err}
		}
	}
	if !(r.Strength > 0 && r.Strength <= 1) && !needs {
		return mistake("strength %g, want more than 0 and at most 1", r.Strength)
	}
	return nil
}

// checkLatents checks noise and latents that are given.
func (p *Pipeline) checkLatents(r *Request) error {
	height, width := p.latentSize(r)
	want := tensor.Shape{len(r.Seeds), p.LatentChannels(), height, width}
	if r.Noise != nil && !r.Noise.Shape.Equal(want) {
		return mistake("noise of shape %s, want %s", r.Noise.Shape, want)
	}
	if s := r.Start; s != nil {
		switch {
		case !s.Latents.Shape.Equal(want):
			return mistake("latents of shape %s to go on from, want %s", s.Latents.Shape, want)
		case s.Step < 1:
			return mistake("latents to go on from after %d evaluations, want at least 1", s.Step)
		case r.Image != nil && r.Mask == nil && !p.Inpaints() && p.system.task != SuperResolution:
			return mistake("both latents and a picture to begin with")
		}
	}
	return nil
}

// latentSize is the height and width of the latents of a request's pictures.
func (p *Pipeline) latentSize(r *Request) (height, width int) {
	if p.system.task == SuperResolution {
		return r.Height, r.Width
	}
	return r.Height / p.Factor(), r.Width / p.Factor()
}

// newSampler makes the sampler of a request, which begins where Strength or Start say.
func (p *Pipeline) newSampler(r *Request) (*sampler.Sampler, error) {
	options := sampler.Options{Steps: r.Steps, Eta: r.Eta, CompVis: r.Convention == CompVis}
	whole, err := sampler.New(r.Sampler, p.schedule, options)
	if err != nil {
		return nil, &RequestError{err}
	}
	switch {
	case r.Start != nil:
		if n := len(whole.Timesteps()); r.Start.Step >= n {
			return nil, mistake("latents to go on from after %d of %d evaluations, want fewer", r.Start.Step, n)
		}
		options.StartStep = r.Start.Step
	case p.changes(r) && r.Strength < 1:
		taken := int(float64(r.Steps) * r.Strength) // diffusers, get_timesteps of its image-to-image pipelines
		if taken == 0 {
			return nil, mistake("strength %g of %d steps leaves none; want at least strength %.3g", r.Strength, r.Steps, 1/float64(r.Steps))
		}
		options.StartStep = r.Steps - taken
	default:
		return whole, nil
	}
	s, err := sampler.New(r.Sampler, p.schedule, options)
	if err != nil {
		return nil, &RequestError{err}
	}
	return s, nil
}

func checkPrompt(name, text string) error {
	if len(text) > maxPromptBytes {
		return mistake("the %s has %d bytes, want at most %d", name, len(text), maxPromptBytes)
	}
	for at, r := range text {
		if r != utf8.RuneError {
			continue
		}
		if _, size := utf8.DecodeRuneInString(text[at:]); size == 1 {
			return mistake("the %s is not valid UTF-8 at byte %d", name, at)
		}
	}
	return nil
}

func (p *Pipeline) checkSide(name string, side int) error {
	multiple := p.Multiple()
	if side < multiple || side > maxSide || side%multiple != 0 {
		return mistake("%s %d, want a multiple of %d from %d to %d", name, side, multiple, multiple, maxSide)
	}
	return nil
}
