package pipeline

import (
	"image"
	"time"

	"ldm-mac/ldm/cond"
	"ldm-mac/ldm/imageio"
	"ldm-mac/ldm/rng"
	"ldm-mac/ldm/tensor"
)

// Request is everything that decides the pictures of one run.
type Request struct {
	// What to draw, of which a model reads what its Task says.
	Prompt         string
	NegativePrompt string     // what to move away from; used with guidance only
	ClipSkip       int        // last layers of the text encoder to leave out; CLIP only
	Class          int        // from 0
	Boxes          []cond.Box // objects of a layout
	LabelMap       []uint8    // [h, w], the class of each pixel

	Width, Height   int     // of the pictures in pixels; multiples of Pipeline.Multiple; for super-resolution those of Image
	Steps           int     // sampler steps
	Sampler         string  // one of sampler.Names; "" is the model's own
	GuidanceScale   float64 // weight of classifier-free guidance; exactly 1 is none
	GuidanceRescale float64 // 0 to 1: how far guided outputs get back the deviation of unguided ones
	Eta             float64 // of DDIM: 0 is deterministic, 1 as noisy as DDPM
	RNG             string  // one of rng.Names
	Seeds           []uint64
	BatchSize       int        // pictures sampled together; memory grows with it, results do not depend on it
	Convention      Convention // "" is the model's own

	// Image is what to begin with: with Strength, what to change; with Mask, what to fill a hole of; of
	// super-resolution, what to enlarge. Width x Height; nil for none.
	Image    *image.NRGBA
	Strength float64       // 0 to 1: the part of the steps that are taken from Image on; 1 keeps next to nothing of it
	Mask     *imageio.Mask // what of Image to fill, for the model cut at one half; nil for none
	// KeepUnmasked puts the pixels of Image back where Mask is 0, and in proportion where it is grey.
	KeepUnmasked bool
	NoiseLevel   int    // of super-resolution by Stable Diffusion: training steps of noise added to Image
	Start        *Start // nil: at the beginning

	Tiling Tiling       // of large pictures
	Noise  *NoiseSource // nil: drawn from the seeds

	// OnProgress, OnTensor and OnWarning may be nil.
	OnProgress func(Progress)
	// OnTensor is shown the tensors of a batch, in PyTorch's layout and valid during the call:
	// text [n, l, d] (the condition of cross-attention, where there is one), noise [n, c, h, w],
	// step.000 and so on, latents, and image [1, 3, h, w] for each picture, the decoder's output before
	// clamping.
	OnTensor  func(name string, value tensor.Array)
	OnWarning func(message string)

	tokens    []int32                                  // instead of Boxes; nil outside of tests
	generator func(picture int) (rng.Generator, error) // instead of RNG and Seeds; nil outside of tests
}

// NoiseSource replaces the noise at which sampling starts.
type NoiseSource struct{ tensor.Array } // [len(Seeds), c, h, w], standard normal

// Start makes sampling go on where another run was.
type Start struct {
	Latents tensor.Array // [len(Seeds), c, h, w], as OnTensor shows step.000 and so on
	Step    int          // evaluations that are behind them: 1 for step.000
}

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
	StageText   Stage = "text" // encoding the condition
	StageEncode Stage = "encode"
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

// RequestError is a request that no model could fulfil, or not this one: the user's mistake.
type RequestError struct{ Err error }

func (e *RequestError) Error() string { return e.Err.Error() }

// Unwrap is the mistake.
func (e *RequestError) Unwrap() error { return e.Err }
