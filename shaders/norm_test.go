//go:build (darwin || softmetal) && cgo

package shaders_test

import (
	"fmt"
	"math"
	"testing"

	"ldm-mac/bridge"
	"ldm-mac/metal"
)

// moments returns the mean of x and the mean square of the differences from it.
func moments(x []float64) (mean, variance float64) {
	for _, v := range x {
		mean += v / float64(len(x))
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / float64(len(x))
	}
	return mean, variance
}

func testGroupNorm(t *testing.T) {
	const eps = 1e-5
	for _, c := range []struct {
		n, pixels, channels, groups int
		mean, std                   float64
		silu                        bool
	}{
		{1, 1, 32, 32, 0, 1, false},
		{2, 1, 64, 32, 1, 1, true},
		{1, 9, 6, 3, 0, 1, true},
		{1, 70, 33, 11, 0, 1, false},
		{2, 35, 20, 2, 0, 1, true},
		{2, 64, 320, 32, 0, 1, true},
		{1, 3000, 130, 13, 0, 1, false},
		{1, 64, 2560, 32, 0, 1, true},
		{1, 16, 640, 1, 0, 1, false},
		{2, 1000, 48, 4, 30, 0.5, false},   // cancels in E[x²]-E[x]²
		{1, 300, 8, 1, 1000, 1, true},      // likewise
		{1, 512 * 512, 4, 2, 0.5, 1, true}, // as many chunks and tiles as there are
	} {
		each(t, fmt.Sprintf("%dx%dx%d/%d", c.n, c.pixels, c.channels, c.groups), func(r run) {
			if c.pixels > 10000 && r.seed > 1 {
				r.Skip("one order of a large image")
			}
			image := c.pixels * c.channels
			x := r.normal(r.dtype, c.n*image, c.mean, c.std)
			weight, bias := r.normal(bridge.Float32, c.channels, 1, 0.5), r.normal(bridge.Float32, c.channels, 0, 0.5)
			want := make([]float64, len(x))
			width := c.channels / c.groups
			for part := range c.n * c.groups {
				first := part/c.groups*image + part%c.groups*width
				var group []float64
				for p := range c.pixels {
					group = append(group, x[first+p*c.channels:][:width]...)
				}
				mean, variance := moments(group)
				for i := range group {
					at := first + i/width*c.channels + i%width
					channel := at % c.channels
					want[at] = (x[at]-mean)/math.Sqrt(variance+eps)*weight[channel] + bias[channel]
					if c.silu {
						want[at] *= sigmoid(want[at])
					}
				}
			}
			stats, apply := metal.NewGroupNorm(c.pixels, c.channels, c.groups, eps)
			partial, y := blank(bridge.Float32, c.n*stats.Partial()/4), blank(r.dtype, len(x))
			r.launch(stats.Launch(r.dtype, c.n), pack(r.dtype, x), partial)
			r.launch(apply.Launch(r.dtype, c.n, c.silu), pack(r.dtype, x), partial, pack(bridge.Float32, weight), pack(bridge.Float32, bias), y)
			// The mean is known to a rounding; divided by the deviation that is an error of the result.
			r.near(y, r.dtype, want, accuracy(r.dtype, c.pixels*width)+4*c.mean/c.std*rounding(bridge.Float32))
		})
	}
}

func testLayerNorm(t *testing.T) {
	const eps = 1e-5
	for _, c := range []struct {
		rows, d   int
		mean, std float64
	}{
		{1, 1, 0, 1}, {3, 5, 0, 1}, {1, 4, 0, 1}, {9, 320, 0, 1}, {17, 77, 2, 1}, {8, 33, 0, 1}, {3, 1280, 500, 1}, {2, 768, 0, 10},
	} {
		each(t, fmt.Sprintf("%dx%d", c.rows, c.d), func(r run) {
			x := r.normal(r.dtype, c.rows*c.d, c.mean, c.std)
			if c.d > 700 {
				x[0] = unpack(r.dtype, pack(r.dtype, []float64{c.mean + 300*c.std}))[0] // as text encoders have
			}
			weight, bias := r.normal(bridge.Float32, c.d, 1, 0.5), r.normal(bridge.Float32, c.d, 0, 0.5)
			want := make([]float64, len(x))
			for row := range c.rows {
				mean, variance := moments(x[row*c.d:][:c.d])
				for i := range c.d {
					want[row*c.d+i] = (x[row*c.d+i]-mean)/math.Sqrt(variance+eps)*weight[i] + bias[i]
				}
			}
			y := blank(r.dtype, len(x))
			r.launch(metal.LayerNormArgs{Rows: uint32(c.rows), D: uint32(c.d), Eps: eps}.Launch(r.dtype),
				pack(r.dtype, x), pack(bridge.Float32, weight), pack(bridge.Float32, bias), y)
			r.near(y, r.dtype, want, accuracy(r.dtype, c.d)+4*c.mean/c.std*rounding(bridge.Float32))
		})
	}
}

func testSoftmax(t *testing.T) {
	for _, c := range []struct {
		rows, d int
		std     float64
		scale   float64
	}{
		{1, 1, 1, 1}, {3, 77, 2, 1}, {9, 256, 5, 0.5}, {2, 4096, 3, 1}, {1, 16384, 1, 1}, {5, 130, 2, 1}, {17, 33, 2, 0.125}, {4, 64, 2000, 1},
	} {
		each(t, fmt.Sprintf("%dx%d", c.rows, c.d), func(r run) {
			x := r.normal(r.dtype, c.rows*c.d, 0, c.std)
			want := make([]float64, len(x))
			for row := range c.rows {
				softmax(want[row*c.d:][:c.d], x[row*c.d:][:c.d], c.scale)
			}
			// Errors of a logit, relative to the largest, become relative errors of the result.
			logits := 8 * c.std * c.scale * rounding(bridge.Float32)
			args := metal.SoftmaxArgs{Rows: uint32(c.rows), D: uint32(c.d), Scale: float32(c.scale)}
			y := blank(r.dtype, len(x))
			r.launch(args.Launch(r.dtype, r.dtype), pack(r.dtype, x), y)
			r.near(y, r.dtype, want, accuracy(r.dtype, c.d)+logits)
			if r.dtype == bridge.Float32 {
				y := blank(bridge.Float16, len(x))
				r.launch(args.Launch(bridge.Float32, bridge.Float16), pack(r.dtype, x), y)
				r.near(y, bridge.Float16, want, accuracy(bridge.Float16, c.d)+logits)
			}
		})
	}
}

// softmax sets y to exp(scale·x)/Σexp(scale·x).
func softmax(y, x []float64, scale float64) {
	largest, sum := math.Inf(-1), 0.0
	for _, v := range x {
		largest = max(largest, scale*v)
	}
	for i, v := range x {
		y[i] = math.Exp(scale*v - largest)
		sum += y[i]
	}
	for i := range y {
		y[i] /= sum
	}
}
