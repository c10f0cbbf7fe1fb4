//go:build (darwin || softmetal) && cgo

package shaders_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"testing"

	"ldm-mac/bridge"
	"ldm-mac/ldm/tensor"
	"ldm-mac/metal"
)

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func gelu(x float64) float64 { return x / 2 * math.Erfc(-x/math.Sqrt2) }

func testPointwise(t *testing.T) {
	for _, op := range []struct {
		name   string
		launch func(n uint32, dtype bridge.DataType) metal.Launch
		define func(x float64) float64
	}{
		{"affine", func(n uint32, dtype bridge.DataType) metal.Launch {
			return metal.AffineArgs{N: n, Scale: -0.75, Shift: 0.25}.Launch(dtype)
		}, func(x float64) float64 { return -0.75*x + 0.25 }},
		{"silu", func(n uint32, dtype bridge.DataType) metal.Launch {
			return metal.SiLUArgs{N: n}.Launch(dtype)
		}, func(x float64) float64 { return x * sigmoid(x) }},
		{"gelu", func(n uint32, dtype bridge.DataType) metal.Launch {
			return metal.GELUArgs{N: n}.Launch(dtype)
		}, gelu},
		{"quick_gelu", func(n uint32, dtype bridge.DataType) metal.Launch {
			return metal.QuickGELUArgs{N: n}.Launch(dtype)
		}, func(x float64) float64 { return x * sigmoid(1.702*x) }},
	} {
		for _, n := range []int{1, 3, 4, 77, 1025, 3000} {
			each(t, fmt.Sprintf("%s/%d", op.name, n), func(r run) {
				x := r.normal(r.dtype, n, 0, 4)
				copy(x[n/2:], []float64{0, -60000, 60000, -200, 200, -20, 20}) // far beyond the exponential's range
				y, want := blank(r.dtype, n), make([]float64, n)
				for i := range x {
					want[i] = op.define(x[i])
				}
				r.launch(op.launch(uint32(n), r.dtype), pack(r.dtype, x), y)
				// Near 0 the error is absolute: that of exponentials near 1.
				r.within(y, r.dtype, want, func(want float64) float64 { return accuracy(r.dtype, 1) * math.Max(1, math.Abs(want)) })
			})
		}
	}
}

// testGELU finds how far the kernel's Φ is from the exact one. Its formula is good to 7.5e-8; float
// adds as much.
func testGELU(t *testing.T) {
	each(t, "grid", func(r run) {
		if r.dtype != bridge.Float32 {
			r.Skip("half hides it")
		}
		const n = 4001
		x, want := make([]float64, n), make([]float64, n)
		for i := range x {
			x[i] = float64(float32(-10 + 20*float64(i)/(n-1)))
			want[i] = gelu(x[i])
		}
		y := blank(r.dtype, n)
		r.launch(metal.GELUArgs{N: n}.Launch(r.dtype), pack(r.dtype, x), y)
		for i, v := range unpack(r.dtype, y) {
			if e := math.Abs(v - want[i]); e > 2e-7*math.Max(1, math.Abs(x[i])) {
				r.Errorf("gelu(%g) is %g, off by %.3g", x[i], v, e)
			}
		}
	})
}

func testBroadcast(t *testing.T) {
	for _, c := range []struct{ a, b tensor.Shape }{
		{tensor.Shape{}, tensor.Shape{}},
		{tensor.Shape{1}, tensor.Shape{1}},
		{tensor.Shape{2, 3, 5, 7}, tensor.Shape{2, 3, 5, 7}},
		{tensor.Shape{2, 3, 5, 7}, tensor.Shape{7}},
		{tensor.Shape{2, 3, 5, 8}, tensor.Shape{8}},
		{tensor.Shape{2, 3, 5, 7}, tensor.Shape{2, 1, 1, 7}},
		{tensor.Shape{3, 2, 5, 8}, tensor.Shape{3, 1, 1, 8}},
		{tensor.Shape{1, 16, 16, 32}, tensor.Shape{1, 1, 1, 32}},
		{tensor.Shape{2, 9, 40}, tensor.Shape{9, 40}},
		{tensor.Shape{2, 3, 5, 7}, tensor.Shape{1}},
		{tensor.Shape{2, 3, 5, 7}, tensor.Shape{2, 3, 5, 1}},
		{tensor.Shape{2, 3, 5, 7}, tensor.Shape{2, 1, 5, 1}},
		{tensor.Shape{2, 3, 5, 7}, tensor.Shape{3, 1, 7}},
		{tensor.Shape{2, 3, 2, 2, 5}, tensor.Shape{2, 3, 1, 1, 5}},
		{tensor.Shape{33, 31}, tensor.Shape{33, 1}},
	} {
		shape, stride, how, ok := metal.NewBroadcast(c.a, c.b)
		if !ok {
			t.Errorf("%s + %s has no launch", c.a, c.b)
			continue
		}
		n := uint32(c.a.Elements())
		each(t, fmt.Sprintf("%s+%s", c.a, c.b), func(r run) {
			a, b := r.normal(r.dtype, int(n), 0, 1), r.normal(r.dtype, c.b.Elements(), 0, 1)
			sum, product := make([]float64, n), make([]float64, n)
			for i := range a {
				at := b[broadcastIndex(c.a, c.b, i)]
				sum[i], product[i] = a[i]+at, a[i]*at
			}
			y := blank(r.dtype, int(n))
			r.launch(metal.AddArgs{N: n, Shape: shape, Stride: stride}.Launch(r.dtype, how), pack(r.dtype, a), pack(r.dtype, b), y)
			r.near(y, r.dtype, sum, rounding(r.dtype))
			y = blank(r.dtype, int(n))
			r.launch(metal.MulArgs{N: n, Shape: shape, Stride: stride}.Launch(r.dtype, how), pack(r.dtype, a), pack(r.dtype, b), y)
			r.near(y, r.dtype, product, rounding(r.dtype))
		})
	}
	if _, _, _, ok := metal.NewBroadcast(tensor.Shape{2, 2, 2, 2, 2}, tensor.Shape{2, 1, 2, 1, 2}); ok {
		t.Error("a broadcast along five axes that cannot be joined has a launch")
	}
}

