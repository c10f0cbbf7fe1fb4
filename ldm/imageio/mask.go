package imageio

import (
	"fmt"
	"image"
	"math"
)

// Mask says for each pixel of a picture how much of it is made anew: 255 all, 0 nothing. Its
// methods return masks of their own and leave it as it is.
type Mask struct {
	Width, Height int     // pixels
	Level         []uint8 // [h, w]
}

// NewMask reads a mask as the field's programs read the files of --mask: by its luminance, which is
// that of Pillow's convert("L"), ITU-R 601-2. White is made anew. A transparent pixel counts as
// black: the luminance is multiplied by alpha.
func NewMask(m *image.NRGBA) *Mask {
	m = packed(m)
	mask := &Mask{m.Rect.Dx(), m.Rect.Dy(), make([]uint8, len(m.Pix)/4)}
	for i := range mask.Level {
		p := m.Pix[4*i:][:4]
		luminance := (19595*uint32(p[0]) + 38470*uint32(p[1]) + 7471*uint32(p[2]) + 0x8000) >> 16
		mask.Level[i] = uint8((luminance*uint32(p[3]) + 127) / 255)
	}
	return mask
}

// MaskOfHole is the mask of the transparent parts of a picture, in which OpenAI's image API, and
// painting programs, say what is to be made anew: 255 - alpha.
func MaskOfHole(m *image.NRGBA) *Mask {
	m = packed(m)
	mask := &Mask{m.Rect.Dx(), m.Rect.Dy(), make([]uint8, len(m.Pix)/4)}
	for i := range mask.Level {
		mask.Level[i] = 255 - m.Pix[4*i+3]
	}
	return mask
}

// each is the mask of the same size with level(v) in place of each level v.
func (m *Mask) each(level func(v uint8) uint8) *Mask {
	out := &Mask{m.Width, m.Height, make([]uint8, len(m.Level))}
	for i, v := range m.Level {
		out.Level[i] = level(v)
	}
	return out
}

// Inverted swaps what is kept and what is made anew.
func (m *Mask) Inverted() *Mask { return m.each(func(v uint8) uint8 { return 255 - v }) }

// Binary has no grey: what is at least one half becomes 255, the rest 0. CompVis' scripts/inpaint.py
// and diffusers' mask_processor (do_binarize) both do so before the model sees a mask. Grey has its
// use in Paste.
func (m *Mask) Binary() *Mask {
	return m.each(func(v uint8) uint8 {
		if float32(v)/255 < 0.5 {
			return 0
		}
		return 255
	})
}

// Empty says that nothing is to be made anew.
func (m *Mask) Empty() bool {
	for _, v := range m.Level {
		if v != 0 {
			return false
		}
	}
	return true
}

// Floats are the levels divided by 255, in float32: [h, w] in [0, 1].
func (m *Mask) Floats() []float32 {
	x := make([]float32, len(m.Level))
	for i, v := range m.Level {
		x[i] = float32(v) / 255
	}
	return x
}

// Resized scales the mask as Resize does a grey picture.
func (m *Mask) Resized(width, height int, f Filter) (*Mask, error) {
	from, to := image.Pt(m.Width, m.Height), image.Pt(width, height)
	if err := checkResize(from, to); err != nil {
		return nil, err
	}
	out := &Mask{Width: width, Height: height}
	if f == Nearest {
		out.Level = nearest8(m.Level, from, to, 1)
	} else {
		out.Level = resample8(m.Level, from, to, 1, f)
	}
	return out, nil
}

// Fitted is the mask for a picture of the given size. A mask of another size is scaled with
// Lanczos, as diffusers does, if it has the picture's shape up to one pixel; any other is an error:
// stretched, it would cover something else.
func (m *Mask) Fitted(width, height int) (*Mask, error) {
	if m.Width == width && m.Height == height {
		return m, nil
	}
	// The side that follows from the other one, to scale.
	follows := float64(m.Width) * float64(height) / float64(max(m.Height, 1))
	if tolerance := max(1, float64(width)/float64(max(m.Width, 1))); math.Abs(follows-float64(width)) > tolerance {
		return nil, fmt.Errorf("imageio: a mask of %dx%d pixels for a picture of %dx%d, want one of its shape",
			m.Width, m.Height, width, height)
	}
	return m.Resized(width, height, Lanczos)
}

// maxBlur bounds the radius of a blur, in pixels.
const maxBlur = 256

// Blurred is the mask under a Gaussian whose standard deviation is radius, 0 to 256 pixels; beyond
// the edges it goes on as at the edge. Paste then hides the seam. Products are rounded before they are
// added, so that every processor gives the same.
func (m *Mask) Blurred(radius float64) (*Mask, error) {
	if !(radius >= 0 && radius <= maxBlur) {
		return nil, fmt.Errorf("imageio: blur of %g pixels, want 0 to %d", radius, maxBlur)
	}
	reach := int(math.Ceil(4 * radius)) // what lies outside adds up to 6e-5, a 60th of a level
	weight := make([]float32, 2*reach+1)
	sum := 0.0
	for i := range weight {
		sum += gauss(i-reach, radius)
	}
	for i := range weight {
		weight[i] = float32(gauss(i-reach, radius) / sum)
	}
	w, h := m.Width, m.Height
	wide := make([]float32, w*h)
	parallel(h, func(first, end int) {
		for y := first; y < end; y++ {
			for x := range w {
				var s float32
				for k, g := range weight {
					s += float32(g * float32(m.Level[y*w+min(max(x+k-reach, 0), w-1)]))
				}
				wide[y*w+x] = s
			}
		}
	})
	out := &Mask{w, h, make([]uint8, w*h)}
	parallel(h, func(first, end int) {
		line := make([]float32, w)
		for y := first; y < end; y++ {
			clear(line)
			for k, g := range weight {
				from := wide[min(max(y+k-reach, 0), h-1)*w:][:w]
				for x, v := range from {
					line[x] += float32(g * v)
				}
			}
			for x, v := range line {
				out.Level[y*w+x] = uint8(min(v+0.5, 255))
			}
		}
	})
	return out, nil
}

// gauss is exp(-x²/2σ²), for σ = 0 that of a point.
func gauss(x int, sigma float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Exp(-float64(x*x) / (2 * sigma * sigma))
}
