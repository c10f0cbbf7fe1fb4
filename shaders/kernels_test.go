//go:build (darwin || softmetal) && cgo

package shaders_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"ldm-mac/bridge"
	"ldm-mac/ldm/tensor"
	"ldm-mac/metal"
)

var types = []bridge.DataType{bridge.Float32, bridge.Float16}

// kernels is package metal's table by name, tested holds what launch has run of it.
var (
	kernels = map[string]metal.Kernel{}
	tested  = map[string]bool{}
)

func init() {
	for _, k := range metal.Kernels() {
		kernels[k.Name] = k
	}
}

// TestKernels compares every kernel with its definition, written in float64 in these tests, under
// several orders of threads and, on the software Metal, with all checkers on.
func TestKernels(t *testing.T) {
	families := []struct {
		name string
		test func(t *testing.T)
	}{
		{"pointwise", testPointwise}, {"gelu", testGELU}, {"broadcast", testBroadcast}, {"geglu", testGEGLU},
		{"cast", testCast}, {"cast_bf16", testCastBF16}, {"finite", testFinite},
		{"group_norm", testGroupNorm}, {"layer_norm", testLayerNorm}, {"softmax", testSoftmax},
		{"permute", testPermute}, {"copy", testCopy}, {"row", testRow}, {"pad", testPad}, {"upsample", testUpsample}, {"avg_pool2d", testAvgPool2D},
		{"gemm", testGEMM}, {"conv2d", testConv2D}, {"attention", testAttention},
	}
	ready(t)
	ran := 0
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) {
			ran++
			f.test(t)
		})
	}
	for name := range kernels {
		if ran == len(families) && !tested[name] {
			t.Errorf("kernel %s has no test", name)
		}
	}
}

// A run is a test under one order of threads, with tensors of one type.
type run struct {
	*testing.T
	dtype bridge.DataType
	seed  int
	rng   *rand.Rand
}

// each runs a test for both types and every order of threads.
func each(t *testing.T, name string, test func(r run)) {
	for _, dtype := range types {
		for _, seed := range seeds {
			t.Run(fmt.Sprintf("%s/%s/seed%d", name, dtype, seed), func(t *testing.T) {
				test(run{t, dtype, seed, rand.New(rand.NewPCG(1, 2))})
			})
		}
	}
}

// launch runs a kernel on buffers 1, 2, …; nil leaves one unbound.
func (r run) launch(l metal.Launch, buffers ...[]byte) {
	r.Helper()
	tested[l.Kernel] = true
	if k := kernels[l.Kernel]; len(buffers) != len(k.Bindings) || l.Group != (bridge.Size{X: k.Threads, Y: 1, Z: 1}) {
		r.Fatalf("kernel %s is launched with %d buffers and groups of %v, package metal says %v and %d threads",
			l.Kernel, len(buffers), l.Group, k.Bindings, k.Threads)
	}
	reorder(r.seed)
	dispatch(r.T, l, buffers)
}

// normal is n normal numbers of dtype.
func (r run) normal(dtype bridge.DataType, n int, mean, std float64) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = mean + std*r.rng.NormFloat64()
	}
	return unpack(dtype, pack(dtype, v))
}

func tensorType(t bridge.DataType) tensor.DType {
	if t == bridge.Float16 {
		return tensor.F16
	}
	return tensor.F32
}

// pack rounds values to dtype as a buffer of them.
func pack(dtype bridge.DataType, values []float64) []byte {
	narrow := make([]float32, len(values))
	for i, v := range values {
		narrow[i] = float32(v)
	}
	return tensor.EncodeFloats(nil, narrow, tensorType(dtype))
}

func unpack(dtype bridge.DataType, data []byte) []float64 {
	narrow := make([]float32, len(data)/dtype.Size())
	if err := tensor.DecodeFloats(narrow, data, tensorType(dtype)); err != nil {
		panic(err)
	}
	wide := make([]float64, len(narrow))
	for i, v := range narrow {
		wide[i] = float64(v)
	}
	return wide
}

// blank is a buffer for n results, all NaN.
func blank(dtype bridge.DataType, n int) []byte {
	data := make([]byte, n*dtype.Size())
	for i := range data {
		data[i] = 0xff
	}
	return data
}

// rounding is the largest relative error of one rounding to dtype.
func rounding(dtype bridge.DataType) float64 {
	if dtype == bridge.Float16 {
		return 1.0 / (1 << 11)
	}
	return 1.0 / (1 << 24)
}

// accuracy bounds the relative error of a sum of so many products in float32, stored as dtype. The
// error of a sum in any order grows as the root of the number of terms when roundings are
// independent; the factors leave room for a function of the sum and for the worst of many elements.
func accuracy(dtype bridge.DataType, terms int) float64 {
	return 4*(8+2*math.Sqrt(float64(terms)))*rounding(bridge.Float32) + rounding(dtype)
}

// near fails unless got, a buffer of dtype, is want to within tolerance of the largest of want.
func (r run) near(got []byte, dtype bridge.DataType, want []float64, tolerance float64) {
	r.Helper()
	peak := 0.0
	for _, w := range want {
		peak = max(peak, math.Abs(w))
	}
	r.within(got, dtype, want, func(float64) float64 { return tolerance * peak })
}

// within fails unless each element of got is that of want to within bound(want).
func (r run) within(got []byte, dtype bridge.DataType, want []float64, bound func(want float64) float64) {
	r.Helper()
	values := unpack(dtype, got)
	if len(values) != len(want) {
		r.Fatalf("%d values, want %d", len(values), len(want))
	}
	for i, v := range values {
		if !(math.Abs(v-want[i]) <= bound(want[i])) {
			r.Fatalf("element %d of %d is %g, want %g to within %.3g", i, len(want), v, want[i], bound(want[i]))
		}
	}
}
