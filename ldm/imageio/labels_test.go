package imageio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ldm-mac/ldm/goldentest"
)

// three are the colours of three classes; grey counts like any.
var three = color.Palette{color.RGBA{0, 0, 0, 255}, color.RGBA{128, 0, 0, 255}, color.RGBA{0, 128, 0, 255}}

func encoded(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// painted sets pixels of a picture of 3x2, row by row.
func painted[M interface {
	Set(x, y int, c color.Color)
}](m M, colours ...color.Color) M {
	for i, c := range colours {
		m.Set(i%3, i/3, c)
	}
	return m
}

var classes = []uint8{0, 1, 2, 2, 1, 0}

func TestDecodeLabels(t *testing.T) {
	box := image.Rect(0, 0, 3, 2)
	var grey, grey16, rgb []color.Color
	for _, c := range classes {
		grey, grey16, rgb = append(grey, color.Gray{c}), append(grey16, color.Gray16{uint16(c)}), append(rgb, three[c])
	}
	indexed := func(p color.Palette) image.Image {
		m := image.NewPaletted(box, p)
		copy(m.Pix, classes)
		return m
	}
	for name, m := range map[string]image.Image{
		"grey":               painted(image.NewGray(box), grey...),
		"grey of 16 bits":    painted(image.NewGray16(box), grey16...),
		"colours":            painted(image.NewNRGBA(box), rgb...),
		"colours, 16 bits":   painted(image.NewNRGBA64(box), rgb...),
		"indices":            indexed(three),
		"indices with greys": indexed(color.Palette{color.Gray{0}, color.Gray{1}, color.Gray{2}}),
		"indices of others":  indexed(color.Palette{color.RGBA{9, 8, 7, 255}, color.RGBA{1, 2, 3, 255}, color.RGBA{4, 5, 6, 255}}),
	} {
		got, err := DecodeLabels(bytes.NewReader(encoded(t, m)), three)
		if err != nil || got.Width != 3 || got.Height != 2 || !slices.Equal(got.Classes, classes) {
			t.Errorf("%s: %+v (%v), want classes %v", name, got, err, classes)
		}
	}
}

// The class is the level that a file holds, not what a decoder spreads it to.
func TestDecodeLabelsDepth(t *testing.T) {
	for _, c := range []struct {
		depth byte
		row   []byte // one filter byte and the pixels
		want  []uint8
	}{
		{1, []byte{0, 0b0110_0000}, []uint8{0, 1, 1}},
		{2, []byte{0, 0b0001_1000}, []uint8{0, 1, 2}},
		{4, []byte{0, 0x02, 0x10}, []uint8{0, 2, 1}},
		{8, []byte{0, 2, 1, 0}, []uint8{2, 1, 0}},
		{16, []byte{0, 0, 2, 0, 1, 0, 0}, []uint8{2, 1, 0}},
	} {
		got, err := DecodeLabels(bytes.NewReader(rawPNG(3, 1, c.depth, 0, c.row)), three)
		if err != nil || !slices.Equal(got.Classes, c.want) {
			t.Errorf("%d bits: %+v (%v), want %v", c.depth, got, err, c.want)
		}
	}
}

// rawPNG writes a PNG of one row of pixels without compression.
func rawPNG(width, height uint32, depth, colour byte, row []byte) []byte {
	out := []byte("\x89PNG\r\n\x1a\n")
	chunk := func(name string, data []byte) {
		body := append([]byte(name), data...)
		out = binary.BigEndian.AppendUint32(out, uint32(len(data)))
		out = append(out, body...)
		out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(body))
	}
	header := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, width), height)
	chunk("IHDR", append(header, depth, colour, 0, 0, 0))
	a, b := uint32(1), uint32(0) // Adler-32
	for _, v := range row {
		a = (a + uint32(v)) % 65521
		b = (b + a) % 65521
	}
	n := uint16(len(row))
	data := append([]byte{0x78, 1, 1, byte(n), byte(n >> 8), byte(^n), byte(^n >> 8)}, row...)
	chunk("IDAT", binary.BigEndian.AppendUint32(data, b<<16|a))
	chunk("IEND", nil)
	return out
}

func TestDecodeLabelsErrors(t *testing.T) {
	box := image.Rect(0, 0, 3, 2)
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, image.NewGray(box), nil); err != nil {
		t.Fatal(err)
	}
	mixed := image.NewPaletted(box, color.Palette{three[1], three[0]})
	mixed.Pix[4] = 1
	beyond := image.NewPaletted(box, color.Palette{three[0], three[1], three[2], color.RGBA{5, 5, 6, 255}})
	beyond.Pix[5] = 3
	clear := painted(image.NewNRGBA(box), three[0], three[1], color.NRGBA{0, 128, 0, 254})
	whole := encoded(t, image.NewGray(box))
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"level":           {encoded(t, painted(image.NewGray(box), color.Gray{0}, color.Gray{3})), "column 1, row 0 is 3, want a class from 0 to 2"},
		"unlabeled":       {encoded(t, painted(image.NewGray(box), color.Gray{255})), "is 255, unlabeled"},
		"level of 16":     {encoded(t, painted(image.NewGray16(box), color.Gray16{1 << 8})), "is 256, want"},
		"colour":          {encoded(t, painted(image.NewNRGBA(box), three[0], three[1], three[2], color.NRGBA{127, 0, 16, 255})), "column 0, row 1 has the colour #7f0010"},
		"transparent":     {encoded(t, clear), "column 2, row 0 is transparent"},
		"index":           {encoded(t, beyond), "column 2, row 1 is 3"},
		"index or colour": {encoded(t, mixed), "has index 0 and the colour of class 1"},
		"JPEG":            {photo.Bytes(), "not a PNG"},
		"nothing":         {nil, "not a PNG"},
		"short header":    {whole[:20], "header of the PNG picture: unexpected EOF"},
		"short":           {whole[:len(whole)-20], "EOF"},
		"huge":            {rawPNG(1<<20, 1<<20, 8, 0, []byte{0}), "at most"},
	} {
		_, err := DecodeLabels(bytes.NewReader(c.data), three)
		if err == nil || !strings.HasPrefix(err.Error(), "imageio: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
	name := filepath.Join(t.TempDir(), "map.png")
	if _, err := DecodeLabelsFile(name, three); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: error %v", err)
	}
	if err := os.WriteFile(name, whole[:20], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeLabelsFile(name, three); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("short file: error %v, want one that names it", err)
	}
}

// Every class of a label map is one of the palette's.
func FuzzDecodeLabels(f *testing.F) {
	if data, err := os.ReadFile(filepath.Join(goldentest.Root(), "compvis-semantic", "segmentation.png")); err == nil {
		f.Add(data)
	}
	f.Add(encoded(f, painted(image.NewNRGBA(image.Rect(0, 0, 3, 2)), three...)))
	f.Add(encoded(f, image.NewPaletted(image.Rect(0, 0, 3, 2), three)))
	f.Add(rawPNG(3, 1, 2, 0, []byte{0, 0b0001_1000}))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := DecodeLabels(bytes.NewReader(data), three)
		if err != nil {
			return
		}
		if len(m.Classes) != m.Width*m.Height || len(m.Classes) == 0 || int(slices.Max(m.Classes)) >= len(three) {
			t.Errorf("%d classes up to %d of %dx%d pixels", len(m.Classes), slices.Max(m.Classes), m.Width, m.Height)
		}
	})
}
