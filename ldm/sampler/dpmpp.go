package sampler

import (
	"fmt"
	"math"
)

// This file holds what the multistep and the single-step DPM-Solver share.

// planDPM checks the keys of both and makes their schedule.
func (s *Sampler) planDPM(algorithms ...string) error {
	switch s.cfg.SolverType {
	case "logrho", "bh1", "bh2": // of another class's configuration
		s.cfg.SolverType = "midpoint"
	}
	if s.cfg.AlgorithmType == "deis" {
		s.cfg.AlgorithmType = "dpmsolver++"
	}
	if err := oneOf("algorithm_type", s.cfg.AlgorithmType, algorithms...); err != nil {
		return err
	}
	if err := oneOf("solver_type", s.cfg.SolverType, "midpoint", "heun"); err != nil {
		return err
	}
	if s.cfg.VarianceType == "learned" || s.cfg.VarianceType == "learned_range" {
		return fmt.Errorf("sampler: variance_type %q, want null: networks with a second output are not supported", s.cfg.VarianceType)
	}
	if !s.predictsData() && s.cfg.FinalSigmasType == "zero" {
		return fmt.Errorf("sampler: algorithm_type %q cannot end at final_sigmas_type \"zero\", want \"sigma_min\"", s.cfg.AlgorithmType)
	}
	s.stochastic = s.cfg.AlgorithmType == "sde-dpmsolver" || s.cfg.AlgorithmType == "sde-dpmsolver++"
	s.measureLevels()
	last := len(s.alphaBar)
	for last > 0 && -s.levels.logSigmas[last-1] < float64(*s.cfg.LambdaMinClipped) {
		last--
	}
	cut := s.class.name == "DPMSolverMultistepScheduler" && s.cfg.BetaSchedule == "squaredcos_cap_v2"
	if err := s.integratorLevels(last, cut); err != nil {
		return err
	}
	if s.cfg.FinalSigmasType == "zero" {
		return s.endAt(0)
	}
	return s.endAt(s.levels.min())
}

// predictsData says whether the solver integrates x₀ (DPM-Solver++), not the noise.
func (s *Sampler) predictsData() bool {
	return s.cfg.AlgorithmType == "dpmsolver++" || s.cfg.AlgorithmType == "sde-dpmsolver++"
}

// predict sets m to what the solver integrates.
func (r *run) predict(x []float32, i int, m []float32) error {
	if r.predictsData() {
		return r.denoise(x, i, m)
	}
	return r.estimateNoise(x, i, m)
}

// dpmFactors are those of one exponential integrator step: of x, of the derivatives D0, D1 and D2
// of the model in λ = log(α/σ), and of new noise. midpoint is that of D1 by the midpoint rule.
type dpmFactors struct{ x, d0, midpoint, d1, d2, noise float64 }

// dpmStep is the step from level sigma to level next (Lu et al. 2022, arXiv:2206.00927 equation
// 3.4 and arXiv:2211.01095 equations 8 and 17). With equal levels only x and d0 have a meaning.
func dpmStep(algorithm string, sigma, next float64) dpmFactors {
	s, t := pointAt(0, sigma), pointAt(0, next)
	h := math.Log(sigma) - math.Log(next) // infinite where next is 0
	switch algorithm {
	case "dpmsolver":
		phi := math.Expm1(h)
		return dpmFactors{
			x: t.alpha / s.alpha, d0: -t.sigma * phi, midpoint: -0.5 * t.sigma * phi,
			d1: -t.sigma * (phi/h - 1), d2: -t.sigma * ((phi-h)/(h*h) - 0.5),
		}
	case "sde-dpmsolver":
		phi := math.Expm1(h)
		return dpmFactors{
			x: t.alpha / s.alpha, d0: -2 * t.sigma * phi, midpoint: -t.sigma * phi,
			d1: -2 * t.sigma * (phi/h - 1), noise: t.sigma * math.Sqrt(math.Expm1(2*h)),
		}
	case "sde-dpmsolver++":
		phi := math.Expm1(-2 * h)
		return dpmFactors{
			x: t.sigma / s.sigma * math.Exp(-h), d0: -t.alpha * phi, midpoint: -0.5 * t.alpha * phi,
			d1: t.alpha * (phi/(2*h) + 1), d2: -t.alpha * ((phi+2*h)/(4*h*h) + 0.5),
			noise: t.sigma * math.Sqrt(-phi),
		}
	}
	phi := math.Expm1(-h)
	return dpmFactors{
		x: t.sigma / s.sigma, d0: -t.alpha * phi, midpoint: -0.5 * t.alpha * phi,
		d1: t.alpha * (phi/h + 1), d2: -t.alpha * ((phi+h)/(h*h) - 0.5),
	}
}

// d1Of is the factor of D1 in a step of order 2.
func (f dpmFactors) d1Of(solver string) float64 {
	if solver == "midpoint" {
		return f.midpoint
	}
	return f.d1
}
