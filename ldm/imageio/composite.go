package imageio

import (
	"fmt"
	"image"
)

// Paste lays generated over original where the mask says so, as the last step of inpainting: a
// level v mixes v/255 of generated with the rest of original, weighted by their alpha, rounded to
// nearest. Pixels of level 0 are those of original in every bit. All three have one size.
func Paste(generated, original *image.NRGBA, mask *Mask) (*image.NRGBA, error) {
	size := image.Pt(mask.Width, mask.Height)
	if generated.Rect.Size() != size || original.Rect.Size() != size {
		return nil, fmt.Errorf("imageio: paste a picture of size %v over one of %v by a mask of %v, want one size",
			generated.Rect.Size(), original.Rect.Size(), size)
	}
	over, under := packed(generated).Pix, packed(original).Pix
	out := image.NewNRGBA(image.Rectangle{Max: size})
	for i, v := range mask.Level {
		p, q, to := over[4*i:][:4], under[4*i:][:4], out.Pix[4*i:][:4]
		a, b := int(v)*int(p[3]), int(255-v)*int(q[3])
		switch {
		case v == 0 || a+b == 0:
			copy(to, q)
		case v == 255:
			copy(to, p)
		default:
			for c := range 3 {
				to[c] = uint8((a*int(p[c]) + b*int(q[c]) + (a+b)/2) / (a + b))
			}
			to[3] = uint8((a + b + 127) / 255)
		}
	}
	return out, nil
}

// WithAlpha is m with the transparency of another picture, scaled to m's size with Lanczos: an
// upscaling model makes the colours, which have no transparency.
func WithAlpha(m, from *image.NRGBA) (*image.NRGBA, error) {
	m, from = packed(m), packed(from)
	alpha := &Mask{from.Rect.Dx(), from.Rect.Dy(), make([]uint8, len(from.Pix)/4)}
	for i := range alpha.Level {
		alpha.Level[i] = from.Pix[4*i+3]
	}
	alpha, err := alpha.Resized(m.Rect.Dx(), m.Rect.Dy(), Lanczos)
	if err != nil {
		return nil, err
	}
	out := image.NewNRGBA(m.Rect)
	copy(out.Pix, m.Pix)
	for i, v := range alpha.Level {
		out.Pix[4*i+3] = v
	}
	return out, nil
}
