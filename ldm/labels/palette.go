package labels

import "image/color"

// Palette has the colours of classes 0 to n-1 in pictures of label maps, n at most 256: the colour
// map of PASCAL VOC (its development kit, VOClabelcolormap), where the bits of the number go in
// turn to red, green and blue, the lowest to the highest bit of red.
func Palette(n int) color.Palette {
	p := make(color.Palette, n)
	for i := range p {
		var c [3]uint8
		for bit := range 8 {
			c[bit%3] |= uint8(i>>bit&1) << (7 - bit/3)
		}
		p[i] = color.RGBA{c[0], c[1], c[2], 255}
	}
	return p
}
