package imageio

import (
	"fmt"
	"image"
	"math"
	"runtime"
	"sync"
)

// Filter is a kernel of Resize, with Pillow's name.
type Filter int

const (
	Nearest  Filter = iota
	Box             // the mean of the pixels covered, support 0.5
	Bilinear        // a triangle, support 1
	Bicubic         // Keys' cubic convolution with a = -0.5, support 2
	Lanczos         // a sinc windowed by a sinc, support 3
)

// Resize scales m to the given size as Pillow's Image.resize does, bit for bit (libImaging/Resample.c
// and Geometry.c are the definition): but for Nearest, colours are multiplied by alpha before and
// divided by it after; the kernel is stretched when the picture shrinks; columns are made, then rows
// (in some cases rows first), with weights in units of 2^-22 and rounded to 8 bits both times. The
// result may be m itself when the size stays.
func Resize(m *image.NRGBA, width, height int, f Filter) (*image.NRGBA, error) {
	m = packed(m)
	from, to := m.Rect.Size(), image.Pt(width, height)
	if err := checkResize(from, to); err != nil {
		return nil, err
	}
	if from == to {
		return m, nil
	}
	out := &image.NRGBA{Stride: 4 * width, Rect: image.Rectangle{Max: to}}
	if f == Nearest {
		out.Pix = nearest8(m.Pix, from, to, 4)
		return out, nil
	}
	opaque := m.Opaque()
	pix := m.Pix
	if !opaque {
		pix = premultiplied(pix)
	}
	out.Pix = resample8(pix, from, to, 4, f)
	for i := 0; i < len(out.Pix); i += 4 {
		p := out.Pix[i : i+4]
		if opaque {
			p[3] = 255 // Pillow resamples no alpha then
		} else if a := int(p[3]); a != 0 && a != 255 {
			for c := range 3 {
				p[c] = uint8(min(255*int(p[c])/a, 255))
			}
		}
	}
	return out, nil
}

// checkResize bounds the result of a resampling and what lies between its two passes.
func checkResize(from, to image.Point) error {
	if from.X < 1 || from.Y < 1 || to.X < 1 || to.Y < 1 {
		return fmt.Errorf("imageio: resize %dx%d to %dx%d pixels, want at least 1x1", from.X, from.Y, to.X, to.Y)
	}
	if to.X > maxPixels/max(to.Y, from.Y) {
		return fmt.Errorf("imageio: resize %dx%d to %dx%d pixels, want at most %d, also with one side scaled only",
			from.X, from.Y, to.X, to.Y, maxPixels)
	}
	return nil
}

// premultiplied is straight RGBA with its colours multiplied by alpha, rounded to nearest.
func premultiplied(pix []uint8) []uint8 {
	out := make([]uint8, len(pix))
	for i := 0; i < len(pix); i += 4 {
		a := uint32(pix[i+3])
		for c := range 3 {
			t := a*uint32(pix[i+c]) + 128
			out[i+c] = uint8((t>>8 + t) >> 8) // (a c)/255 rounded
		}
		out[i+3] = pix[i+3]
	}
	return out
}

// kernel is the filter's function and its support, in pixels of the larger of the two pictures. All
// products are rounded before they are added, on every processor.
func (f Filter) kernel() (w func(x float64) float64, support float64) {
	switch f {
	case Box:
		return func(x float64) float64 {
			if x > -0.5 && x <= 0.5 {
				return 1
			}
			return 0
		}, 0.5
	case Bilinear:
		return func(x float64) float64 { return max(1-math.Abs(x), 0) }, 1
	case Bicubic:
		const a = -0.5
		return func(x float64) float64 {
			x = math.Abs(x)
			switch {
			case x < 1:
				return float64(float64((float64((a+2)*x)-(a+3))*x)*x) + 1
			case x < 2:
				return (float64((float64((x-5)*x)+8)*x) - 4) * a
			}
			return 0
		}, 2
	case Lanczos:
		sinc := func(x float64) float64 {
			if x == 0 {
				return 1
			}
			x *= math.Pi
			return math.Sin(x) / x
		}
		return func(x float64) float64 {
			if x < -3 || x >= 3 {
				return 0
			}
			return sinc(x) * sinc(x/3)
		}, 3
	}
	panic(fmt.Sprintf("imageio: filter %d", f))
}

// Weights are fixed-point numbers: of 32 bits, eight are for the sample, two for kernels that
// overshoot.
const (
	precision = 32 - 8 - 2
	unit      = 1 << precision
)

// tap says how one output sample is made along one side: from the input at first on.
type tap struct {
	first  int
	weight []int32
}

