package sampler

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// feature says which keys of a configuration the constructor of a class knows.
type feature int

const (
	clips          feature = 1 << iota // clip_sample
	thresholds                         // thresholding
	rescales                           // rescale_betas_zero_snr
	convertsSigmas                     // use_karras_sigmas, use_exponential_sigmas, use_beta_sigmas
	shapesSigmas                       // interpolation_type, timestep_type, sigma_min, sigma_max
)

// class is one of diffusers' scheduler classes.
type class struct {
	name     string
	has      feature
	defaults Config // where they differ from those of most classes, see resolve
	// plan checks the keys that only this class reads and sets the sampler's points and sigmas.
	plan func(s *Sampler) error
	// sample takes x from the first point to the end.
	sample func(r *run, x []float32) error
}

var (
	ddpmClass = &class{"DDPMScheduler", clips | thresholds | rescales,
		Config{TimestepSpacing: "leading", ClipSample: new(true)}, planDDPM, ddpm}
	ddimClass = &class{"DDIMScheduler", clips | thresholds | rescales,
		Config{TimestepSpacing: "leading", ClipSample: new(true), SetAlphaToOne: new(true)}, planDDIM, ddim}
	pndmClass = &class{"PNDMScheduler", 0,
		Config{TimestepSpacing: "leading"}, planPNDM, pndm}
	lmsClass    = &class{"LMSDiscreteScheduler", convertsSigmas, Config{}, planLMS, lms}
	eulerClass  = &class{"EulerDiscreteScheduler", rescales | convertsSigmas | shapesSigmas, Config{}, planEuler, euler}
	eulerAClass = &class{"EulerAncestralDiscreteScheduler", rescales, Config{}, planEulerAncestral, eulerAncestral}
	heunClass   = &class{"HeunDiscreteScheduler", clips | convertsSigmas,
		Config{BetaStart: new(0.00085), BetaEnd: new(0.012)}, planHeun, heun}
	kdpm2Class = &class{"KDPM2DiscreteScheduler", convertsSigmas,
		Config{BetaStart: new(0.00085), BetaEnd: new(0.012)}, planKDPM2, kdpm2}
	kdpm2AClass = &class{"KDPM2AncestralDiscreteScheduler", convertsSigmas,
		Config{BetaStart: new(0.00085), BetaEnd: new(0.012)}, planKDPM2Ancestral, kdpm2Ancestral}
	multistepClass = &class{"DPMSolverMultistepScheduler", thresholds | rescales | convertsSigmas,
		Config{SolverType: "midpoint"}, planMultistep, dpmMultistep}
	singlestepClass = &class{"DPMSolverSinglestepScheduler", thresholds | convertsSigmas,
		Config{SolverType: "midpoint", LowerOrderFinal: new(false)}, planSinglestep, dpmSinglestep}
	unipcClass = &class{"UniPCMultistepScheduler", thresholds | rescales | convertsSigmas,
		Config{SolverType: "bh2"}, planUniPC, unipc}
	deisClass = &class{"DEISMultistepScheduler", thresholds | convertsSigmas,
		Config{SolverType: "logrho"}, planDEIS, deis}
	lcmClass = &class{"LCMScheduler", clips | thresholds | rescales,
		Config{TimestepSpacing: "leading", BetaStart: new(0.00085), BetaEnd: new(0.012),
			BetaSchedule: "scaled_linear", SetAlphaToOne: new(true)}, planLCM, lcm}
)

// named is a sampler as users know it: a class and what its name says about the configuration.
type named struct {
	name, about string
	class       *class
	fix         func(*Config) // nil where the class says it all
}

// samplers lists a class's plain name first: FromClass takes the first.
var samplers = []named{
	{"ddim", "denoising diffusion implicit models (Song et al. 2020, arXiv:2010.02502)", ddimClass, nil},
	{"plms", "pseudo linear multistep, started by improved Euler (Liu et al. 2022, arXiv:2202.09778)", pndmClass,
		func(c *Config) { c.SkipPRKSteps = new(true) }},
	{"pndm", "pseudo linear multistep, started by Runge-Kutta (Liu et al. 2022, arXiv:2202.09778)", pndmClass,
		func(c *Config) { c.SkipPRKSteps = new(false) }},
	{"ddpm", "ancestral sampling of the training process (Ho et al. 2020, arXiv:2006.11239)", ddpmClass, nil},
	{"euler", "Euler's method (Karras et al. 2022, arXiv:2206.00364, algorithm 2)", eulerClass, nil},
	{"euler_a", "Euler's method with ancestral noise (k-diffusion)", eulerAClass, nil},
	{"heun", "Heun's method, two evaluations a step (Karras et al. 2022, arXiv:2206.00364, algorithm 1)", heunClass, nil},
	{"lms", "linear multistep of order 4 (k-diffusion)", lmsClass, nil},
	{"dpm2", "DPM-Solver-2 in sigma, two evaluations a step (Karras et al. 2022 and Lu et al. 2022)", kdpm2Class, nil},
	{"dpm2_a", "DPM-Solver-2 in sigma with ancestral noise, two evaluations a step (k-diffusion)", kdpm2AClass, nil},
	{"dpmpp_2m", "DPM-Solver++ 2M, multistep (Lu et al. 2022, arXiv:2211.01095)", multistepClass,
		func(c *Config) { c.AlgorithmType, c.SolverOrder = "dpmsolver++", new(2) }},
	{"dpmpp_2m_sde", "DPM-Solver++ 2M of the stochastic equation (Lu et al. 2022, arXiv:2211.01095)", multistepClass,
		func(c *Config) { c.AlgorithmType, c.SolverOrder = "sde-dpmsolver++", new(2) }},
	{"dpmpp_3m", "DPM-Solver++ 3M, multistep of order 3 (Lu et al. 2022, arXiv:2211.01095)", multistepClass,
		func(c *Config) { c.AlgorithmType, c.SolverOrder = "dpmsolver++", new(3) }},
	{"dpmpp_2s", "DPM-Solver++ 2S, single-step (Lu et al. 2022, arXiv:2211.01095)", singlestepClass,
		func(c *Config) { c.AlgorithmType, c.SolverOrder = "dpmsolver++", new(2) }},
	{"unipc", "unified predictor-corrector (Zhao et al. 2023, arXiv:2302.04867)", unipcClass, nil},
	{"deis", "exponential integrator, multistep (Zhang and Chen 2022, arXiv:2204.13902)", deisClass, nil},
	{"lcm", "latent consistency, for models distilled for it (Luo et al. 2023, arXiv:2310.04378)", lcmClass, nil},
}

