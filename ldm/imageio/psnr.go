package imageio

import (
	"fmt"
	"image"
	"image/color"
	"math"
)

// PSNR is the peak signal-to-noise ratio of two pictures of one size, in decibels:
// 10 log10(255² / MSE), the mean taken over red, green and blue at 8 bits; transparency is left
// out. It is +Inf for equal pictures.
func PSNR(a, b image.Image) (float64, error) {
	size := a.Bounds().Size()
	if size != b.Bounds().Size() || size.X == 0 || size.Y == 0 {
		return 0, fmt.Errorf("imageio: PSNR of pictures of size %v and %v, want one size above zero", size, b.Bounds().Size())
	}
	var sum float64
	for y := range size.Y {
		for x := range size.X {
			p := nrgba(a, x, y)
			q := nrgba(b, x, y)
			for _, d := range [...]int{int(p.R) - int(q.R), int(p.G) - int(q.G), int(p.B) - int(q.B)} {
				sum += float64(d * d)
			}
		}
	}
	mse := sum / float64(3*size.X*size.Y)
	return 10 * math.Log10(255*255/mse), nil
}

// nrgba is the pixel x columns and y rows from the upper left corner of m.
func nrgba(m image.Image, x, y int) color.NRGBA {
	at := m.Bounds().Min.Add(image.Pt(x, y))
	return color.NRGBAModel.Convert(m.At(at.X, at.Y)).(color.NRGBA)
}
