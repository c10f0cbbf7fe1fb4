package verify

import "testing"

func TestSamplerChecks(t *testing.T) { runChecks(t, "sampler", samplerChecks()) }

// A check that cannot fail proves nothing.
func TestSamplerChecksFail(t *testing.T) {
	ddim := published[0]
	for _, change := range []string{`{"prediction_type": "sample"}`, `{"timestep_spacing": "trailing"}`, `{"beta_end": 0.021}`} {
		test := ddim.tests[0]
		test.config = change
		sum, mean, err := test.run(ddim.config)
		if err != nil || sum-test.sum < 1e-2 && test.sum-sum < 1e-2 {
			t.Errorf("%s: sum %v and mean %v, error %v", change, sum, mean, err)
		}
	}
	if difference, tolerance, err := timeSteps("ddim", 5, []float64{800, 600, 400, 200, 0}); err != nil || difference <= tolerance {
		t.Errorf("time steps without offset: difference %v, %v", difference, err)
	}
}
