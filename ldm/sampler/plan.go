package sampler

import (
	"fmt"
	"math"
)

// This file makes the three kinds of schedules: of samplers that read ᾱ at whole time steps, of
// those that work on noise levels, and of the exponential integrators between the two.

// times returns the user's time steps, or those of the configuration's spacing, see spaced, in
// whole numbers if whole says so.
func (s *Sampler) times(points, last int, whole bool) []float64 {
	if s.opt.Timesteps != nil {
		return s.opt.Timesteps
	}
	if s.opt.CompVis {
		return compVisTimes(*s.cfg.NumTrainTimesteps, s.opt.Steps)
	}
	times := spaced(s.cfg, s.opt.Steps, points, last)
	if whole {
		round(times)
	}
	return times
}

// tableTimes makes base of a sampler that reads ᾱ.
func (s *Sampler) tableTimes() error {
	s.base = s.times(s.opt.Steps, *s.cfg.NumTrainTimesteps, true)
	return s.checkWhole(s.base)
}

// checkWhole is an error unless times descend within the training steps and are whole numbers.
func (s *Sampler) checkWhole(times []float64) error {
	if err := checkTimes(s.cfg, times); err != nil {
		return err
	}
	for _, t := range times {
		if t != math.Trunc(t) {
			return fmt.Errorf("sampler: time step %v, want a whole number for %s", t, s.name)
		}
	}
	return nil
}

// setPoints evaluates the network at times, the first of them at index first.
func (s *Sampler) setPoints(times []float64, first int) error {
	for _, t := range times {
		s.points = append(s.points, pointOf(t, s.alphaBar[int(t)]))
	}
	s.first = first
	for _, p := range s.points[first:] {
		if p.alpha == 0 && s.cfg.PredictionType == "epsilon" {
			return fmt.Errorf("sampler: no signal is left at time step %v (rescale_betas_zero_snr), so prediction_type epsilon determines nothing there; start later or use a v_prediction model", p.t)
		}
	}
	return nil
}

// alphaBarAt is ᾱ at whole time step t, which may lie before the first.
func (s *Sampler) alphaBarAt(t float64) float64 {
	switch {
	case t >= 0:
		return s.alphaBar[int(t)]
	case *s.cfg.SetAlphaToOne:
		return 1
	}
	return s.alphaBar[0]
}

// stride is how far a step goes where diffusers does not look at the next time step.
func (s *Sampler) stride() float64 {
	return float64(*s.cfg.NumTrainTimesteps / s.opt.Steps)
}

// next is the time step where step i of base ends; negative after the last.
func (s *Sampler) next(i int) float64 {
	switch {
	case s.opt.Timesteps == nil:
		return s.base[i] - s.stride()
	case i+1 < len(s.base):
		return s.base[i+1]
	}
	return -1
}

// measureLevels makes the noise levels of the training steps.
func (s *Sampler) measureLevels() {
	if s.cfg.RescaleBetasZeroSNR {
		// An infinite level is none; diffusers takes the smallest ᾱ of float16.
		s.alphaBar[len(s.alphaBar)-1] = 0x1p-24
	}
	s.levels = levelsOf(s.alphaBar)
}

// explodingLevels makes the levels of a sampler in units of x/α, with zero after the last, and
// their time steps.
func (s *Sampler) explodingLevels() (times []float64, err error) {
	s.exploding = true
	s.measureLevels()
	times = s.times(s.opt.Steps, *s.cfg.NumTrainTimesteps, false)
	if err := checkTimes(s.cfg, times); err != nil {
		return nil, err
	}
	n, even := len(times), s.cfg.InterpolationType == "log_linear" && s.opt.Timesteps == nil
	if even { // only Euler knows it: one level too many, so that the last step does not end at zero
		n++
	}
	s.sigmas = make([]float64, n, n+1)
	for i := range s.sigmas {
		if even {
			s.sigmas[i] = math.Exp(lerp(math.Log(s.levels.max()), math.Log(s.levels.min()), i, n))
		} else {
			s.sigmas[i] = s.levels.sigmas.at(times[i])
		}
	}
	if s.cfg.converts() {
		lo, hi := *or(s.cfg.SigmaMin, s.sigmas[n-1]), *or(s.cfg.SigmaMax, s.sigmas[0])
		s.sigmas = s.cfg.convert(lo, hi, len(times))
		times = s.levels.timesOf(s.sigmas)
	}
	s.sigmas = append(s.sigmas, 0)
	return times, checkSigmas(s.sigmas)
}

// onePointEach makes the points of a sampler that evaluates the network once a step.
func (s *Sampler) onePointEach(times []float64) {
	for i, t := range times {
		s.points = append(s.points, pointAt(t, s.sigmas[i]))
	}
	s.first = s.opt.StartStep
}

// integratorLevels makes the levels of DPM-Solver, UniPC and DEIS, without the last, and whole
// time steps below last. Times of Karras and Lu levels are rounded unless cut says otherwise, those
// of exponential and beta levels cut off.
func (s *Sampler) integratorLevels(last int, cut bool) error {
	spread := s.cfg
	if s.cfg.UseLuLambdas && !s.cfg.converts() {
		spread.UseExponentialSigmas = true // Lu et al. 2022, arXiv:2206.00927: even log-SNR
	}
	var times []float64
	if spread.converts() {
		s.sigmas = spread.convert(s.levels.min(), s.levels.max(), s.opt.Steps)
		times = s.levels.timesOf(s.sigmas)
		cut = cut || s.cfg.UseExponentialSigmas || s.cfg.UseBetaSigmas
		for i, t := range times {
			if cut {
				const slack = 1e-6 // the ends are whole numbers but for rounding
				times[i] = math.Floor(t + slack)
			} else {
				times[i] = math.RoundToEven(t)
			}
		}
	} else {
		times = s.times(s.opt.Steps+1, last, true)
		if err := s.checkWhole(times); err != nil {
			return err
		}
		for _, t := range times {
			s.sigmas = append(s.sigmas, s.levels.sigmas.at(t))
		}
	}
	if s.opt.StartStep >= len(times) {
		return fmt.Errorf("sampler: start at step %d, but lambda_min_clipped leaves %d steps", s.opt.StartStep, len(times))
	}
	s.onePointEach(times)
	return nil
}

// endAt appends the last level.
func (s *Sampler) endAt(sigma float64) error {
	s.sigmas = append(s.sigmas, sigma)
	return checkSigmas(s.sigmas)
}
