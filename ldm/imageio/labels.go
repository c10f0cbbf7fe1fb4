package imageio

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"os"
)

// LabelMap says of every pixel of a picture what class it shows.
type LabelMap struct {
	Classes       []uint8 // [height, width], row by row
	Height, Width int
}

// DecodeLabelsFile decodes the label map in the named file; see DecodeLabels. Its errors name the
// file.
func DecodeLabelsFile(name string, palette color.Palette) (*LabelMap, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("imageio: %w", err)
	}
	defer f.Close()
	m, err := decodeLabels(f, palette)
	if err != nil {
		return nil, fmt.Errorf("imageio: %s: %w", name, err)
	}
	return m, nil
}

// DecodeLabels decodes a PNG whose pixels are classes, with palette holding the colours of all of
// them, at most 256:
//
//   - In a grey picture of any depth the level is the class, as in COCO-Stuff's label maps.
//   - In a picture with a palette of its own the index is the class. Its colours do not count, but an
//     index with another class's colour fails: it does not say which of both is meant.
//   - In a picture of red, green and blue the colour in palette is.
//
// A level, index or colour that is none of a class fails with its pixel, and so do unlabeled pixels
// (255 in COCO-Stuff's label maps) and transparent ones.
func DecodeLabels(r io.Reader, palette color.Palette) (*LabelMap, error) {
	m, err := decodeLabels(r, palette)
	if err != nil {
		return nil, fmt.Errorf("imageio: %w", err)
	}
	return m, nil
}

func decodeLabels(r io.Reader, palette color.Palette) (*LabelMap, error) {
	data, err := readAll(r, maxFile)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(data, []byte(signature)) {
		return nil, errors.New("not a PNG, which a label map has to be: other formats change its values")
	}
	picture, _, err := decode(data, maxPixels)
	if err != nil {
		return nil, err
	}
	size := picture.Bounds().Size()
	m := &LabelMap{make([]uint8, size.X*size.Y), size.Y, size.X}
	class := classOf(picture, palette, int(data[pngDepth]), data[pngColour]&pngRGB == 0)
	for i := range m.Classes {
		x, y := i%size.X, i/size.X
		c, err := class(x, y)
		if err != nil {
			return nil, fmt.Errorf("label map of %dx%d pixels: column %d, row %d %w", size.X, size.Y, x, y, err)
		}
		m.Classes[i] = c
	}
	return m, nil
}

// classOf reads the class of a pixel, or says what it has instead.
func classOf(picture image.Image, palette color.Palette, depth int, grey bool) func(x, y int) (uint8, error) {
	value := func(v int) (uint8, error) {
		switch {
		case v < len(palette):
			return uint8(v), nil
		case v == 255:
			return 0, fmt.Errorf("is 255, unlabeled, want a class from 0 to %d: the model has none for unlabeled pixels", len(palette)-1)
		}
		return 0, fmt.Errorf("is %d, want a class from 0 to %d", v, len(palette)-1)
	}
	if p, ok := picture.(*image.Paletted); ok {
		places := coloursOf(palette)
		return func(x, y int) (uint8, error) {
			index := p.ColorIndexAt(x, y)
			place, ok := places[opaque(p.Palette[index])]
			if ok && place != index && !isGrey(p.Palette[index]) {
				return 0, fmt.Errorf("has index %d and the colour of class %d: save it as RGB to go by the colours, "+
					"or in grey to go by the indices", index, place)
			}
			return value(int(index))
		}
	}
	if grey {
		// A decoder spreads what has fewer bits to all levels of 8.
		spread := 255 / (1<<min(depth, 8) - 1)
		return func(x, y int) (uint8, error) {
			c := color.NRGBA64Model.Convert(picture.At(x, y)).(color.NRGBA64)
			if c.A != 0xffff {
				return 0, errors.New("is transparent, want opaque pixels")
			}
			if depth > 8 {
				return value(int(c.R))
			}
			return value(int(c.R>>8) / spread)
		}
	}
	places := coloursOf(palette)
	return func(x, y int) (uint8, error) {
		c := color.NRGBA64Model.Convert(picture.At(x, y)).(color.NRGBA64)
		if c.A != 0xffff {
			return 0, errors.New("is transparent, want opaque pixels")
		}
		if place, ok := places[c]; ok {
			return place, nil
		}
		return 0, fmt.Errorf("has the colour #%02x%02x%02x, which is that of no class: draw without smoothing, "+
			"and scale by the nearest pixel", c.R>>8, c.G>>8, c.B>>8)
	}
}

// coloursOf gives the class of each colour.
func coloursOf(palette color.Palette) map[color.NRGBA64]uint8 {
	places := make(map[color.NRGBA64]uint8, len(palette))
	for i, c := range palette {
		places[opaque(c)] = uint8(i)
	}
	return places
}

func opaque(c color.Color) color.NRGBA64 {
	n := color.NRGBA64Model.Convert(c).(color.NRGBA64)
	n.A = 0xffff
	return n
}

// isGrey tells the palettes that only show indices, as a ramp, from those with colours of their own.
func isGrey(c color.Color) bool {
	n := opaque(c)
	return n.R == n.G && n.G == n.B
}
