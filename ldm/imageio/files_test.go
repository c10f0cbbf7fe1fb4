package imageio

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
)

// gradient is the picture of testdata/pictures.py.
func gradient() *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, 24, 16))
	for y := range 16 {
		for x := range 24 {
			m.SetNRGBA(x, y, color.NRGBA{uint8(10 * x), uint8(15 * y), 128, 255})
		}
	}
	return m
}

// glass is gradient with the transparency of testdata/pictures.py.
func glass() *image.NRGBA {
	m := gradient()
	for y := range 16 {
		for x := 12; x < 24; x++ {
			m.Pix[m.PixOffset(x, y)+3] = uint8(16 * y)
		}
	}
	return m
}

// Files that other programs wrote come out upright, with their profile, close to what went in.
func TestReadFiles(t *testing.T) {
	grey := gradient()
	for i, v := range NewMask(grey).Level {
		copy(grey.Pix[4*i:], []uint8{v, v, v})
	}
	for _, c := range []struct {
		name    string
		format  Format
		depth   int
		profile bool
		want    *image.NRGBA
		psnr    float64 // dB; lossy files and 16 colours are far above what a wrong channel or turn gives, 20
	}{
		{"progressive.jpg", JPEG, 8, false, gradient(), 40},
		{"cmyk.jpg", JPEG, 8, false, gradient(), 30},
		{"grey.jpg", JPEG, 8, false, grey, 40},
		{"palette.png", PNG, 8, false, gradient(), 20},
		{"orientation3.png", PNG, 8, true, glass(), math.Inf(1)},
		{"orientation6.jpg", JPEG, 8, true, gradient(), 40},
		{"orientation6.tif", TIFF, 8, true, gradient(), math.Inf(1)},
		{"orientation8.webp", WebP, 8, true, glass(), 35},
	} {
		in, err := ReadFile(filepath.Join("testdata", c.name))
		if err != nil {
			t.Error(err)
			continue
		}
		if in.Format != c.format || in.Depth != c.depth || in.Alpha == c.want.Opaque() || (in.Profile != nil) != c.profile {
			t.Errorf("%s: %s, depth %d, alpha %v, %d bytes of profile", c.name, in.Format, in.Depth, in.Alpha, len(in.Profile))
		}
		if db, err := PSNR(in.Image, c.want); err != nil || db < c.psnr {
			t.Errorf("%s: %.1f dB (%v), want at least %.1f", c.name, db, err, c.psnr)
		}
		for i := 3; i < len(c.want.Pix); i += 4 {
			if in.Image.Pix[i] != c.want.Pix[i] {
				t.Fatalf("%s: alpha %d at %d, want %d", c.name, in.Image.Pix[i], i/4, c.want.Pix[i])
			}
		}
	}
}

// The samples of a lossy WebP are libwebp's, at odd sizes too.
func TestReadLossyWebP(t *testing.T) {
	got, err := ReadFile("testdata/lossy.webp")
	if err != nil {
		t.Fatal(err)
	}
	want, err := ReadFile("testdata/lossy.png")
	if err != nil {
		t.Fatal(err)
	}
	if n := differing(got.Image.Pix, want.Image.Pix); n != 0 {
		t.Errorf("%d of %d samples differ", n, len(want.Image.Pix))
	}
}

// encoders make a file of each kind from a picture, with Go's own encoders where they exist.
var encoders = map[string]func(b *bytes.Buffer, m *image.NRGBA) error{
	"PNG":  func(b *bytes.Buffer, m *image.NRGBA) error { return png.Encode(b, m) },
	"JPEG": func(b *bytes.Buffer, m *image.NRGBA) error { return jpeg.Encode(b, m, nil) },
	"WebP": func(b *bytes.Buffer, m *image.NRGBA) error { return Encode(b, WebP, m, Options{}) },
	"TIFF": func(b *bytes.Buffer, m *image.NRGBA) error { return tiff.Encode(b, m, nil) },
	"BMP":  func(b *bytes.Buffer, m *image.NRGBA) error { return bmp.Encode(b, m) },
	"GIF":  func(b *bytes.Buffer, m *image.NRGBA) error { return gif.Encode(b, m, nil) },
}

