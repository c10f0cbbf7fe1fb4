// Package imageio takes pictures across the program's border: files to 8-bit images and back, with
// transparency, orientation, colour profile and generation parameters; images to numbers and back;
// masks; terminals.
//
// A PNG carries its parameters as text chunks (PNG third edition, section 11.3.3), which image/png
// neither writes nor shows; this package puts them behind the header of what image/png writes, and
// reads them with every length bounded. Other formats carry them in EXIF data. Their wording is that
// of AUTOMATIC1111's web UI, which the field's programs read.
//
// Resampling is that of Pillow, in the same fixed-point arithmetic, since the reference pipelines
// resize with it; golang.org/x/image/draw, which computes in floating point and has no Lanczos, gives
// other levels. Colours are not managed: a profile is carried along, not applied.
package imageio

import (
	"fmt"
	"image"
	"math"
)

// Rounding is how a sample becomes one of 256 levels.
type Rounding int

const (
	// HalfToEven is the rule of diffusers (image_processor.py, numpy_to_pil: round).
	HalfToEven Rounding = iota
	// Truncate is the rule of CompVis' scripts (numpy's astype(uint8)). It is lossy: of a picture
	// that ToFloats made, some samples come back one level lower.
	Truncate
)

// ToFloats converts m to [h, w, 3] in [-1, 1]: 2 (x/255) - 1, each step in float32, as diffusers
// (image_processor.py, VaeImageProcessor: pil_to_numpy, normalize) and CompVis' scripts do.
// Transparency is left out.
func ToFloats(m *image.NRGBA) []float32 {
	m = packed(m)
	x := make([]float32, len(m.Pix)/4*3)
	for i := range x {
		x[i] = 2*(float32(m.Pix[i/3*4+i%3])/255) - 1
	}
	return x
}

// FromFloats converts decoder output x, [h, w, 3] in [-1, 1], to an opaque image: x/2 + 0.5 clamped
// to [0, 1], times 255, rounded to a level by the given rule. A NaN, the mark of an overflow in the
// model, is an error.
func FromFloats(x []float32, height, width int, rounding Rounding) (*image.NRGBA, error) {
	pixels := len(x) / 3
	if height < 1 || width < 1 || len(x)%3 != 0 || pixels%width != 0 || pixels/width != height {
		return nil, fmt.Errorf("imageio: %d values do not make an image of shape [%d, %d, 3]", len(x), height, width)
	}
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	for i, v := range x {
		if v != v {
			return nil, fmt.Errorf("imageio: decoder output is not a number at row %d, column %d, channel %d",
				i/3/width, i/3%width, i%3)
		}
		level := min(max(v/2+0.5, 0), 1) * 255
		if rounding == HalfToEven {
			level = float32(math.RoundToEven(float64(level)))
		}
		m.Pix[i/3*4+i%3] = uint8(level)
	}
	for i := 3; i < len(m.Pix); i += 4 {
		m.Pix[i] = 255
	}
	return m, nil
}
