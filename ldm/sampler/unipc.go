package sampler

import (
	"fmt"
	"math"
	"slices"
)

func planUniPC(s *Sampler) error {
	switch s.cfg.SolverType {
	case "midpoint", "heun", "logrho": // of another class's configuration
		s.cfg.SolverType = "bh2"
	}
	if err := oneOf("solver_type", s.cfg.SolverType, "bh1", "bh2"); err != nil {
		return err
	}
	if s.cfg.FinalSigmasType == "zero" {
		// diffusers computes no number from these.
		higher := !*s.cfg.LowerOrderFinal && *s.cfg.SolverOrder > 1
		if s.cfg.SolverType == "bh1" || !*s.cfg.PredictX0 || higher {
			return fmt.Errorf("sampler: solver_type bh1, predict_x0 false and lower_order_final false cannot end at final_sigmas_type \"zero\", want \"sigma_min\"")
		}
	}
	s.measureLevels()
	if err := s.integratorLevels(len(s.alphaBar), false); err != nil {
		return err
	}
	switch {
	case s.cfg.FinalSigmasType == "zero":
		return s.endAt(0)
	case s.cfg.converts():
		return s.endAt(s.sigmas[len(s.sigmas)-1])
	}
	return s.endAt(s.levels.min())
}

// unipc implements UniPC with B(h) (Zhao et al. 2023, arXiv:2302.04867, algorithms 1 and 2): the
// evaluation of each step first corrects the one before.
func unipc(r *run, x []float32) error {
	n, p := len(r.points), *r.cfg.SolverOrder
	m := buffers(p+1, x) // predictions, the newest first
	before := make([]float32, len(x))
	order := 0 // of the step before
	for i := r.first; i < n; i++ {
		older(m)
		predict := r.denoise
		if !*r.cfg.PredictX0 {
			predict = r.estimateNoise
		}
		if err := predict(x, i, m[0]); err != nil {
			return err
		}
		if i > r.first && !slices.Contains(r.cfg.DisableCorrector, i-1) {
			terms := r.uniStep(before, m[1:], i-1, order, m[0])
			mix(x, terms...)
		}
		copy(before, x)
		order = min(p, i-r.first+1)
		if *r.cfg.LowerOrderFinal {
			order = min(order, n-i)
		}
		if r.sigmas[i] == r.sigmas[i+1] {
			order = 1
		}
		mix(x, r.uniStep(before, m, i, order, nil)...)
		if err := r.step(i, x); err != nil {
			return err
		}
	}
	return nil
}

// uniStep returns what sums up to x after step i from x before it, with the predictions m, the
// newest of which was made at the start of the step: the predictor of the given order, or, with
// the prediction end made where the step ends, the corrector.
func (r *run) uniStep(x []float32, m [][]float32, i, order int, end []float32) []term {
	s, t := pointAt(0, r.sigmas[i]), pointAt(0, r.sigmas[i+1])
	lambda := func(i int) float64 { return -math.Log(r.sigmas[i]) }
	h := lambda(i+1) - lambda(i)
	f := term{t.sigma / s.sigma, x}
	out, hh := t.alpha, -h
	if !*r.cfg.PredictX0 {
		f.k, out, hh = t.alpha/s.alpha, t.sigma, h
	}
	phi1 := math.Expm1(hh)
	b := phi1 // B(h)
	if r.cfg.SolverType == "bh1" {
		b = hh
	}
	// The differences (m_k - m_0)/r_k have the weights rho: equations 9 and 10 of the paper.
	ratios := make([]float64, 0, 3)
	for k := 1; k < order; k++ {
		ratios = append(ratios, (lambda(i-k)-lambda(i))/h)
	}
	if end != nil {
		ratios = append(ratios, 1)
	}
	var rho []float64
	switch {
	case len(ratios) == 1: // as in the authors' code, not what the equations give
		rho = []float64{0.5}
	case len(ratios) > 1:
		rho = uniWeights(ratios, hh, b)
	}
	terms := []term{f, {-out * phi1, m[0]}}
	for j, weight := range rho {
		v := end
		if j < order-1 {
			v = m[j+1]
		}
		k := -out * b * weight / ratios[j]
		terms[1].k -= k
		terms = append(terms, term{k, v})
	}
	return terms
}

// uniWeights solves Σ ratios[j]^k · rho[j] = k!·φₖ₊₁(h)·h/B for k = 1 to len(ratios), in the
// paper's notation, with hh = ±h.
func uniWeights(ratios []float64, hh, b float64) []float64 {
	n := len(ratios)
	rows := make([][]float64, n) // Vandermonde matrix and right-hand side
	phi, factorial := math.Expm1(hh)/hh-1, 1.
	for k := range rows {
		rows[k] = make([]float64, n+1)
		for j, ratio := range ratios {
			rows[k][j] = math.Pow(ratio, float64(k))
		}
		rows[k][n] = phi * factorial / b
		factorial *= float64(k + 2)
		phi = phi/hh - 1/factorial
	}
	return solve(rows)
}

// solve returns the solution of n linear equations, rows of n factors and the right-hand side,
// by elimination with row exchange. It overwrites rows.
func solve(rows [][]float64) []float64 {
	n := len(rows)
	for c := range n {
		pivot := c
		for i := c; i < n; i++ {
			if math.Abs(rows[i][c]) > math.Abs(rows[pivot][c]) {
				pivot = i
			}
		}
		rows[c], rows[pivot] = rows[pivot], rows[c]
		for i := range n {
			if i == c {
				continue
			}
			k := rows[i][c] / rows[c][c]
			for j := c; j <= n; j++ {
				rows[i][j] -= k * rows[c][j]
			}
		}
	}
	x := make([]float64, n)
	for i := range x {
		x[i] = rows[i][n] / rows[i][i]
	}
	return x
}