// conversions are the suffixes that choose how the noise levels are spread.
var conversions = []struct {
	suffix, about string
	set           func(*Config)
}{
	{"_karras", "Karras sigmas", func(c *Config) { c.UseKarrasSigmas = true }},
	{"_exponential", "exponential sigmas", func(c *Config) { c.UseExponentialSigmas = true }},
	{"_beta", "beta sigmas", func(c *Config) { c.UseBetaSigmas = true }},
}

// Names lists the samplers in the order of a help text. Those whose noise levels can be spread
// otherwise (all but ddim, plms, pndm, ddpm, euler_a and lcm) are also known with the suffixes
// _karras, _exponential and _beta, as in dpmpp_2m_karras.
func Names() []string {
	names := make([]string, len(samplers))
	for i, n := range samplers {
		names[i] = n.name
	}
	return names
}

// Describe says in a line what the named sampler computes and where it was published, or is
// empty for a name that New does not know.
func Describe(name string) string {
	n, _, ok := lookup(name)
	if !ok {
		return ""
	}
	return n.about
}

// FromClass is the listed name of a diffusers class (the _class_name of a configuration); ok is
// false for a class that is not supported.
func FromClass(className string) (name string, ok bool) {
	for _, n := range samplers {
		if n.class.name == className {
			return n.name, true
		}
	}
	return "", false
}

// lookup finds a listed name, with or without a suffix, and how it changes a configuration.
func lookup(name string) (n named, change func(*Config), ok bool) {
	fix := func(c *Config) {
		if n.fix != nil {
			n.fix(c)
		}
	}
	find := func(name string) bool {
		i := slices.IndexFunc(samplers, func(n named) bool { return n.name == name })
		if i >= 0 {
			n = samplers[i]
		}
		return i >= 0
	}
	if find(name) {
		return n, fix, true
	}
	for _, conversion := range conversions {
		base, cut := strings.CutSuffix(name, conversion.suffix)
		if cut && find(base) && n.class.has&convertsSigmas != 0 {
			n.name, n.about = name, n.about+", "+conversion.about
			return n, func(c *Config) {
				fix(c)
				c.UseKarrasSigmas, c.UseExponentialSigmas, c.UseBetaSigmas, c.UseLuLambdas = false, false, false, false
				conversion.set(c)
			}, true
		}
	}
	return named{}, nil, false
}

// choose is the sampler of the given name, or for "" the class that cfg names, exactly as cfg
// configures it.
func choose(name string, cfg Config) (named, Config, error) {
	if name != "" {
		n, change, ok := lookup(name)
		if !ok {
			return named{}, cfg, fmt.Errorf("sampler: unknown sampler %q, want one of %s", name, strings.Join(Names(), ", "))
		}
		change(&cfg)
		return n, cfg, nil
	}
	for _, n := range samplers {
		if n.class.name == cfg.ClassName {
			return own(n, cfg), cfg, nil
		}
	}
	return named{}, cfg, fmt.Errorf("sampler: the model's own scheduler %q is not supported; choose one of %s",
		cfg.ClassName, strings.Join(Names(), ", "))
}

// own finds the listed name that says what cfg configures; where none says all of it, that is the
// first of the class.
func own(first named, cfg Config) named {
	cfg = first.class.resolve(cfg)
	says := func(change func(*Config)) bool {
		changed := cfg
		change(&changed)
		return reflect.DeepEqual(changed, cfg)
	}
	n := first
	for _, candidate := range samplers {
		if candidate.class == first.class && (candidate.fix == nil || says(candidate.fix)) {
			n = candidate
			break
		}
	}
	for _, conversion := range conversions {
		if says(conversion.set) {
			n.name += conversion.suffix
		}
	}
	return n
}