// taps are the weights of a side of n samples scaled to the given number.
func (f Filter) taps(n, to int) []tap {
	w, support := f.kernel()
	scale := float64(n) / float64(to)
	stretch := max(scale, 1)
	support *= stretch
	taps := make([]tap, to)
	weights := make([]float64, 0, int(math.Ceil(support))*2+1)
	for i := range taps {
		center := float64((float64(i) + 0.5) * scale)
		first := max(int(center-support+0.5), 0)
		end := min(int(center+support+0.5), n)
		weights = weights[:0]
		sum := 0.0
		for x := first; x < end; x++ {
			v := w((float64(x) - center + 0.5) * (1 / stretch))
			weights = append(weights, v)
			sum += v
		}
		fixed := make([]int32, len(weights))
		for k, v := range weights {
			if sum != 0 {
				v /= sum
			}
			fixed[k] = int32(math.Trunc(float64(v*unit) + math.Copysign(0.5, v)))
		}
		taps[i] = tap{first, fixed}
	}
	return taps
}

// resample8 scales interleaved samples, a side only where its length changes: columns first, but
// rows where the height loses more than twice as much as the width, as Pillow does since 13.
func resample8(pix []uint8, from, to image.Point, channels int, f Filter) []uint8 {
	if from.Y-to.Y > max(2*(from.X-to.X), 0) {
		pix = resampleRows(pix, from.X*channels, from.Y, to.Y, f)
		from.Y = to.Y
	}
	if from.X != to.X {
		taps := f.taps(from.X, to.X)
		wide := make([]uint8, to.X*from.Y*channels)
		parallel(from.Y, func(first, end int) {
			for y := first; y < end; y++ {
				columns(wide[y*to.X*channels:], pix[y*from.X*channels:], taps, channels)
			}
		})
		pix = wide
	}
	if from.Y != to.Y {
		pix = resampleRows(pix, to.X*channels, from.Y, to.Y, f)
	}
	return pix
}

// resampleRows scales n rows of stride samples to the given number of rows.
func resampleRows(pix []uint8, stride, n, to int, f Filter) []uint8 {
	taps := f.taps(n, to)
	out := make([]uint8, stride*to)
	parallel(to, func(first, end int) {
		sums := make([]int32, stride)
		for y := first; y < end; y++ {
			row(out[y*stride:][:stride], pix[taps[y].first*stride:], taps[y].weight, sums)
		}
	})
	return out
}

// columns makes one row of the taps' number of pixels.
func columns(out, in []uint8, taps []tap, channels int) {
	for i, t := range taps {
		p := in[t.first*channels:]
		if channels == 4 {
			r, g, b, a := int32(unit/2), int32(unit/2), int32(unit/2), int32(unit/2)
			for _, w := range t.weight {
				q := p[:4:4]
				r += w * int32(q[0])
				g += w * int32(q[1])
				b += w * int32(q[2])
				a += w * int32(q[3])
				p = p[4:]
			}
			q := out[4*i : 4*i+4]
			q[0], q[1], q[2], q[3] = clip8(r), clip8(g), clip8(b), clip8(a)
			continue
		}
		for c := range channels {
			sum := int32(unit / 2)
			for k, w := range t.weight {
				sum += w * int32(p[k*channels+c])
			}
			out[i*channels+c] = clip8(sum)
		}
	}
}

// row makes one row of samples from the rows of that length in in. sums is scratch of that length.
func row(out, in []uint8, weight, sums []int32) {
	sums = sums[:len(out)]
	for i := range sums {
		sums[i] = unit / 2
	}
	for k, w := range weight {
		for i, v := range in[k*len(out):][:len(sums)] {
			sums[i] += w * int32(v)
		}
	}
	for i, sum := range sums {
		out[i] = clip8(sum)
	}
}

// clip8 is a sum of weighted samples as a level; a half of the unit is in it already.
func clip8(sum int32) uint8 { return uint8(min(max(sum>>precision, 0), 255)) }

// nearest8 takes for each pixel the one under its centre. The centres are summed up, not
// multiplied, in float64, as the definition does.
func nearest8(pix []uint8, from, to image.Point, channels int) []uint8 {
	centers := func(n, to int) []int {
		step := float64(n) / float64(to)
		at := make([]int, to)
		for i, x := 0, step*0.5; i < to; i, x = i+1, x+step {
			at[i] = min(int(x), n-1)
		}
		return at
	}
	columns, rows := centers(from.X, to.X), centers(from.Y, to.Y)
	out := make([]uint8, 0, to.X*to.Y*channels)
	for _, y := range rows {
		line := pix[y*from.X*channels:]
		for _, x := range columns {
			out = append(out, line[x*channels:][:channels]...)
		}
	}
	return out
}

// parallel shares out 0 to n-1 among all processors, as ranges.
func parallel(n int, work func(first, end int)) {
	workers := min(runtime.GOMAXPROCS(0), n)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() { work(n*w/workers, n*(w+1)/workers) })
	}
	group.Wait()
}
