//go:build !darwin && !softmetal

package metal_test

import (
	"errors"
	"testing"

	"ldm-mac/ldm/tensor"
	"ldm-mac/metal"
)

func TestUnavailable(t *testing.T) {
	if _, err := metal.Open(metal.Options{}); !errors.Is(err, metal.ErrUnavailable) {
		t.Errorf("the error is %v, want ErrUnavailable", err)
	}
	if _, err := metal.Open(metal.Options{DType: tensor.BF16}); err == nil || errors.Is(err, metal.ErrUnavailable) {
		t.Errorf("storage as BF16: %v", err)
	}
}
