package sampler

import "math"

func planDEIS(s *Sampler) error {
	s.measureLevels()
	if err := s.integratorLevels(len(s.alphaBar), false); err != nil {
		return err
	}
	if s.cfg.converts() {
		return s.endAt(s.sigmas[len(s.sigmas)-1])
	}
	return s.endAt(s.levels.min())
}

// deis implements ρAB-DEIS of Zhang and Chen (2022), arXiv:2204.13902: with ρ = σ/α the noise is
// extrapolated by a polynomial in log ρ through the last predictions and integrated over ρ.
func deis(r *run, x []float32) error {
	n := len(r.points)
	m := buffers(*r.cfg.SolverOrder, x) // noise predictions, the newest first
	terms := make([]term, 0, 4)
	for i := r.first; i < n; i++ {
		older(m)
		if err := r.estimateNoise(x, i, m[0]); err != nil {
			return err
		}
		s, t := r.points[i], pointAt(0, r.sigmas[i+1])
		terms = append(terms[:0], term{t.alpha / s.alpha, x})
		order := r.deisOrder(i, n)
		for j := range order {
			terms = append(terms, term{t.alpha * logLagrangeIntegral(r.sigmas, i, order, j), m[j]})
		}
		mix(x, terms...)
		if err := r.step(i, x); err != nil {
			return err
		}
	}
	return nil
}

// deisOrder is the order of step i of n: lower where predictions are missing and at the end of
// short schedules.
func (r *run) deisOrder(i, n int) int {
	order := min(*r.cfg.SolverOrder, i-r.first+1)
	if *r.cfg.LowerOrderFinal && n < shortSchedule {
		order = min(order, n-i)
	}
	return order
}

// logLagrangeIntegral is the integral over ρ from rhos[i] to rhos[i+1] of the polynomial in log ρ
// that is 1 at rhos[i-j] and 0 at the others of the order levels up to rhos[i]. The powers of
// log ρ have the antiderivatives ρ, ρ(log ρ - 1) and ρ(log²ρ - 2 log ρ + 2).
func logLagrangeIntegral(rhos []float64, i, order, j int) float64 {
	node := func(k int) float64 { return math.Log(rhos[i-k]) }
	polynomial := [3]float64{1} // coefficients of 1, log ρ and log²ρ
	for k := range order {
		if k == j {
			continue
		}
		width := node(j) - node(k)
		for d := 2; d >= 0; d-- {
			polynomial[d] *= -node(k) / width
			if d > 0 {
				polynomial[d] += polynomial[d-1] / width
			}
		}
	}
	antiderivative := func(rho float64) float64 {
		l := math.Log(rho)
		return rho * (polynomial[0] + polynomial[1]*(l-1) + polynomial[2]*(l*l-2*l+2))
	}
	return antiderivative(rhos[i+1]) - antiderivative(rhos[i])
}
