//go:build !((darwin || softmetal) && cgo)

package bridge

import (
	"errors"
	"testing"
)

func TestUnavailable(t *testing.T) {
	if _, err := Open(); !errors.Is(err, ErrUnavailable) {
		t.Errorf("the error is %v, want ErrUnavailable", err)
	}
	if LiveObjects() != 0 {
		t.Error("something is alive")
	}
}
