package sampler

import "math"

func planSinglestep(s *Sampler) error {
	s.cfg.TimestepSpacing = "linspace" // this class knows no other
	return s.planDPM("dpmsolver++", "dpmsolver", "sde-dpmsolver++")
}

// singlestepOrders are the orders of n evaluations (Lu et al. 2022, arXiv:2206.00927, appendix D):
// those of a step of order k go 1, 2, ..., k.
func (s *Sampler) singlestepOrders(n int) []int {
	k := *s.cfg.SolverOrder
	lower := *s.cfg.LowerOrderFinal || n%k != 0 || s.cfg.FinalSigmasType == "zero"
	orders := make([]int, n)
	for i := range orders {
		orders[i] = i%k + 1
	}
	switch {
	case lower && k == 3 && n%3 == 0:
		orders[n-2], orders[n-1] = 2, 1
	case lower && k == 2 && n%2 == 0, s.cfg.FinalSigmasType == "zero":
		orders[n-1] = 1
	}
	return orders
}

// dpmSinglestep implements the single-step DPM-Solver++ (Lu et al. 2022, arXiv:2211.01095,
// algorithm 1), its order 3, its stochastic form, and the same for noise prediction
// (arXiv:2206.00927). A step of order k starts from the x of its first evaluation.
func dpmSinglestep(r *run, x []float32) error {
	n := len(r.points)
	orders := r.singlestepOrders(n)
	m := buffers(*r.cfg.SolverOrder, x) // predictions, the newest first
	begin := make([]float32, len(x))
	for i := r.first; i < n; i++ {
		older(m)
		if err := r.predict(x, i, m[0]); err != nil {
			return err
		}
		order := min(orders[i], i-r.first+1)
		if order == 1 {
			copy(begin, x)
		}
		s := i - order + 1 // where the step began
		lambda := func(i int) float64 { return math.Log(r.sigmas[s]) - math.Log(r.sigmas[i]) }
		f := dpmStep(r.cfg.AlgorithmType, r.sigmas[s], r.sigmas[i+1])
		terms := [5]term{{f.x, begin}, {f.d0, m[order-1]}}
		h := lambda(i + 1)
		switch {
		case order == 2: // D1 = (m0-m1)/r0
			d1 := f.d1Of(r.cfg.SolverType) * h / lambda(i)
			terms[1].k -= d1
			terms[2] = term{d1, m[0]}
		case order == 3:
			// D10 = (m1-m2)/r1 and D11 = (m0-m2)/r0; the midpoint rule takes D11 alone, the other
			// D1 = (r0·D10 - r1·D11)/(r0-r1) and D2 = 2(D11-D10)/(r0-r1).
			r0, r1 := lambda(i)/h, lambda(i-1)/h
			d10, d11 := 0.0, f.d1/r0
			if r.cfg.SolverType == "heun" {
				d10, d11 = (f.d1*r0-2*f.d2)/(r0-r1)/r1, (2*f.d2-f.d1*r1)/(r0-r1)/r0
			}
			terms[1].k -= d10 + d11
			terms[2], terms[3] = term{d10, m[1]}, term{d11, m[0]}
		}
		used := 1 + order
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