func TestReadDepths(t *testing.T) {
	rect := image.Rect(0, 0, 3, 2)
	grey := image.NewGray16(rect)
	grey.SetGray16(1, 1, color.Gray16{0x12ff})
	deep := image.NewNRGBA64(rect)
	deep.SetNRGBA64(1, 1, color.NRGBA64{0x12ff, 0xab01, 0x0380, 0x0301})
	paletted := image.NewPaletted(rect, color.Palette{color.NRGBA{9, 8, 7, 255}, color.NRGBA{200, 100, 50, 30}})
	paletted.SetColorIndex(1, 1, 1)
	two := image.NewPaletted(rect, color.Palette{color.White, color.Black})
	encodePNG := func(m image.Image) []byte {
		var b bytes.Buffer
		if err := png.Encode(&b, m); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	deepTIFF := func(m image.Image) []byte {
		var b bytes.Buffer
		if err := tiff.Encode(&b, m, nil); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for name, c := range map[string]struct {
		data  []byte
		depth int
		want  color.NRGBA // at 1, 1
	}{
		"PNG grey 16":       {encodePNG(grey), 16, color.NRGBA{0x12, 0x12, 0x12, 255}},
		"PNG RGBA 16":       {encodePNG(deep), 16, color.NRGBA{0x12, 0xab, 0x03, 0x03}},
		"PNG palette":       {encodePNG(paletted), 8, color.NRGBA{200, 100, 50, 30}},
		"PNG two colours":   {encodePNG(two), 8, color.NRGBA{255, 255, 255, 255}},
		"PNG interlaced":    {interlaced(3, 2), 8, color.NRGBA{10, 20, 0, 255}},
		"TIFF grey 16":      {deepTIFF(grey), 16, color.NRGBA{0x12, 0x12, 0x12, 255}},
		"TIFF RGBA 16":      {deepTIFF(deep), 16, color.NRGBA{0x12, 0xab, 0x03, 0x03}},
		"GIF second corner": {smallFrame(t), 8, color.NRGBA{1, 2, 3, 255}},
	} {
		in, err := Read(bytes.NewReader(c.data))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := in.Image.NRGBAAt(1, 1); got != c.want || in.Depth != c.depth || in.Image.Rect != rect {
			t.Errorf("%s: %v at 1, 1, depth %d, bounds %v; want %v, %d, %v", name, got, in.Depth, in.Image.Rect, c.want, c.depth, rect)
		}
	}
}

// interlaced is an RGB PNG in Adam7 order with the colour (10x, 20y, 0).
func interlaced(width, height int) []byte {
	var raw []byte
	for _, p := range []struct{ x, y, dx, dy int }{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}} {
		for y := p.y; y < height; y += p.dy {
			if p.x < width {
				raw = append(raw, 0) // no filter
			}
			for x := p.x; x < width; x += p.dx {
				raw = append(raw, uint8(10*x), uint8(20*y), 0)
			}
		}
	}
	header := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(width)), uint32(height))
	b := appendChunk([]byte(signature), "IHDR", append(header, 8, 2, 0, 0, 1))
	return appendChunk(appendChunk(b, "IDAT", []byte(deflate(string(raw)))), "IEND", nil)
}

