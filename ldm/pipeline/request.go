package pipeline

import (
	"fmt"
	"image"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"ldm-mac/ldm/rng"
	"ldm-mac/ldm/sampler"
	"ldm-mac/ldm/tensor"
)

// Request is everything that decides the pictures of one run.
type Request struct {
	Prompt         string
	NegativePrompt string  // what to move away from; used with guidance only
	Width, Height  int     // of the pictures in pixels; multiples of Pipeline.Factor
	Steps          int     // sampler steps
	Sampler        string  // one of sampler.Names; "" is the model's own
	GuidanceScale  float64 // weight of classifier-free guidance; exactly 1 is none
	Eta            float64 // of DDIM: 0 is deterministic, 1 as noisy as DDPM
	RNG            string  // one of rng.Names
	Seeds          []uint64
	BatchSize      int          // pictures sampled together; memory grows with it, results do not depend on it
	Noise          *NoiseSource // nil: drawn from the seeds

	// OnProgress, OnTensor and OnWarning may be nil.
	OnProgress func(Progress)
	// OnTensor is shown the tensors of a batch, in PyTorch's layout and valid during the call:
	// text [n, l, d], noise [n, c, h, w], step.000 and so on, latents, and image [1, 3, h, w] for
	// each picture, the decoder's output before clamping.
	OnTensor  func(name string, value tensor.Array)
	OnWarning func(message string)
}

// NoiseSource replaces the noise at which sampling starts.
type NoiseSource struct{ tensor.Array } // [len(Seeds), c, h, w], standard normal

// Picture is one result.
type Picture struct {
	Index int // in Request.Seeds
	Seed  uint64
	Image *image.NRGBA
}

// Stage is a part of the work.
type Stage string

// The stages in their order; sampling and decoding alternate between batches.
const (
	StageLoad   Stage = "load" // reading and preparing weights
	StageText   Stage = "text"
	StageSample Stage = "sample"
	StageDecode Stage = "decode"
)

// Progress says how far the work is.
type Progress struct {
	Stage          Stage
	Picture, Count int // pictures finished or begun before this batch, and all
	Step, Steps    int // network evaluations done and needed for this batch, in StageSample
}

// Timings is the time spent in each stage.
type Timings map[Stage]time.Duration

// maxPromptBytes bounds prompts: thousands of times what any text encoder reads.
const maxPromptBytes = 64 << 10

// maxSide bounds the sides of a picture in pixels.
const maxSide = 8192

// RequestError is a request that no model could fulfil, or not this one: the user's mistake.
type RequestError struct{ Err error }

func (e *RequestError) Error() string { return e.Err.Error() }

// Unwrap is the mistake.
func (e *RequestError) Unwrap() error { return e.Err }

func mistake(format string, args ...any) error {
	return &RequestError{fmt.Errorf(format, args...)}
}

// check reports the first mistake in r for this model, and makes the sampler it asks for.
func (p *Pipeline) check(r *Request) (*sampler.Sampler, error) {
	for _, err := range []error{
		checkPrompt("prompt", r.Prompt), checkPrompt("negative prompt", r.NegativePrompt),
		p.checkSide("width", r.Width), p.checkSide("height", r.Height),
	} {
		if err != nil {
			return nil, err
		}
	}
	if math.IsNaN(r.GuidanceScale) || math.Abs(r.GuidanceScale) > 1000 {
		return nil, mistake("guidance scale %g, want a number from -1000 to 1000", r.GuidanceScale)
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
	if r.Noise != nil {
		want := tensor.Shape{len(r.Seeds), p.vae.config.LatentChannels, r.Height / p.Factor(), r.Width / p.Factor()}
		if !r.Noise.Shape.Equal(want) {
			return nil, mistake("noise of shape %s, want %s", r.Noise.Shape, want)
		}
	}
	s, err := sampler.New(r.Sampler, p.schedule, sampler.Options{Steps: r.Steps, Eta: r.Eta})
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
	if factor := p.Factor(); side < factor || side > maxSide || side%factor != 0 {
		return mistake("%s %d, want a multiple of %d from %d to %d", name, side, factor, factor, maxSide)
	}
	return nil
}
