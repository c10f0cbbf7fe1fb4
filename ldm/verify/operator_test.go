package verify

import (
	"testing"

	"ldm-mac/ldm/cpu"
	"ldm-mac/ldm/tensor"
	"ldm-mac/ldm/tensor/tensortest"
)

func TestOperatorChecks(t *testing.T) {
	processor := cpu.New(0)
	defer processor.Close()
	for _, backend := range []tensor.Backend{tensortest.Reference(), processor} {
		t.Run(backend.Name(), func(t *testing.T) { runChecks(t, "operator", operatorChecks(backend)) })
	}
}

func TestOperatorChecksFail(t *testing.T) {
	upsample := func(x ...*tensor.Tensor) *tensor.Tensor { return tensor.Upsample(x[0]) }
	double := func(x ...*tensor.Tensor) *tensor.Tensor { return tensor.Affine(x[0], 2, 0) }
	for _, c := range []Check{
		operator(tensortest.Reference(), "value", "", rounding, double, []float64{0, 2.001}, ramp(2)),
		operator(tensortest.Reference(), "exact value", "", 0, double, []float64{0, 2.0000001}, ramp(2)),
	} {
		if difference, tolerance, err := c.Run(); err != nil || difference <= tolerance {
			t.Errorf("%s: difference %.3g within %.3g (%v)", c.Name, difference, tolerance, err)
		}
	}
	for _, c := range []Check{
		operator(tensortest.Reference(), "other size", "", rounding, double, []float64{0}, ramp(2)),
		operator(tensortest.Reference(), "wrong graph", "", rounding, upsample, []float64{0}, ramp(2)),
	} {
		if _, _, err := c.Run(); err == nil {
			t.Errorf("%s: no error", c.Name)
		}
	}
}
