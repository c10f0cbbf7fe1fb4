package pipeline

import "math"

// rescaleGuidance gives guided, the output of a network for one picture after classifier-free
// guidance, part of the standard deviation that cond, the output for the prompt alone, has:
//
//	φ·guided·σ(cond)/σ(guided) + (1-φ)·guided
//
// (Lin et al. 2023, arXiv:2305.08891, section 3.4, equation 16). Both have the same length,
// and phi is from 0 to 1. Where guided is constant there is nothing to rescale, and it stays as it is.
func rescaleGuidance(guided, cond []float32, phi float64) {
	sigma := deviation(guided)
	if sigma == 0 {
		return
	}
	factor := float32(phi*deviation(cond)/sigma + 1 - phi)
	for i := range guided {
		guided[i] *= factor
	}
}

// deviation is the standard deviation of values about their mean.
func deviation(values []float32) float64 {
	var mean, squares float64
	for _, v := range values {
		mean += float64(v)
	}
	mean /= float64(len(values))
	for _, v := range values {
		squares += (float64(v) - mean) * (float64(v) - mean)
	}
	return math.Sqrt(squares / float64(len(values)))
}
