package sampler

import "math"

func planDDIM(s *Sampler) error {
	s.stochastic = s.opt.Eta > 0 || s.opt.CompVis
	if err := s.tableTimes(); err != nil {
		return err
	}
	return s.setPoints(s.base, s.opt.StartStep)
}

// ddim implements equation 12 of Song et al. (2020), arXiv:2010.02502, with the σ of equation 16.
// No noise is drawn with eta 0, except with Options.CompVis, where it counts nothing.
func ddim(r *run, x []float32) error {
	x0 := make([]float32, len(x))
	for i := r.first; i < len(r.points); i++ {
		p := r.points[i]
		a, aNext := p.alpha*p.alpha, r.alphaBarAt(r.next(i))
		if err := r.denoise(x, i, x0); err != nil {
			return err
		}
		sigma := r.opt.Eta * math.Sqrt((1-aNext)/(1-a)*(1-a/aNext))
		direction := math.Sqrt(max(0, 1-aNext-sigma*sigma))
		kx, kout := p.noise(r.cfg.PredictionType)
		mix(x, term{math.Sqrt(aNext), x0}, term{direction * kx, x}, term{direction * kout, r.out})
		if r.stochastic {
			mix(x, term{1, x}, term{sigma, r.draw()})
		}
		if err := r.step(i, x); err != nil {
			return err
		}
	}
	return nil
}
