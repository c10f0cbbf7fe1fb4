//go:build (darwin || softmetal) && cgo

package shaders_test

import (
	"fmt"
	"slices"
	"testing"

	"ldm-mac/bridge"
	"ldm-mac/ldm/tensor"
	"ldm-mac/metal"
)

// exact is the bound of kernels that only move elements.
func exact(float64) float64 { return 0 }

func testPermute(t *testing.T) {
	for _, c := range []struct {
		shape tensor.Shape
		perm  []int
	}{
		{tensor.Shape{1}, []int{0}},
		{tensor.Shape{5, 7}, []int{1, 0}},
		{tensor.Shape{2, 9, 3, 8}, []int{0, 2, 1, 3}}, // heads
		{tensor.Shape{2, 9, 3, 5}, []int{0, 2, 1, 3}},
		{tensor.Shape{2, 3, 5, 7}, []int{0, 3, 1, 2}}, // channels first
		{tensor.Shape{2, 3, 5, 7}, []int{3, 2, 1, 0}},
		{tensor.Shape{4, 8, 8, 4}, []int{0, 2, 3, 1}},
		{tensor.Shape{6, 5, 4}, []int{0, 1, 2}},
		{tensor.Shape{2, 3, 4, 5, 6}, []int{0, 3, 4, 1, 2}},
		{tensor.Shape{33, 1, 40, 8}, []int{2, 1, 0, 3}},
	} {
		args, ok := metal.NewPermute(c.shape, c.perm)
		if !ok {
			t.Errorf("permutation %v of %s has no launch", c.perm, c.shape)
			continue
		}
		each(t, fmt.Sprintf("%s/%v", c.shape, c.perm), func(r run) {
			x := r.normal(r.dtype, c.shape.Elements(), 0, 1)
			want := make([]float64, len(x))
			shape := make(tensor.Shape, len(c.perm))
			for i, axis := range c.perm {
				shape[i] = c.shape[axis]
			}
			for i := range want {
				position, rest := make([]int, len(shape)), i
				for axis, from := range slices.Backward(c.perm) {
					position[from] = rest % shape[axis]
					rest /= shape[axis]
				}
				at := 0
				for axis, p := range position {
					at = at*c.shape[axis] + p
				}
				want[i] = x[at]
			}
			y := blank(r.dtype, len(x))
			r.launch(args.Launch(r.dtype), pack(r.dtype, x), y)
			r.within(y, r.dtype, want, exact)
		})
	}
	if _, ok := metal.NewPermute(tensor.Shape{2, 2, 2, 2, 2}, []int{4, 3, 2, 1, 0}); ok {
		t.Error("a permutation of five axes that cannot be joined has a launch")
	}
}

func testCopy(t *testing.T) {
	for _, c := range []metal.CopyArgs{
		{Rows: 1, D: 1, LdX: 1, LdY: 1},
		{Rows: 5, D: 8, LdX: 8, OffsetY: 4, LdY: 20},
		{Rows: 9, D: 40, OffsetX: 40, LdX: 120, LdY: 40},
		{Rows: 6, D: 7, OffsetX: 3, LdX: 11, LdY: 7},
		{Rows: 6, D: 7, LdX: 7, OffsetY: 2, LdY: 9},
		{Rows: 300, D: 5, OffsetX: 1, LdX: 6, OffsetY: 3, LdY: 8},
	} {
		each(t, fmt.Sprintf("%+v", c), func(r run) {
			x := r.normal(r.dtype, int(c.Rows*c.LdX), 0, 1)
			want := make([]float64, c.Rows*c.LdY)
			y := pack(r.dtype, want)
			for row := range c.Rows {
				copy(want[row*c.LdY+c.OffsetY:][:c.D], x[row*c.LdX+c.OffsetX:])
			}
			r.launch(c.Launch(r.dtype), pack(r.dtype, x), y)
			r.within(y, r.dtype, want, exact)
		})
	}
}

