package sampler

import (
	"fmt"
	"math"
)

func planMultistep(s *Sampler) error {
	if s.cfg.AlgorithmType == "sde-dpmsolver" && *s.cfg.SolverOrder == 3 {
		return fmt.Errorf("sampler: algorithm_type \"sde-dpmsolver\" has no solver_order 3, want 1 or 2")
	}
	return s.planDPM("dpmsolver++", "dpmsolver", "sde-dpmsolver++", "sde-dpmsolver")
}

// dpmMultistep implements the multistep DPM-Solver++ (Lu et al. 2022, arXiv:2211.01095, algorithm
// 2), its orders 1 and 3, its stochastic forms, and the same for noise prediction
// (arXiv:2206.00927).
func dpmMultistep(r *run, x []float32) error {
	n := len(r.points)
	m := buffers(*r.cfg.SolverOrder, x) // predictions, the newest first
	lambda := func(i int) float64 { return -math.Log(r.sigmas[i]) }
	for i := r.first; i < n; i++ {
		older(m)
		if err := r.predict(x, i, m[0]); err != nil {
			return err
		}
		sigma, next := r.sigmas[i], r.sigmas[i+1]
		f := dpmStep(r.cfg.AlgorithmType, sigma, next)
		terms := [5]term{{f.x, x}}
		switch r.multistepOrder(i, n) {
		case 1:
			terms[1] = term{f.d0, m[0]}
		case 2:
			h := lambda(i+1) - lambda(i)
			d1 := f.d1Of(r.cfg.SolverType) * h / (lambda(i) - lambda(i-1))
			terms[1], terms[2] = term{f.d0 + d1, m[0]}, term{-d1, m[1]}
		case 3:
			// D1 = D10 + r0/(r0+r1)·(D10-D11) and D2 = (D10-D11)/(r0+r1), where D10 = (m0-m1)/r0
			// and D11 = (m1-m2)/r1.
			h := lambda(i+1) - lambda(i)
			r0, r1 := (lambda(i)-lambda(i-1))/h, (lambda(i-1)-lambda(i-2))/h
			difference := (f.d1*r0 + f.d2) / (r0 + r1)
			d10, d11 := (f.d1+difference)/r0, -difference/r1
			terms[1], terms[2], terms[3] = term{f.d0 + d10, m[0]}, term{d11 - d10, m[1]}, term{-d11, m[2]}
		}
		used := 1 + r.multistepOrder(i, n)
		if r.stochastic {
			terms[used] = term{f.noise, r.draw()}
			used++
		}
		mix(x, terms[:used]...)
		if err := r.step(i, x); err != nil {
			return err
		}
	}
	return nil
}

// shortSchedule is the number of steps from which lower_order_final has no effect.
const shortSchedule = 15

// multistepOrder is the order of step i of n: lower where predictions are missing, for a step of
// no length, and, so that short schedules stay stable, at the end.
func (r *run) multistepOrder(i, n int) int {
	last := i == n-1
	lower := *r.cfg.LowerOrderFinal && n < shortSchedule
	switch order := min(*r.cfg.SolverOrder, i-r.first+1); {
	case last && (r.cfg.EulerAtFinal || lower || r.sigmas[n] == 0), r.sigmas[i] == r.sigmas[i+1]:
		return 1
	case i == n-2 && lower:
		return min(order, 2)
	default:
		return order
	}
}
