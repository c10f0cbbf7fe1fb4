package sampler

import "math"

func planKDPM2(s *Sampler) error {
	return s.midpoints(func(sigma, next float64) float64 { return next })
}

func planKDPM2Ancestral(s *Sampler) error {
	s.stochastic = true
	return s.midpoints(func(sigma, next float64) float64 {
		down, _ := ancestral(sigma, next)
		return down
	})
}

// midpoints makes levels and points with an evaluation halfway, in log σ, to where each
// deterministic step ends.
func (s *Sampler) midpoints(end func(sigma, next float64) float64) error {
	if s.cfg.PredictionType == "sample" {
		return oneOf("prediction_type", s.cfg.PredictionType, "epsilon", "v_prediction")
	}
	times, err := s.explodingLevels()
	if err != nil {
		return err
	}
	if s.cfg.UseKarrasSigmas {
		round(times)
	}
	for i, t := range times {
		if i > 0 {
			middle := math.Sqrt(s.sigmas[i-1] * end(s.sigmas[i-1], s.sigmas[i]))
			s.points = append(s.points, pointAt(s.levels.timeOf(middle), middle))
		}
		s.points = append(s.points, pointAt(t, s.sigmas[i]))
	}
	s.first = 2 * s.opt.StartStep
	return nil
}

// kdpm2 implements sample_dpm_2 of k-diffusion: algorithm 2 of Karras et al. (2022) with the
// midpoint of DPM-Solver-2 (Lu et al. 2022, arXiv:2206.00927). The last step is one of Euler.
func kdpm2(r *run, x []float32) error {
	return r.midpointSteps(x, func(sigma, next float64) (down, up float64) { return next, 0 })
}

// kdpm2Ancestral implements sample_dpm_2_ancestral of k-diffusion.
func kdpm2Ancestral(r *run, x []float32) error { return r.midpointSteps(x, ancestral) }

func (r *run) midpointSteps(x []float32, split func(sigma, next float64) (down, up float64)) error {
	begin, d := make([]float32, len(x)), make([]float32, len(x))
	for i := r.first; i < len(r.points); i += 2 {
		sigma, middle := r.sigmas[i/2], 0.0
		if i+1 < len(r.points) {
			middle = r.points[i+1].sigma / r.points[i+1].alpha
		}
		if err := r.denoise(x, i, d); err != nil {
			return err
		}
		copy(begin, x)
		mix(x, term{middle / sigma, x}, term{1 - middle/sigma, d})
		if err := r.step(i, x); err != nil || middle == 0 {
			return err
		}
		if err := r.denoise(x, i+1, d); err != nil {
			return err
		}
		down, up := split(sigma, r.sigmas[i/2+1])
		slope := (down - sigma) / middle
		mix(x, term{1, begin}, term{slope, x}, term{-slope, d})
		if r.stochastic {
			mix(x, term{1, x}, term{up, r.draw()})
		}
		if err := r.step(i+1, x); err != nil {
			return err
		}
	}
	return nil
}
