package sampler

import (
	"fmt"
	"math"
)

// This file spreads noise levels: σ is the standard deviation of the noise over that of the
// signal, so that x/α = x₀ + σ·noise.

// noiseLevels are the levels of a model's training steps.
type noiseLevels struct{ sigmas, logSigmas table }

func levelsOf(alphaBar []float64) noiseLevels {
	l := noiseLevels{make(table, len(alphaBar)), make(table, len(alphaBar))}
	for i, a := range alphaBar {
		l.sigmas[i] = ratio(a)
		l.logSigmas[i] = math.Log(l.sigmas[i])
	}
	return l
}

// timeOf is the training step, with a fraction, whose level is sigma.
func (l noiseLevels) timeOf(sigma float64) float64 {
	return l.logSigmas.inverse(math.Log(max(sigma, 1e-10)))
}

func (l noiseLevels) timesOf(sigmas []float64) []float64 {
	times := make([]float64, len(sigmas))
	for i, sigma := range sigmas {
		times[i] = l.timeOf(sigma)
	}
	return times
}

func (l noiseLevels) min() float64 { return l.sigmas[0] }
func (l noiseLevels) max() float64 { return l.sigmas[len(l.sigmas)-1] }

// converts says whether cfg spreads its levels otherwise than its time steps.
func (cfg Config) converts() bool {
	return cfg.UseKarrasSigmas || cfg.UseExponentialSigmas || cfg.UseBetaSigmas
}

// convert returns n levels from hi down to lo.
func (cfg Config) convert(lo, hi float64, n int) []float64 {
	sigmas := make([]float64, n)
	for i := range sigmas {
		switch {
		case cfg.UseKarrasSigmas: // Karras et al. 2022, equation 5
			const rho = 7
			root := lerp(math.Pow(hi, 1./rho), math.Pow(lo, 1./rho), i, n)
			sigmas[i] = math.Pow(root, rho)
		case cfg.UseExponentialSigmas: // k-diffusion: get_sigmas_exponential
			sigmas[i] = math.Exp(lerp(math.Log(hi), math.Log(lo), i, n))
		case cfg.UseBetaSigmas: // Lee et al. 2024, arXiv:2407.12173
			sigmas[i] = lo + betaQuantile(lerp(1, 0, i, n), 0.6)*(hi-lo)
		}
	}
	// Without this rounding could move the ends, and the last level be met again by final_sigmas_type.
	sigmas[n-1] = lo
	sigmas[0] = hi
	return sigmas
}

// checkSigmas is an error unless the levels descend; only the last may repeat the one before.
func checkSigmas(sigmas []float64) error {
	for i := 1; i < len(sigmas); i++ {
		if !(sigmas[i] < sigmas[i-1] || i == len(sigmas)-1 && sigmas[i] == sigmas[i-1]) {
			return fmt.Errorf("sampler: noise level %.6g follows %.6g, want a smaller one; ask for fewer steps", sigmas[i], sigmas[i-1])
		}
	}
	return nil
}

// betaQuantile is the x where the Beta(a, a) distribution function reaches p, for a <= 1.
func betaQuantile(p, a float64) float64 {
	if p > 0.5 {
		return 1 - betaQuantile(1-p, a)
	}
	lo, hi := 0., 0.5
	for range 100 { // halves until neighbouring numbers are left, also near 0
		mid := (lo + hi) / 2
		if betaCDF(mid, a) < p {
			lo = mid
		} else {
			hi = mid
		}
	}
	return (lo + hi) / 2
}

// betaCDF is the Beta(a, a) distribution function at 0 <= x <= 1/2, by the power series of the
// incomplete beta function (DLMF 8.17.7): x^a/(a·B(a,a)) · Σ (1-a)ₙ a / (n! (a+n)) xⁿ.
func betaCDF(x, a float64) float64 {
	lnGamma, _ := math.Lgamma(a)
	lnGamma2, _ := math.Lgamma(2 * a)
	sum, term := 1., 1.
	for n := 1.; math.Abs(term) > 1e-18; n++ {
		term *= (n - a) / n * x
		sum += term * a / (a + n)
	}
	return math.Pow(x, a) / a * math.Exp(lnGamma2-2*lnGamma) * sum
}
