//go:build (darwin || softmetal) && cgo

package bridge

import (
	"fmt"
	"testing"
)

// bound is the relative error of a graph whose inputs are exact: sums of at most 200 products in
// float32 are off by less than 200 × 2⁻²⁴ of the sum of magnitudes; a float16 result is rounded to
// 2⁻¹¹, and may be summed in float16, 200 roundings that mostly cancel.
func bound(result DataType, wide bool) float64 {
	switch {
	case result == Float32:
		return 2e-5
	case wide:
		return 1e-3
	}
	return 1e-2
}

func TestMatMul(t *testing.T) {
	d := open(t)
	for _, desc := range []MatMulDesc{
		{Batch: 1, M: 1, N: 1, K: 1},
		{Batch: 1, M: 5, N: 7, K: 3},
		{Batch: 1, M: 33, N: 65, K: 129, TransposeB: true, Bias: true},
		{Batch: 3, M: 8, N: 16, K: 200, Bias: true},
		{Batch: 2, M: 77, N: 12, K: 40, TransposeB: true},
		{Batch: 1, M: 6, N: 17, K: 31, A: Float16, B: Float16, TransposeB: true, Bias: true},
		{Batch: 2, M: 6, N: 17, K: 31, A: Float16, B: Float16, Upcast: true},
		{Batch: 1, M: 6, N: 17, K: 31, A: Float16, B: Float32, Bias: true},
		{Batch: 1, M: 6, N: 17, K: 31, A: Float32, B: Float16, TransposeB: true, Bias: true},
	} {
		t.Run(fmt.Sprintf("%+v", desc), func(t *testing.T) {
			a, b := randoms(desc.Batch*desc.M*desc.K, desc.A, 1), randoms(desc.Batch*desc.K*desc.N, desc.B, 2)
			bias := make([]float32, desc.N)
			if desc.Bias {
				bias = randoms(desc.N, desc.B, 3)
			}
			var want []float64
			for i := range desc.Batch * desc.M {
				for j := range desc.N {
					sum := float64(bias[j])
					for k := range desc.K {
						at := i/desc.M*desc.K*desc.N + k*desc.N + j
						if desc.TransposeB {
							at = i/desc.M*desc.K*desc.N + j*desc.K + k
						}
						sum += float64(a[i*desc.K+k]) * float64(b[at])
					}
					want = append(want, sum)
				}
			}
			m := closer[*MatMul](t)(d.NewMatMul(desc))
			result := filled(t, d, desc.A, make([]float32, len(want)))
			var biasBuffer *Buffer
			if desc.Bias {
				biasBuffer = filled(t, d, desc.B, bias)
			}
			run(t, d, func(c *Commands) error {
				return c.MatMul(m, filled(t, d, desc.A, a), filled(t, d, desc.B, b), biasBuffer, result)
			})
			if got := distance(numbers(result, desc.A), want); !(got <= bound(desc.A, desc.Upcast || desc.A != desc.B)) {
				t.Errorf("the relative error is %g", got)
			}
		})
	}
}

func TestConv2D(t *testing.T) {
	d := open(t)
	for _, desc := range []Conv2DDesc{
		{N: 1, H: 1, W: 1, C: 1, Out: 1, KernelH: 1, KernelW: 1, Stride: 1},
		{N: 2, H: 5, W: 7, C: 3, Out: 4, KernelH: 3, KernelW: 3, Stride: 1, Top: 1, Bottom: 1, Left: 1, Right: 1, Bias: true},
		{N: 1, H: 8, W: 6, C: 4, Out: 5, KernelH: 3, KernelW: 3, Stride: 2, Bottom: 1, Right: 1},
		{N: 1, H: 9, W: 4, C: 2, Out: 17, KernelH: 3, KernelW: 2, Stride: 1, Top: 2, Left: 1, Bias: true},
		{N: 1, H: 4, W: 4, C: 21, Out: 6, KernelH: 3, KernelW: 3, Stride: 1, Top: 1, Bottom: 1, Left: 1, Right: 1,
			Data: Float16, Weights: Float16, Bias: true},
		{N: 1, H: 4, W: 4, C: 21, Out: 6, KernelH: 3, KernelW: 3, Stride: 1, Data: Float16, Weights: Float16, Upcast: true},
		{N: 1, H: 4, W: 4, C: 8, Out: 6, KernelH: 1, KernelW: 1, Stride: 1, Data: Float16, Weights: Float32, Bias: true},
	} {
		t.Run(fmt.Sprintf("%+v", desc), func(t *testing.T) {
			data := randoms(desc.N*desc.H*desc.W*desc.C, desc.Data, 1)
			weights := randoms(desc.Out*desc.C*desc.KernelH*desc.KernelW, desc.Weights, 2)
			bias := make([]float32, desc.Out)
			if desc.Bias {
				bias = randoms(desc.Out, desc.Weights, 3)
			}
			want := convolved(desc, data, weights, bias)
			v := closer[*Conv2D](t)(d.NewConv2D(desc))
			result := filled(t, d, desc.Data, make([]float32, len(want)))
			var biasBuffer *Buffer
			if desc.Bias {
				biasBuffer = filled(t, d, desc.Weights, bias)
			}
			run(t, d, func(c *Commands) error {
				return c.Conv2D(v, filled(t, d, desc.Data, data), filled(t, d, desc.Weights, weights), biasBuffer, result)
			})
			if got := distance(numbers(result, desc.Data), want); !(got <= bound(desc.Data, desc.Upcast || desc.Data != desc.Weights)) {
				t.Errorf("the relative error is %g", got)
			}
		})
	}
}

