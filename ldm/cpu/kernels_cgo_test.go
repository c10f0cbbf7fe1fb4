//go:build cgo

package cpu

import (
	"fmt"
	"testing"

	"ldm-mac/ldm/tensor/tensortest"
)

func TestEveryInstructionSet(t *testing.T) {
	widest := useLanes(16)
	defer useLanes(widest)
	for lanes := 4; lanes < widest; lanes *= 2 {
		t.Run(fmt.Sprintf("lanes=%d", lanes), func(t *testing.T) {
			if got := useLanes(lanes); got != lanes {
				t.Skipf("this machine has vectors of %d floats and of %d, not of %d", got, widest, lanes)
			}
			tensortest.Run(t, backend(t, 2))
		})
	}
}
