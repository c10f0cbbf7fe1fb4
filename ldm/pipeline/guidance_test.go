package pipeline

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// The values of the formula where they can be told without it: 2, 4, 6, 8 deviate by √5 from 5, and
// 0, 6 in turns by 3 from 3.
func TestRescaleGuidance(t *testing.T) {
	for _, test := range []struct {
		phi    float64
		factor float64
	}{{0, 1}, {1, math.Sqrt(5) / 3}, {0.25, 0.75 + 0.25*math.Sqrt(5)/3}} {
		guided := []float32{0, 6, 6, 0}
		rescaleGuidance(guided, []float32{2, 8, 4, 6}, test.phi)
		for i, v := range []float64{0, 6, 6, 0} {
			if want := v * test.factor; math.Abs(float64(guided[i])-want) > 1e-6*6 {
				t.Errorf("φ = %g: %v, want %g at %d", test.phi, guided, want, i)
			}
		}
	}
}

// Wholly rescaled, any output has the deviation of the other, whatever its mean and size.
func TestRescaleGuidanceDeviation(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	normal := func(mean, sigma float64) []float32 {
		values := make([]float32, 4*64*64)
		for i := range values {
			values[i] = float32(mean + sigma*random.NormFloat64())
		}
		return values
	}
	for _, mean := range []float64{0, -3, 100} {
		guided, cond := normal(mean, 7), normal(1, 0.5)
		rescaleGuidance(guided, cond, 1)
		if got, want := deviation(guided), deviation(cond); math.Abs(got/want-1) > 1e-5 {
			t.Errorf("mean %g: deviation %g, want %g", mean, got, want)
		}
	}
	constant := []float32{2, 2, 2}
	rescaleGuidance(constant, []float32{1, 2, 3}, 0.7)
	if !slices.Equal(constant, []float32{2, 2, 2}) {
		t.Errorf("a constant became %v", constant)
	}
}
