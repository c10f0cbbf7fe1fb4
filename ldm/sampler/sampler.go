// Package sampler turns noise into latents by the methods of the diffusion literature: given a
// network that estimates the noise in x, each takes x down a schedule of noise levels.
//
// The one idea is k-diffusion's: a sampler is a function of a denoiser D(x, t), which estimates
// the clean x₀, and of a schedule; its history is made of local variables, and every update is a
// linear combination. The fourteen scheduler classes of diffusers 0.35
// (src/diffusers/schedulers) are reproduced: their configuration, their time steps and noise
// levels, and x after every evaluation.
//
// Two kinds of units for x exist. DDIM, DDPM, PNDM, LCM, DPM-Solver, UniPC and DEIS keep the
// variance that the network expects, x = αx₀ + σε with α²+σ² = 1. Euler, Heun, LMS and DPM2
// work on x/α = x₀ + (σ/α)ε and scale it down at each evaluation.
package sampler

import (
	"fmt"
	"math"
	"slices"
)

// Model evaluates the network at training step t, which may have a fraction, and writes its
// output, of the kind Config.PredictionType, to out of the same length. x has been multiplied by
// scale already (1 but for Euler, Heun, LMS and DPM2); what is concatenated to x has to be scaled
// too where diffusers passes it through scale_model_input. The model neither changes nor keeps x.
type Model func(x []float32, t, scale float64, out []float32) error

// Noise fills z with independent standard normal numbers: one call for each draw, in the order
// in which diffusers draws.
type Noise func(z []float32)

// OnStep is told of evaluation i of n (from 0) at training step t after x has been moved by it;
// inside a two-evaluation step that is the intermediate x. It may change x, for instance to keep
// the known part of a picture. An error ends the sampling and is returned as it is.
type OnStep func(i, n int, t float64, x []float32) error

// Options is what a user asks for besides the sampler.
type Options struct {
	Steps     int       // number of steps; 0 where Timesteps is given
	Timesteps []float64 // descending training steps instead of those of the configuration, or nil
	StartStep int       // steps left out at the beginning, for a start from a noised picture
	Eta       float64   // DDIM: 0 is deterministic, 1 as noisy as DDPM
	Order     int       // LMS: number of evaluations combined, 1 to 4; 0 means 4
	Churn     Churn     // Euler
	CompVis   bool      // ddim and plms: as the samplers of CompVis/latent-diffusion, see compVis
}

// Churn adds noise before each step (Karras et al. 2022, arXiv:2206.00364, algorithm 2). The
// zero value adds none.
type Churn struct {
	S          float64 // S_churn, shared out over all steps
	TMin, TMax float64 // noise levels σ between which it is added; TMax 0 means no upper limit
	Noise      float64 // S_noise, factor on the standard deviation; 0 means 1
}

// point is one evaluation of the network: there x = alpha·x₀ + sigma·noise in units of variance 1.
type point struct{ t, alpha, sigma float64 }

func pointOf(t, alphaBar float64) point {
	return point{t, math.Sqrt(alphaBar), math.Sqrt(1 - alphaBar)}
}

// pointAt is the point whose noise is sigma times its signal.
func pointAt(t, sigma float64) point {
	alpha := 1 / math.Sqrt(sigma*sigma+1)
	return point{t, alpha, sigma * alpha}
}

// Sampler is a method with its schedule. It is not changed by use and may serve several
// goroutines.
type Sampler struct {
	name     string
	class    *class
	cfg      Config // resolved
	opt      Options
	alphaBar []float64 // of the training steps
	levels   noiseLevels

	points     []point   // one for each evaluation, those before the start included
	first      int       // index in points of the first evaluation
	sigmas     []float64 // noise over signal before each step and after the last; nil for those that read ᾱ
	base       []float64 // time steps of those that read ᾱ, from the noisiest down
	exploding  bool      // x is in units of x/α
	stochastic bool
}

