package imageio

import (
	"image"
	"image/color"
	"math"
	"strings"
	"testing"
)

func TestPSNR(t *testing.T) {
	gray := func(level uint8) image.Image { return filled(4, 3, color.NRGBA{level, level, level, 255}) }
	one := filled(4, 3, color.NRGBA{100, 100, 100, 255}).(*image.NRGBA)
	one.Pix[0] += 6 // MSE 36 / 36 values
	for _, c := range []struct {
		name string
		a, b image.Image
		want float64
	}{
		{"equal", gray(7), gray(7), math.Inf(1)},
		{"black and white", gray(0), gray(255), 0},
		{"one level", gray(100), gray(101), 20 * math.Log10(255)},
		{"one value", gray(100), one, 20 * math.Log10(255)},
		{"ten levels", gray(110), gray(100), 20 * math.Log10(25.5)},
	} {
		got, err := PSNR(c.a, c.b)
		// 1e-12: a few roundings of float64 in values of about 50.
		if err != nil || got != c.want && math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: %v dB, %v, want %v", c.name, got, err, c.want)
		}
	}
	for _, b := range []image.Image{filled(3, 4, color.Black), image.NewGray(image.Rectangle{})} {
		if _, err := PSNR(gray(1), b); err == nil || !strings.Contains(err.Error(), "want one size") {
			t.Errorf("size %v: error %v", b.Bounds(), err)
		}
	}
	if _, err := PSNR(image.NewGray(image.Rectangle{}), image.NewGray(image.Rectangle{})); err == nil {
		t.Error("PSNR of empty pictures")
	}
}
