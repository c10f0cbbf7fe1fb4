package sampler

import "math"

func planDDPM(s *Sampler) error {
	s.stochastic = true
	s.cfg.VarianceType = orString(s.cfg.VarianceType, "fixed_small")
	// fixed_large_log gives no number in diffusers; learned needs a network with a second output.
	if err := oneOf("variance_type", s.cfg.VarianceType, "fixed_small", "fixed_small_log", "fixed_large"); err != nil {
		return err
	}
	if err := s.tableTimes(); err != nil {
		return err
	}
	return s.setPoints(s.base, s.opt.StartStep)
}

// ddpm implements equations 6 and 7 of Ho et al. (2020), arXiv:2006.11239, between the time steps
// of the schedule. Noise is drawn but at time step 0.
func ddpm(r *run, x []float32) error {
	x0 := make([]float32, len(x))
	for i := r.first; i < len(r.points); i++ {
		p := r.points[i]
		a, aNext := r.alphaBarAt(p.t), 1.0
		if i+1 < len(r.base) {
			aNext = r.alphaBarAt(r.base[i+1])
		}
		// The ratio has the precision of diffusers' float32: near t = 0 it is so close to 1 that
		// its rounding shows.
		beta := 1 - float64(float32(a/aNext))
		if err := r.denoise(x, i, x0); err != nil {
			return err
		}
		mix(x, term{math.Sqrt(aNext) * beta / (1 - a), x0}, term{math.Sqrt(1-beta) * (1 - aNext) / (1 - a), x})
		if p.t > 0 {
			variance := beta
			if r.cfg.VarianceType != "fixed_large" {
				variance = max((1-aNext)/(1-a)*beta, 1e-20)
			}
			mix(x, term{1, x}, term{math.Sqrt(variance), r.draw()})
		}
		if err := r.step(i, x); err != nil {
			return err
		}
	}
	return nil
}
