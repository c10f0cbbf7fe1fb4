package sampler

import (
	"fmt"
	"math"
)

func planEuler(s *Sampler) error {
	s.stochastic = s.opt.Churn.S > 0
	continuous := s.cfg.TimestepType == "continuous" && s.cfg.PredictionType == "v_prediction"
	if continuous && s.opt.Timesteps != nil {
		return fmt.Errorf("sampler: time steps cannot be given where timestep_type is continuous")
	}
	times, err := s.explodingLevels()
	if err != nil {
		return err
	}
	if s.cfg.FinalSigmasType == "sigma_min" {
		s.sigmas[len(s.sigmas)-1] = s.levels.min()
	}
	if continuous { // c_noise of Karras et al. 2022, table 1
		for i := range times {
			times[i] = math.Log(s.sigmas[i]) / 4
		}
	}
	s.onePointEach(times)
	return checkSigmas(s.sigmas)
}

// euler implements algorithm 2 of Karras et al. (2022), arXiv:2206.00364, with Euler steps. As in
// diffusers the network sees x before noise is added.
func euler(r *run, x []float32) error {
	churn := r.opt.Churn
	for i := r.first; i < len(r.points); i++ {
		sigma, gamma := r.sigmas[i], 0.0
		if sigma >= churn.TMin && sigma <= churn.TMax {
			gamma = min(churn.S/float64(len(r.sigmas)-1), math.Sqrt2-1)
		}
		if err := r.evaluate(x, i); err != nil {
			return err
		}
		sigmaHat := sigma * (1 + gamma)
		if gamma > 0 {
			mix(x, term{1, x}, term{churn.Noise * math.Sqrt(sigmaHat*sigmaHat-sigma*sigma), r.draw()})
		}
		kx, kout := r.points[i].clean(r.cfg.PredictionType)
		kx *= r.points[i].alpha
		if r.cfg.PredictionType == "epsilon" {
			kout = -sigmaHat
		}
		// D = kx·x + kout·out; x += (x - D)/σ̂ · (σ' - σ̂)
		left := r.sigmas[i+1] / sigmaHat
		mix(x, term{left + (1-left)*kx, x}, term{(1 - left) * kout, r.out})
		if err := r.step(i, x); err != nil {
			return err
		}
	}
	return nil
}

func planEulerAncestral(s *Sampler) error {
	s.stochastic = true
	if s.cfg.PredictionType == "sample" {
		return oneOf("prediction_type", s.cfg.PredictionType, "epsilon", "v_prediction")
	}
	times, err := s.explodingLevels()
	if err != nil {
		return err
	}
	s.onePointEach(times)
	return nil
}

// eulerAncestral implements sample_euler_ancestral of k-diffusion: a longer Euler step, then noise.
func eulerAncestral(r *run, x []float32) error {
	d := make([]float32, len(x))
	for i := r.first; i < len(r.points); i++ {
		if err := r.denoise(x, i, d); err != nil {
			return err
		}
		down, up := ancestral(r.sigmas[i], r.sigmas[i+1])
		left := down / r.sigmas[i]
		mix(x, term{left, x}, term{1 - left, d}, term{up, r.draw()})
		if err := r.step(i, x); err != nil {
			return err
		}
	}
	return nil
}

// ancestral splits the level sigmaTo into what a deterministic step reaches and the noise added
// after it (k-diffusion: get_ancestral_step).
func ancestral(sigmaFrom, sigmaTo float64) (down, up float64) {
	from, to := sigmaFrom*sigmaFrom, sigmaTo*sigmaTo
	up = math.Sqrt(to * (from - to) / from)
	return math.Sqrt(to - up*up), up
}
