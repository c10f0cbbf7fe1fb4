package sampler

func planHeun(s *Sampler) error {
	times, err := s.explodingLevels()
	if err != nil {
		return err
	}
	for i, t := range times {
		p := pointAt(t, s.sigmas[i])
		if i > 0 {
			s.points = append(s.points, p)
		}
		s.points = append(s.points, p)
	}
	s.first = 2 * s.opt.StartStep
	return nil
}

// heun implements algorithm 1 of Karras et al. (2022), arXiv:2206.00364. The last step, to zero
// noise, is one of Euler.
func heun(r *run, x []float32) error {
	begin, d, slope := make([]float32, len(x)), make([]float32, len(x)), make([]float32, len(x))
	for i := r.first; i < len(r.points); i += 2 {
		sigma, next := r.sigmas[i/2], r.sigmas[i/2+1]
		if err := r.denoise(x, i, d); err != nil {
			return err
		}
		copy(begin, x)
		mix(slope, term{1 / sigma, x}, term{-1 / sigma, d})
		mix(x, term{1, begin}, term{next - sigma, slope})
		if err := r.step(i, x); err != nil || next == 0 {
			return err
		}
		if err := r.denoise(x, i+1, d); err != nil {
			return err
		}
		mix(slope, term{0.5, slope}, term{0.5 / next, x}, term{-0.5 / next, d})
		mix(x, term{1, begin}, term{next - sigma, slope})
		if err := r.step(i+1, x); err != nil {
			return err
		}
	}
	return nil
}