// smallFrame is a GIF of 3x2 pixels whose first frame covers one of them.
func smallFrame(t *testing.T) []byte {
	t.Helper()
	frame := func(c color.Color) *image.Paletted {
		return image.NewPaletted(image.Rect(1, 1, 2, 2), color.Palette{c})
	}
	var b bytes.Buffer
	err := gif.EncodeAll(&b, &gif.GIF{
		Image:  []*image.Paletted{frame(color.NRGBA{1, 2, 3, 255}), frame(color.White)},
		Delay:  []int{1, 1},
		Config: image.Config{Width: 3, Height: 2},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Of a file that ends early nothing is read, and the error says what it was.
func TestReadTruncated(t *testing.T) {
	m := ramp(31, 23)
	for format, encode := range encoders {
		var b bytes.Buffer
		if err := encode(&b, m); err != nil {
			t.Fatal(err)
		}
		for i := range 16 {
			data := b.Bytes()[:b.Len()*i/16]
			_, err := Read(bytes.NewReader(data))
			if err == nil || !strings.HasPrefix(err.Error(), "imageio: ") {
				t.Errorf("%s cut at %d of %d bytes: error %v", format, len(data), b.Len(), err)
			} else if _, unknown := sniff(data); unknown == nil && !strings.Contains(err.Error(), format) {
				t.Errorf("%s cut at %d of %d bytes: error %q does not name the format", format, len(data), b.Len(), err)
			}
		}
	}
}

// Headers that claim 60000x60000 pixels, or the most that the format has, are refused for their
// size, and nothing of it is allocated.
func TestReadBombs(t *testing.T) {
	const side = "\x60\xea" // 60000, little-endian
	tiffData, err := addTags([]byte("II*\x00\x00\x00\x00\x00"), binary.LittleEndian, []field{
		{0x0100, typeShort, []byte(side)}, {0x0101, typeShort, []byte(side)}, {tagBitsPerSample, typeShort, []byte{8, 0}},
		{0x0103, typeShort, []byte{1, 0}}, {0x0106, typeShort, []byte{1, 0}}, {0x0115, typeShort, []byte{1, 0}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ data, want string }{
		"PNG":  {string(appendChunk([]byte(signature), "IHDR", []byte("\x00\x00\xea\x60\x00\x00\xea\x60\x08\x02\x00\x00\x00"))), "PNG picture of 60000x60000"},
		"JPEG": {"\xff\xd8\xff\xc0\x00\x0b\x08\xea\x60\xea\x60\x01\x01\x11\x00\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00", "JPEG picture of 60000x60000"},
		"WebP": {"RIFF\x16\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00\x3f\x9c\x00\x3f\x9c\x00", "WebP picture of 40000x40000"},
		"GIF":  {"GIF89a" + side + side + "\x00\x00\x00\x2c", "GIF picture of 60000x60000"},
		"BMP": {"BM\x00\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00" + side + "\x00\x00" + side + "\x00\x00" +
			"\x01\x00\x18\x00" + strings.Repeat("\x00", 24), "BMP picture of 60000x60000"},
		"TIFF": {string(tiffData), "TIFF picture of 60000x60000"},
	} {
		var err error
		bytesUsed := allocated(func() { _, err = Read(strings.NewReader(c.data)) })
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "at most 67108864 pixels") {
			t.Errorf("%s: error %v, want %q and the limit", name, err, c.want)
		}
		if bytesUsed > 1<<20 { // the buffers of the decoders are below 100 kB
			t.Errorf("%s: %d bytes allocated, want less than 1 MiB", name, bytesUsed)
		}
	}
}

func TestReadLargeFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "large.png")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(maxFile + 1); err != nil { // a hole, no bytes on the disk
		t.Fatal(err)
	}
	want := "a file of 536870913 bytes, want at most 536870912"
	if _, err := ReadFile(name); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
	if _, err := readAll(strings.NewReader("12345"), 4); err == nil || !strings.Contains(err.Error(), "more than 4 bytes") {
		t.Errorf("error %v, want one that names the limit", err)
	}
	if b, err := readAll(strings.NewReader("1234"), 4); err != nil || string(b) != "1234" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestReadNamesHEIC(t *testing.T) {
	if _, err := Read(strings.NewReader("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic")); err == nil || !strings.Contains(err.Error(), "HEIC") {
		t.Errorf("error %v, want it to name HEIC", err)
	}
}

func TestFormatOf(t *testing.T) {
	for name, want := range map[string]Format{
		"a.png": PNG, "b/c.JPG": JPEG, "a.b.jpeg": JPEG, "x.webp": WebP, "x.tif": TIFF, "x.TIFF": TIFF,
	} {
		if got, err := FormatOf(name); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"", "png", "a.gif", "a.heic", "a.png/b"} {
		if _, err := FormatOf(name); err == nil || !strings.Contains(err.Error(), "names no format") {
			t.Errorf("%q: error %v", name, err)
		}
	}
}
