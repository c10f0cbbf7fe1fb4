package sampler

import "math"

func planLMS(s *Sampler) error {
	times, err := s.explodingLevels()
	if err != nil {
		return err
	}
	s.onePointEach(times)
	return nil
}

// lms implements sample_lms of k-diffusion: the slope (x - D)/σ is extrapolated by the polynomial
// through the last ones.
func lms(r *run, x []float32) error {
	history := buffers(r.opt.Order, x) // slopes, the newest first
	d := make([]float32, len(x))
	terms := make([]term, 0, 1+r.opt.Order)
	for i := r.first; i < len(r.points); i++ {
		if err := r.denoise(x, i, d); err != nil {
			return err
		}
		older(history)
		mix(history[0], term{1 / r.sigmas[i], x}, term{-1 / r.sigmas[i], d})
		terms = append(terms[:0], term{1, x})
		// A start within the schedule takes the coefficients of the full order, as diffusers
		// does, though it knows fewer slopes.
		order := min(i+1, r.opt.Order)
		for j := range min(order, i-r.first+1) {
			terms = append(terms, term{lagrangeIntegral(r.sigmas, i, order, j), history[j]})
		}
		mix(x, terms...)
		if err := r.step(i, x); err != nil {
			return err
		}
	}
	return nil
}

// lagrangeIntegral is the integral from sigmas[i] to sigmas[i+1] of the polynomial that is 1 at
// sigmas[i-j] and 0 at the others of the order levels up to sigmas[i]. Gauss-Legendre quadrature
// with two nodes is exact up to degree 3.
func lagrangeIntegral(sigmas []float64, i, order, j int) float64 {
	center, half := (sigmas[i]+sigmas[i+1])/2, (sigmas[i+1]-sigmas[i])/2
	sum := 0.0
	for _, node := range [2]float64{-1 / math.Sqrt(3), 1 / math.Sqrt(3)} {
		tau, product := center+half*node, 1.0
		for k := range order {
			if k != j {
				product *= (tau - sigmas[i-k]) / (sigmas[i-j] - sigmas[i-k])
			}
		}
		sum += product
	}
	return half * sum
}