// New makes the named sampler (see Names) for a model with the given configuration. The name ""
// stands for the class that cfg.ClassName names, configured exactly as cfg says; any other name
// takes from cfg what its class knows, as diffusers' from_config does. Options and
// configurations that cannot give finite results are errors.
func New(name string, cfg Config, opt Options) (*Sampler, error) {
	n, cfg, err := choose(name, cfg)
	if err != nil {
		return nil, err
	}
	cfg = n.class.resolve(cfg)
	if opt.CompVis = opt.CompVis && n.class.compVis(cfg); opt.CompVis {
		cfg.SetAlphaToOne = new(false)
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Sampler{name: n.name, class: n.class, cfg: cfg}
	if s.opt, err = opt.check(n, cfg); err != nil {
		return nil, err
	}
	if s.alphaBar, err = noiseSchedule(cfg); err != nil {
		return nil, err
	}
	if err := n.class.plan(s); err != nil {
		return nil, err
	}
	return s, nil
}

// check returns the options with their defaults filled in.
func (o Options) check(n named, cfg Config) (Options, error) {
	train := *cfg.NumTrainTimesteps
	if o.Timesteps != nil {
		switch {
		case o.Steps != 0 && o.Steps != len(o.Timesteps):
			return o, fmt.Errorf("sampler: %d steps and %d time steps, want one of the two", o.Steps, len(o.Timesteps))
		case cfg.converts() || cfg.UseLuLambdas:
			return o, fmt.Errorf("sampler: time steps cannot be given where Karras, exponential, beta or Lu spacing makes them")
		}
		if err := checkTimes(cfg, o.Timesteps); err != nil {
			return o, err
		}
		o.Timesteps, o.Steps = slices.Clone(o.Timesteps), len(o.Timesteps)
	}
	switch {
	case o.Steps < 1 || o.Steps > train:
		return o, fmt.Errorf("sampler: %d steps, want 1 to %d, the number of training steps", o.Steps, train)
	case o.StartStep < 0 || o.StartStep >= o.Steps:
		return o, fmt.Errorf("sampler: start at step %d, want 0 to %d", o.StartStep, o.Steps-1)
	case o.Eta != 0 && n.class != ddimClass:
		return o, fmt.Errorf("sampler: eta %v means nothing to %s, want 0; ddim uses it", o.Eta, n.name)
	case o.Order != 0 && n.class != lmsClass:
		return o, fmt.Errorf("sampler: order %d means nothing to %s, want 0; lms uses it", o.Order, n.name)
	case o.Churn != Churn{} && n.class != eulerClass:
		return o, fmt.Errorf("sampler: churn means nothing to %s; euler uses it", n.name)
	}
	if o.Order == 0 {
		o.Order = 4
	}
	if o.Churn.Noise == 0 {
		o.Churn.Noise = 1
	}
	if o.Churn.TMax == 0 {
		o.Churn.TMax = math.Inf(1)
	}
	const huge = 1e6
	for _, err := range []error{
		within("eta", o.Eta, 0, 1),
		within("order", float64(o.Order), 1, 4),
		within("churn", o.Churn.S, 0, huge),
		within("churn noise", o.Churn.Noise, 0, huge),
		within("churn from sigma", o.Churn.TMin, 0, huge),
		within("churn to sigma", o.Churn.TMax, 0, math.Inf(1)),
	} {
		if err != nil {
			return o, err
		}
	}
	return o, nil
}

// Name is the listed name of the sampler, with its suffix; of a model's own scheduler it is the
// nearest.
func (s *Sampler) Name() string { return s.name }

// Stochastic says whether Sample draws noise.
func (s *Sampler) Stochastic() bool { return s.stochastic }

// Timesteps returns the training step of every evaluation from StartStep on; its length is the n
// that OnStep is told.
func (s *Sampler) Timesteps() []float64 { return timesOf(s.points[s.first:]) }

// AllTimesteps are the training steps of a run that leaves out none at the beginning, regardless of
// StartStep.
func (s *Sampler) AllTimesteps() []float64 { return timesOf(s.points) }

func timesOf(points []point) []float64 {
	times := make([]float64, 0, len(points))
	for _, p := range points {
		times = append(times, p.t)
	}
	return times
}

// Sigmas returns the noise level, as a ratio to the signal, before each step and after the last,
// regardless of StartStep; nil for DDIM, DDPM, PNDM and LCM. The caller must not change it.
func (s *Sampler) Sigmas() []float64 { return s.sigmas }

// InitNoiseSigma is the factor that makes standard normal numbers the x of a full run (diffusers:
// init_noise_sigma).
func (s *Sampler) InitNoiseSigma() float64 {
	switch {
	case !s.exploding:
		return 1
	case s.cfg.TimestepSpacing == "leading":
		return math.Sqrt(s.sigmas[0]*s.sigmas[0] + 1)
	}
	return s.sigmas[0]
}

// AddNoise changes clean latents x to what evaluation i, counted as OnStep counts, finds when its
// noise is the given one of the same length. At i = len(Timesteps()) x stays clean.
func (s *Sampler) AddNoise(x, noise []float32, i int) {
	p := point{alpha: 1}
	if at := s.first + i; at < len(s.points) {
		p = s.points[at]
	}
	if s.exploding {
		p.alpha, p.sigma = 1, p.sigma/p.alpha
	}
	mix(x, term{p.alpha, x}, term{p.sigma, noise})
}

// Sample takes x in place from the noise of the first evaluation to clean latents. x holds
// images latents of equal length one after the other, which never influence each other. noise
// may be nil unless Stochastic, onStep always.
func (s *Sampler) Sample(x []float32, images int, model Model, noise Noise, onStep OnStep) error {
	if images < 1 || len(x) == 0 || len(x)%images != 0 {
		return fmt.Errorf("sampler: %d numbers for %d images, want the same number for each", len(x), images)
	}
	if s.stochastic && noise == nil {
		return fmt.Errorf("sampler: %s draws noise, and no source of noise is given", s.name)
	}
	r := &run{Sampler: s, model: model, noise: noise, onStep: onStep, perImage: len(x) / images}
	r.out = make([]float32, len(x))
	if s.exploding {
		r.in = make([]float32, len(x))
	}
	if s.stochastic {
		r.z = make([]float32, len(x))
	}
	if s.cfg.Thresholding {
		r.magnitudes = make([]float32, r.perImage)
	}
	return s.class.sample(r, x)
}
