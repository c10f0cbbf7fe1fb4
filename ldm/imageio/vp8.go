package imageio

import "image"

// fromVP8 converts the planes of a lossy WebP, which x/image/webp hands over as if they were those
// of a JPEG. VP8's luma runs from 16 to 235 (ITU-R BT.601; RFC 6386, section 9.2), and its chroma is
// interpolated, as libwebp does (src/dsp/yuv.h, upsampling.c), in the same integers. alpha, nil or
// [h, stride], is straight.
func fromVP8(m *image.YCbCr, alpha []uint8, stride int) *image.NRGBA {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	columns, rows := (w+1)/2, (h+1)/2
	out := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		// Of the four samples of chroma around a pixel the nearest counts 9, its two neighbours 3
		// each, the one across 1; at the edges samples repeat.
		near := y / 2 * m.CStride
		far := min(max(y/2+2*(y%2)-1, 0), rows-1) * m.CStride
		for x := range w {
			i, j := x/2, min(max(x/2+2*(x%2)-1, 0), columns-1)
			chroma := func(plane []uint8) int {
				n, s := int(plane[near+i]), int(plane[near+j])+int(plane[far+i])
				return ((n+3*s+int(plane[far+j])+8)>>3 + n) >> 1
			}
			u, v := chroma(m.Cb), chroma(m.Cr)
			luma := int(m.Y[y*m.YStride+x]) * 19077 >> 8
			p := out.Pix[out.PixOffset(x, y):][:4]
			p[0] = clip6(luma + v*26149>>8 - 14234)
			p[1] = clip6(luma - u*6419>>8 - v*13320>>8 + 8708)
			p[2] = clip6(luma + u*33050>>8 - 17685)
			p[3] = 255
			if alpha != nil {
				p[3] = alpha[y*stride+x]
			}
		}
	}
	return out
}

// clip6 is a level from its fixed-point number of 6 fractional bits.
func clip6(v int) uint8 { return uint8(min(max(v>>6, 0), 255)) }