func testRow(t *testing.T) {
	for _, c := range []struct {
		args  metal.RowArgs
		index float64
		want  int // row
	}{
		{metal.RowArgs{Rows: 1, D: 1}, 0, 0},
		{metal.RowArgs{Rows: 5, D: 8}, 3, 3},
		{metal.RowArgs{Rows: 5, D: 7}, 4, 4},
		{metal.RowArgs{Rows: 3, D: 1300}, 1, 1},
		{metal.RowArgs{Rows: 2050, D: 3}, 2049, 2049},
		{metal.RowArgs{Rows: 5, D: 6}, -7, 0},
		{metal.RowArgs{Rows: 5, D: 6}, 5, 4},
		{metal.RowArgs{Rows: 5, D: 6}, 1e30, 4},
	} {
		each(t, fmt.Sprintf("%+v/%g", c.args, c.index), func(r run) {
			d := int(c.args.D)
			x := r.normal(r.dtype, int(c.args.Rows)*d, 0, 1)
			y := blank(r.dtype, d)
			r.launch(c.args.Launch(r.dtype), pack(r.dtype, x), pack(bridge.Float32, []float64{c.index}), y)
			r.within(y, r.dtype, x[c.want*d:][:d], exact)
		})
	}
}

// pixel is element c of pixel (i, row, column) of x [n, h, w, c], 0 outside.
func pixel(x []float64, h, w, channels, i, row, column, c int) float64 {
	if row < 0 || row >= h || column < 0 || column >= w {
		return 0
	}
	return x[((i*h+row)*w+column)*channels+c]
}

// image computes every element of [n, h, w, c].
func image(n, h, w, c int, element func(i, row, column, c int) float64) []float64 {
	y := make([]float64, 0, n*h*w*c)
	for i := range n * h * w * c {
		y = append(y, element(i/(h*w*c), i/(w*c)%h, i/c%w, i%c))
	}
	return y
}

func testPad(t *testing.T) {
	for _, c := range []metal.PadArgs{
		{N: 1, H: 1, W: 1, C: 1, OutH: 1, OutW: 1},
		{N: 2, H: 3, W: 5, C: 7, OutH: 6, OutW: 6, Top: 1, Left: 1},
		{N: 2, H: 4, W: 4, C: 8, OutH: 5, OutW: 5},
		{N: 1, H: 3, W: 2, C: 12, OutH: 6, OutW: 9, Top: 3, Left: 2},
	} {
		each(t, fmt.Sprintf("%+v", c), func(r run) {
			h, w, channels := int(c.H), int(c.W), int(c.C)
			x := r.normal(r.dtype, int(c.N)*h*w*channels, 0, 1)
			want := image(int(c.N), int(c.OutH), int(c.OutW), channels, func(i, row, column, ch int) float64 {
				return pixel(x, h, w, channels, i, row-int(c.Top), column-int(c.Left), ch)
			})
			y := blank(r.dtype, len(want))
			r.launch(c.Launch(r.dtype), pack(r.dtype, x), y)
			r.within(y, r.dtype, want, exact)
		})
	}
}

func testUpsample(t *testing.T) {
	for _, c := range []metal.UpsampleArgs{{N: 1, H: 1, W: 1, C: 1}, {N: 2, H: 3, W: 5, C: 7}, {N: 2, H: 4, W: 3, C: 32}} {
		each(t, fmt.Sprintf("%+v", c), func(r run) {
			n, h, w, channels := int(c.N), int(c.H), int(c.W), int(c.C)
			x := r.normal(r.dtype, n*h*w*channels, 0, 1)
			want := image(n, 2*h, 2*w, channels, func(i, row, column, ch int) float64 {
				return pixel(x, h, w, channels, i, row/2, column/2, ch)
			})
			y := blank(r.dtype, len(want))
			r.launch(c.Launch(r.dtype), pack(r.dtype, x), y)
			r.within(y, r.dtype, want, exact)
		})
	}
}

func testAvgPool2D(t *testing.T) {
	for _, c := range []metal.AvgPool2DArgs{{N: 1, H: 2, W: 2, C: 1}, {N: 2, H: 6, W: 4, C: 7}, {N: 3, H: 8, W: 10, C: 32}} {
		each(t, fmt.Sprintf("%+v", c), func(r run) {
			n, h, w, channels := int(c.N), int(c.H), int(c.W), int(c.C)
			x := r.normal(r.dtype, n*h*w*channels, 0, 1)
			want := image(n, h/2, w/2, channels, func(i, row, column, ch int) float64 {
				sum := 0.0
				for tap := range 4 {
					sum += pixel(x, h, w, channels, i, 2*row+tap/2, 2*column+tap%2, ch)
				}
				return sum / 4
			})
			y := blank(r.dtype, len(want))
			r.launch(c.Launch(r.dtype), pack(r.dtype, x), y)
			r.near(y, r.dtype, want, accuracy(r.dtype, 4))
		})
	}
}