// convolved is the definition.
func convolved(d Conv2DDesc, data, weights, bias []float32) (out []float64) {
	for n := range d.N {
		for y := range d.OutH() {
			for x := range d.OutW() {
				for o := range d.Out {
					sum := float64(bias[o])
					for i := range d.KernelH * d.KernelW * d.C {
						kh, kw, c := i/d.C/d.KernelW, i/d.C%d.KernelW, i%d.C
						row, column := y*d.Stride+kh-d.Top, x*d.Stride+kw-d.Left
						if row >= 0 && row < d.H && column >= 0 && column < d.W {
							sum += float64(data[((n*d.H+row)*d.W+column)*d.C+c]) *
								float64(weights[((o*d.C+c)*d.KernelH+kh)*d.KernelW+kw])
						}
					}
					out = append(out, sum)
				}
			}
		}
	}
	return out
}

// TestGraphOrder multiplies in place of itself in one list of commands: each graph reads what the one
// before it wrote, in memory of one heap.
func TestGraphOrder(t *testing.T) {
	d := open(t)
	const n, size = 4, 4 * 4 * 4
	align := d.Info().HeapAlignment
	step := (size + align - 1) / align * align
	h := closer[*Heap](t)(d.NewHeap(2 * step))
	x, y := closer[*Buffer](t)(h.NewBuffer(0, size)), closer[*Buffer](t)(h.NewBuffer(step, size))
	double := make([]float32, n*n) // 2·identity
	for i := range n {
		double[i*n+i] = 2
	}
	start := randoms(n*n, Float32, 1)
	store(x, Float32, start)
	m := closer[*MatMul](t)(d.NewMatMul(MatMulDesc{Batch: 1, M: n, N: n, K: n}))
	twice := filled(t, d, Float32, double)
	run(t, d, func(c *Commands) error {
		for range 5 {
			if err := c.MatMul(m, x, twice, nil, y); err != nil {
				return err
			}
			if err := c.MatMul(m, y, twice, nil, x); err != nil {
				return err
			}
		}
		return nil
	})
	for i, v := range numbers(x, Float32) {
		if v != start[i]*1024 {
			t.Fatalf("element %d is %g, want 1024 × %g", i, v, start[i])
		}
	}
}

// TestGraphCache uses one shape twice, and then many once.
func TestGraphCache(t *testing.T) {
	d := open(t)
	desc := MatMulDesc{Batch: 1, M: 2, N: 2, K: 2}
	a := closer[*MatMul](t)(d.NewMatMul(desc))
	before := LiveObjects()
	b := closer[*MatMul](t)(d.NewMatMul(desc))
	if a.g != b.g || LiveObjects() != before {
		t.Error("the same product was compiled twice")
	}
	if a.Desc() != desc {
		t.Errorf("the descriptor is %+v", a.Desc())
	}
	for n := range 200 {
		m, err := d.NewMatMul(MatMulDesc{Batch: 1, M: n + 1, N: 1, K: 1})
		check(t, err)
		m.Close()
		m.Close()
	}
	if grown := LiveObjects() - before; grown > maxIdleGraphs {
		t.Errorf("%d graphs are kept, want at most %d", grown, maxIdleGraphs)
	}
	c := closer[*Conv2D](t)(d.NewConv2D(Conv2DDesc{N: 1, H: 1, W: 1, C: 1, Out: 1, KernelH: 1, KernelW: 1, Stride: 1}))
	if c.Desc().Out != 1 {
		t.Errorf("the descriptor is %+v", c.Desc())
	}
	d.Close() // before the graphs in use
}
