package imageio

import (
	"image"
	"image/color"
	"image/draw"
)

// toNRGBA is m on a transparent canvas, as 8 bits with straight alpha and its corner at (0, 0),
// without gaps between rows. It is m itself where m is that already.
func toNRGBA(m image.Image, canvas image.Rectangle) *image.NRGBA {
	size := canvas.Size()
	full := m.Bounds() == canvas
	if n, ok := m.(*image.NRGBA); ok && full && canvas.Min == (image.Point{}) && n.Stride == 4*size.X {
		return n
	}
	out := image.NewNRGBA(image.Rectangle{Max: size})
	if o, ok := m.(interface{ Opaque() bool }); ok && full && o.Opaque() {
		// Of an opaque picture both kinds of alpha are the same bytes; for this one image/draw
		// knows the fast ways.
		draw.Draw(&image.RGBA{Pix: out.Pix, Stride: out.Stride, Rect: out.Rect}, out.Rect, m, canvas.Min, draw.Src)
		return out
	}
	var palette []color.NRGBA
	p, paletted := m.(*image.Paletted)
	if paletted {
		for _, c := range p.Palette {
			palette = append(palette, color.NRGBAModel.Convert(c).(color.NRGBA))
		}
	}
	b := m.Bounds().Intersect(canvas)
	for y := b.Min.Y; y < b.Max.Y; y++ {
		to := out.Pix[out.PixOffset(b.Min.X-canvas.Min.X, y-canvas.Min.Y):]
		for x := b.Min.X; x < b.Max.X; x, to = x+1, to[4:] {
			var c color.NRGBA
			switch m := m.(type) {
			case *image.NRGBA:
				c = m.NRGBAAt(x, y)
			case *image.NRGBA64:
				// Not through color.Color, whose alpha is premultiplied: straight samples stay exact.
				s := m.NRGBA64At(x, y)
				c = color.NRGBA{uint8(s.R >> 8), uint8(s.G >> 8), uint8(s.B >> 8), uint8(s.A >> 8)}
			case *image.Paletted:
				if i := int(m.ColorIndexAt(x, y)); i < len(palette) {
					c = palette[i]
				}
			default:
				c = color.NRGBAModel.Convert(m.At(x, y)).(color.NRGBA)
			}
			to[0], to[1], to[2], to[3] = c.R, c.G, c.B, c.A
		}
	}
	return out
}

// packed is m with its corner at (0, 0) and without gaps between rows, m itself where it is so.
func packed(m *image.NRGBA) *image.NRGBA { return toNRGBA(m, m.Bounds()) }

// upright turns a picture of the given EXIF orientation (Exif 3.0, tag Orientation; TIFF 6.0,
// section 8), in which the first row and the first column of the file are those sides of the
// upright picture: 1 top left, 2 top right, 3 bottom right, 4 bottom left, 5 left top, 6 right top,
// 7 right bottom, 8 left bottom. Any other number counts as 1.
func upright(m *image.NRGBA, orientation int) *image.NRGBA {
	if orientation < 2 || orientation > 8 {
		return m
	}
	w, h := m.Rect.Dx(), m.Rect.Dy()
	size := image.Pt(w, h)
	if orientation >= 5 {
		size = image.Pt(h, w)
	}
	out := image.NewNRGBA(image.Rectangle{Max: size})
	for y := range size.Y {
		for x := range size.X {
			var column, row int // in m
			switch orientation {
			case 2:
				column, row = w-1-x, y
			case 3:
				column, row = w-1-x, h-1-y
			case 4:
				column, row = x, h-1-y
			case 5:
				column, row = y, x
			case 6:
				column, row = y, h-1-x
			case 7:
				column, row = w-1-y, h-1-x
			case 8:
				column, row = w-1-y, x
			}
			copy(out.Pix[4*(y*size.X+x):][:4], m.Pix[4*(row*w+column):])
		}
	}
	return out
}

// onWhite is m without its transparency: each sample c of alpha a becomes (a c + (255-a) 255) / 255,
// rounded to nearest.
func onWhite(m *image.NRGBA) *image.NRGBA {
	m = packed(m)
	if m.Opaque() {
		return m
	}
	out := image.NewNRGBA(m.Rect)
	for i := 0; i < len(m.Pix); i += 4 {
		a := int(m.Pix[i+3])
		for c := range 3 {
			out.Pix[i+c] = uint8((a*int(m.Pix[i+c]) + (255-a)*255 + 127) / 255)
		}
		out.Pix[i+3] = 255
	}
	return out
}
