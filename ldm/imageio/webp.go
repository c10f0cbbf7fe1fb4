package imageio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"

	"github.com/HugoSmits86/nativewebp"
	"golang.org/x/image/webp"
)

// maxWebP is the most pixels of a side (RFC 9649, section 3.4).
const maxWebP = 1 << 14

// encodeWebP writes a lossless WebP, in the extended form where it has metadata.
func encodeWebP(w io.Writer, img image.Image, o Options) error {
	m := toNRGBA(img, img.Bounds())
	size := m.Rect.Size()
	if size.X > maxWebP || size.Y > maxWebP {
		return fmt.Errorf("%dx%d pixels, want at most %d to a side", size.X, size.Y, maxWebP)
	}
	exif, err := exifBlock(o.Texts)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := nativewebp.Encode(&b, exactly{m}, nil); err != nil {
		return err
	}
	// The encoder limits the length of its codes by a rule of thumb that a skewed distribution of
	// colours breaks; then the file is not this picture. That is worth the time of decoding.
	if !isWebPOf(b.Bytes(), m) {
		return errors.New("the encoder cannot represent this picture, PNG can")
	}
	const header = len("RIFF????WEBP")
	pixels := b.Bytes()[header:] // one chunk
	var body []byte
	if exif != nil || o.Profile != nil {
		body = appendExtended(body, m, exif != nil, o.Profile != nil)
	}
	if o.Profile != nil {
		body = appendWebPChunk(body, "ICCP", o.Profile)
	}
	body = append(body, pixels...)
	if exif != nil {
		body = appendWebPChunk(body, "EXIF", exif)
	}
	file := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len("WEBP")+len(body)))
	_, err = w.Write(append(append(file, "WEBP"...), body...))
	return err
}

// appendExtended adds the chunk VP8X, which says what the others are (RFC 9649, section 2.7.1).
func appendExtended(b []byte, m *image.NRGBA, exif, profile bool) []byte {
	var flags byte
	for _, f := range []struct {
		set bool
		bit byte
	}{{profile, 1 << 5}, {!m.Opaque(), 1 << 4}, {exif, 1 << 3}} {
		if f.set {
			flags |= f.bit
		}
	}
	data := []byte{flags, 0, 0, 0}
	for _, side := range []int{m.Rect.Dx(), m.Rect.Dy()} {
		data = append(data, byte(side-1), byte((side-1)>>8), byte((side-1)>>16))
	}
	return appendWebPChunk(b, "VP8X", data)
}

func appendWebPChunk(b []byte, kind string, data []byte) []byte {
	b = binary.LittleEndian.AppendUint32(append(b, kind...), uint32(len(data)))
	return even(append(b, data...)) // what precedes has an even length too
}

// isWebPOf says that the file decodes to m, but for the colours of fully transparent pixels.
func isWebPOf(file []byte, m *image.NRGBA) bool {
	back, err := webp.Decode(bytes.NewReader(file))
	n, ok := back.(*image.NRGBA)
	if err != nil || !ok || n.Rect != m.Rect {
		return false
	}
	for i := 0; i < len(m.Pix); i += 4 {
		p, q := m.Pix[i:i+4], n.Pix[i:i+4]
		if p[3] != q[3] || p[3] != 0 && !bytes.Equal(p, q) {
			return false
		}
	}
	return true
}

// exactly makes a picture survive the copy that image/draw makes of it by way of premultiplied
// 16-bit colours: where NRGBA rounds these down, and a copy of low alpha loses a level, they are
// rounded up here. The way back is sample = value*0xffff/alpha>>8.
type exactly struct{ *image.NRGBA }

func (e exactly) RGBA64At(x, y int) color.RGBA64 {
	c := e.NRGBAAt(x, y)
	alpha := uint32(c.A) * 0x101
	up := func(sample uint8) uint16 { return uint16((uint32(sample)<<8*alpha + 0xfffe) / 0xffff) }
	return color.RGBA64{R: up(c.R), G: up(c.G), B: up(c.B), A: uint16(alpha)}
}
