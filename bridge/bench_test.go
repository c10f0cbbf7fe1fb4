//go:build (darwin || softmetal) && cgo

package bridge

import (
	"fmt"
	"testing"
)

// BenchmarkMatMul multiplies as a U-Net's linear layers do; it reports FLOP/s.
func BenchmarkMatMul(b *testing.B) {
	d := open(b)
	for _, dtype := range []DataType{Float32, Float16} {
		const m, n, k = 256, 640, 640
		b.Run(fmt.Sprintf("%v/%dx%dx%d", dtype, m, n, k), func(b *testing.B) {
			product := closer[*MatMul](b)(d.NewMatMul(MatMulDesc{Batch: 1, M: m, N: n, K: k, A: dtype, B: dtype, TransposeB: true}))
			x, w := filled(b, d, dtype, randoms(m*k, dtype, 1)), filled(b, d, dtype, randoms(n*k, dtype, 2))
			y := filled(b, d, dtype, make([]float32, m*n))
			for b.Loop() {
				run(b, d, func(c *Commands) error { return c.MatMul(product, x, w, nil, y) })
			}
			b.ReportMetric(2*m*n*k*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}

// BenchmarkConv2D convolves as a U-Net's residual blocks do; it reports FLOP/s.
func BenchmarkConv2D(b *testing.B) {
	d := open(b)
	desc := Conv2DDesc{N: 1, H: 32, W: 32, C: 64, Out: 64, KernelH: 3, KernelW: 3, Stride: 1, Top: 1, Bottom: 1, Left: 1, Right: 1}
	v := closer[*Conv2D](b)(d.NewConv2D(desc))
	x, w := filled(b, d, Float32, randoms(32*32*64, Float32, 1)), filled(b, d, Float32, randoms(64*64*9, Float32, 2))
	y := filled(b, d, Float32, make([]float32, 32*32*64))
	for b.Loop() {
		run(b, d, func(c *Commands) error { return c.Conv2D(v, x, w, nil, y) })
	}
	b.ReportMetric(2*32*32*64*64*9*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}

// BenchmarkDispatch is the host's time for one dispatch in a list of 100.
func BenchmarkDispatch(b *testing.B) {
	d := open(b)
	l := closer[*Library](b)(d.NewLibrary(source))
	p := closer[*Pipeline](b)(l.NewPipeline("scale", nil, nil))
	x := closer[*Buffer](b)(d.NewBuffer(64))
	args := scaleArgs{}
	bindings := []Binding{{Buffer: x}, {Buffer: x}}
	for b.Loop() {
		c, err := d.Begin("dispatches")
		check(b, err)
		for range 100 {
			check(b, c.Dispatch(p, bytesOfValue(&args), bindings, Size{1, 1, 1}, Size{32, 1, 1}, 0))
		}
		c.Close()
	}
}
