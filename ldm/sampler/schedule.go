package sampler

import (
	"fmt"
	"math"
	"sort"
)

// noiseSchedule returns ᾱ, the fraction of signal variance left at each training step
// (Ho et al. 2020, section 2), of a resolved configuration. It has the precision of float32, as
// the buffers of diffusers and CompVis have; at the first steps that moves 1-ᾱ visibly.
func noiseSchedule(cfg Config) ([]float64, error) {
	betas, err := betaSchedule(cfg)
	if err != nil {
		return nil, err
	}
	alphaBar := make([]float64, len(betas))
	product, before := 1.0, 1.0
	for i, beta := range betas {
		product *= float64(float32(1 - float64(float32(beta))))
		alphaBar[i] = float64(float32(product))
		if !(beta > 0 && beta < 1 && alphaBar[i] < before) {
			return nil, fmt.Errorf("sampler: beta %v at training step %d, want more than 1e-7 and less than 1", beta, i)
		}
		before = alphaBar[i]
	}
	// Below this float32 holds no more of the signal.
	if product < 0x1p-126 {
		return nil, fmt.Errorf("sampler: the betas leave a signal variance of %.2g at the last training step, want more than %.2g", product, 0x1p-126)
	}
	if cfg.RescaleBetasZeroSNR {
		rescaleZeroSNR(alphaBar)
	}
	return alphaBar, nil
}

// betaSchedule returns the variances added at each training step (diffusers: the constructors of
// the schedulers; CompVis' make_beta_schedule calls scaled_linear "linear").
func betaSchedule(cfg Config) ([]float64, error) {
	n, start, end := *cfg.NumTrainTimesteps, *cfg.BetaStart, *cfg.BetaEnd
	if cfg.TrainedBetas != nil {
		if len(cfg.TrainedBetas) != n {
			return nil, fmt.Errorf("sampler: trained_betas has %d values, want num_train_timesteps = %d", len(cfg.TrainedBetas), n)
		}
		return cfg.TrainedBetas, nil
	}
	if err := oneOf("beta_schedule", cfg.BetaSchedule, "linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid", "exp"); err != nil {
		return nil, err
	}
	if !(start > 0 && start < 1 && end > 0 && end < 1) {
		return nil, fmt.Errorf("sampler: beta_start %v and beta_end %v, want both more than 0 and less than 1", start, end)
	}
	betas := make([]float64, n)
	for i := range betas {
		switch cfg.BetaSchedule {
		case "linear":
			betas[i] = lerp(start, end, i, n)
		case "scaled_linear":
			root := lerp(math.Sqrt(start), math.Sqrt(end), i, n)
			betas[i] = root * root
		case "sigmoid":
			betas[i] = (end-start)/(1+math.Exp(-lerp(-6, 6, i, n))) + start
		case "squaredcos_cap_v2":
			betas[i] = betaOf(cosine, i, n)
		case "exp":
			betas[i] = betaOf(func(t float64) float64 { return math.Exp(-12 * t) }, i, n)
		}
	}
	return betas, nil
}

// cosine is ᾱ of Nichol and Dhariwal (2021), equation 17, without its normalisation.
func cosine(t float64) float64 {
	c := math.Cos((t + 0.008) / 1.008 * math.Pi / 2)
	return c * c
}

// betaOf is the variance of step i of n that gives a continuous ᾱ, capped as in Nichol and
// Dhariwal (2021), section 3.2.
func betaOf(alphaBar func(t float64) float64, i, n int) float64 {
	return min(1-alphaBar(float64(i+1)/float64(n))/alphaBar(float64(i)/float64(n)), 0.999)
}

// rescaleZeroSNR shifts and scales √ᾱ so that the last step is pure noise (Lin et al. 2023,
// arXiv:2305.08891, algorithm 1).
func rescaleZeroSNR(alphaBar []float64) {
	first, last := math.Sqrt(alphaBar[0]), math.Sqrt(alphaBar[len(alphaBar)-1])
	for i, a := range alphaBar {
		root := (math.Sqrt(a) - last) * first / (first - last)
		alphaBar[i] = root * root
	}
}

// lerp is the i-th of n numbers from a to b.
func lerp(a, b float64, i, n int) float64 {
	if n == 1 {
		return a
	}
	return a + (b-a)*float64(i)/float64(n-1)
}

// ratio is the standard deviation of the noise over that of the signal.
func ratio(alphaBar float64) float64 { return math.Sqrt((1 - alphaBar) / alphaBar) }

// spaced returns n descending time steps of timestep_spacing (Lin et al. 2023, table 2). They
// are the first n of points of linspace and leading spacing; below last lie all of them.
func spaced(cfg Config, n, points, last int) []float64 {
	times := make([]float64, n)
	switch cfg.TimestepSpacing {
	case "linspace":
		for i := range times {
			times[i] = lerp(0, float64(last-1), points-1-i, points)
		}
	case "leading":
		for i := range times {
			times[i] = float64((points-1-i)*(last/points) + cfg.StepsOffset)
		}
	case "trailing":
		stride := float64(*cfg.NumTrainTimesteps) / float64(n)
		for i := range times {
			times[i] = math.RoundToEven(float64(last)-float64(i)*stride) - 1
			if times[i] < 0 { // lambda_min_clipped leaves room for fewer
				return times[:i]
			}
		}
	}
	return times
}

// round makes whole numbers of times, halves to even as numpy does.
func round(times []float64) {
	for i, t := range times {
		times[i] = math.RoundToEven(t)
	}
}

// checkTimes is an error unless the time steps descend within the training steps.
func checkTimes(cfg Config, times []float64) error {
	n := *cfg.NumTrainTimesteps
	for i, t := range times {
		if !(t >= 0 && t <= float64(n-1)) {
			return fmt.Errorf("sampler: time step %v lies outside of the %d training steps 0 to %d; ask for fewer steps", t, n, n-1)
		}
		if i > 0 && !(t < times[i-1]) {
			return fmt.Errorf("sampler: time step %v follows %v, want a smaller one; ask for fewer steps", t, times[i-1])
		}
	}
	return nil
}

// table is a function known at 0, 1, 2 and so on.
type table []float64

// at interpolates linearly; t lies within the table.
func (f table) at(t float64) float64 {
	low := min(int(t), len(f)-2)
	w := t - float64(low)
	return (1-w)*f[low] + w*f[low+1]
}

// inverse is the place between 0 and len(f)-1 where an ascending f reaches y.
func (f table) inverse(y float64) float64 {
	low := sort.Search(len(f), func(i int) bool { return f[i] > y }) - 1
	low = max(0, min(low, len(f)-2))
	w := (y - f[low]) / (f[low+1] - f[low])
	return float64(low) + max(0, min(w, 1))
}

// NoiseAt is how much of the signal and of the noise a picture has at whole training step t of a
// configuration: x = alpha·x₀ + sigma·noise. It fails for a step outside of those of training.
func NoiseAt(cfg Config, t int) (alpha, sigma float64, err error) {
	_, cfg, err = choose("ddpm", cfg)
	if err != nil {
		return 0, 0, err
	}
	cfg = ddpmClass.resolve(cfg)
	if err := cfg.validate(); err != nil {
		return 0, 0, err
	}
	alphaBar, err := noiseSchedule(cfg)
	if err != nil {
		return 0, 0, err
	}
	if t < 0 || t >= len(alphaBar) {
		return 0, 0, fmt.Errorf("sampler: training step %d, want 0 to %d", t, len(alphaBar)-1)
	}
	p := pointOf(float64(t), alphaBar[t])
	return p.alpha, p.sigma, nil
}