// broadcastIndex is the element of b for element i of a.
func broadcastIndex(a, b tensor.Shape, i int) int {
	at, step := 0, 1
	for axis := len(a) - 1; axis >= 0; axis-- {
		if j := axis - (len(a) - len(b)); j >= 0 {
			at += i % a[axis] % b[j] * step
			step *= b[j]
		}
		i /= a[axis]
	}
	return at
}

func testGEGLU(t *testing.T) {
	for _, c := range []struct{ rows, d int }{{1, 1}, {3, 5}, {7, 128}, {2, 1281}, {65, 20}} {
		each(t, fmt.Sprintf("%dx%d", c.rows, c.d), func(r run) {
			x := r.normal(r.dtype, c.rows*2*c.d, 0, 2)
			var want []float64
			for row := range c.rows {
				for i := range c.d {
					want = append(want, x[row*2*c.d+i]*gelu(x[row*2*c.d+c.d+i]))
				}
			}
			y := blank(r.dtype, c.rows*c.d)
			r.launch(metal.GEGLUArgs{Rows: uint32(c.rows), D: uint32(c.d)}.Launch(r.dtype), pack(r.dtype, x), y)
			r.near(y, r.dtype, want, accuracy(r.dtype, 1))
		})
	}
}

func testCast(t *testing.T) {
	for _, n := range []int{1, 6, 1024, 2051} {
		each(t, fmt.Sprint(n), func(r run) {
			to := types[1-int(r.dtype)]
			x := r.normal(r.dtype, n, 0, 3)
			y := blank(to, n)
			r.launch(metal.CastArgs{N: uint32(n)}.Launch(r.dtype), pack(r.dtype, x), y)
			r.within(y, to, unpack(to, pack(to, x)), func(float64) float64 { return 0 })
		})
	}
}

func testCastBF16(t *testing.T) {
	special := []float64{0, math.Copysign(0, -1), 1, 1 + 1./256, 1 + 3./256, -1 - 1./256, math.MaxFloat32, math.Inf(-1),
		math.SmallestNonzeroFloat32, 0x1p-126, 0x1.02p-130}
	for _, n := range []int{1, len(special), 1030} {
		each(t, fmt.Sprint(n), func(r run) {
			if r.dtype != bridge.Float32 {
				return
			}
			x := r.normal(r.dtype, n, 0, 3)
			copy(x, special)
			want := make([]float64, n)
			for i, v := range x {
				want[i] = float64(tensor.BF16ToF32(tensor.F32ToBF16(float32(v))))
			}
			y := blank(r.dtype, n)
			r.launch(metal.CastArgs{N: uint32(n)}.LaunchBF16(), pack(r.dtype, x), y)
			for i, got := range unpack(r.dtype, y) {
				if got != want[i] {
					r.Errorf("%g became %g, want %g", x[i], got, want[i])
				}
			}
		})
	}
}

func testFinite(t *testing.T) {
	largest := map[bridge.DataType]float64{bridge.Float32: math.MaxFloat32, bridge.Float16: 65504}
	for _, c := range []struct {
		n, at int // at -1: all finite
		value float64
	}{
		{1, -1, 0}, {1, 0, math.NaN()}, {1027, -1, 0}, {1027, 1026, math.Inf(1)}, {3000, 1, math.Inf(-1)}, {3000, 2048, math.NaN()},
	} {
		each(t, fmt.Sprintf("%d/%d", c.n, c.at), func(r run) {
			x := make([]float64, c.n)
			for i := range x {
				x[i] = largest[r.dtype] * []float64{1, -1, 0, 1e-9}[i%4]
			}
			want := uint32(math.MaxUint32)
			if c.at >= 0 {
				x[c.at], want = c.value, 5
			}
			flag := binary.LittleEndian.AppendUint32(nil, math.MaxUint32)
			for _, node := range []uint32{5, 7} { // the first stays
				r.launch(metal.FiniteArgs{N: uint32(c.n), Node: node}.Launch(r.dtype), pack(r.dtype, x), flag)
			}
			if got := binary.LittleEndian.Uint32(flag); got != want {
				r.Errorf("the flag is %d, want %d", got, want)
			}
		})
	}
}
