package cpu

import (
	"context"
	"testing"

	"ldm-mac/ldm/tensor"
	"ldm-mac/ldm/tensor/tensortest"
)

func backend(t testing.TB, threads int) *Backend {
	b := New(threads)
	t.Cleanup(func() { b.Close() })
	return b
}

func TestSuite(t *testing.T) {
	for _, threads := range []int{1, 2, 5} {
		tensortest.Run(t, backend(t, threads))
	}
}

// TestSuiteOfHalves: activations that a graph stores as F16 or BF16 are kept in F32 here.
func TestSuiteOfHalves(t *testing.T) {
	tensortest.RunStored(t, backend(t, 2), tensor.F16)
	tensortest.RunStored(t, backend(t, 2), tensor.BF16)
}

var _ = context.Background
