// Package imageio takes pictures across the program's border: decoder output to 8-bit images,
// files with their generation parameters inside, terminals.
//
// A PNG carries its parameters as text chunks (PNG third edition, section 11.3.3), which image/png
// neither writes nor shows; this package puts them behind the header of what image/png writes, and
// reads them with every length bounded. Their wording is that of AUTOMATIC1111's web UI, which the
// field's programs read.
package imageio

import (
	"fmt"
	"image"
	"math"
)

// FromFloats converts decoder output x, [h, w, 3] in [-1, 1], to an opaque image: x/2 + 0.5 clamped
// to [0, 1], times 255, rounded half to even, as diffusers does (image_processor.py, VaeImageProcessor:
// denormalize, pt_to_numpy, numpy_to_pil). A NaN, the mark of an overflow in the model, is an error.
func FromFloats(x []float32, height, width int) (*image.NRGBA, error) {
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
		m.Pix[i/3*4+i%3] = uint8(math.RoundToEven(float64(level)))
	}
	for i := 3; i < len(m.Pix); i += 4 {
		m.Pix[i] = 255
	}
	return m, nil
}
