package imageio

import (
	"bytes"
	"encoding/base64"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ldm-mac/ldm/goldentest"
)

// webp1x1 is a lossless WebP picture of one pixel, 26 bytes.
const webp1x1 = "UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA=="

func TestRead(t *testing.T) {
	var jpg bytes.Buffer
	if err := jpeg.Encode(&jpg, ramp(7, 5), nil); err != nil {
		t.Fatal(err)
	}
	webp, err := base64.StdEncoding.DecodeString(webp1x1)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		data []byte
		want image.Point
	}{
		{"PNG", encode(t, ramp(7, 5)), image.Pt(7, 5)},
		{"JPEG", jpg.Bytes(), image.Pt(7, 5)},
		{"WebP", webp, image.Pt(1, 1)},
	} {
		m, err := Read(bytes.NewReader(c.data))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if got := m.Image.Bounds().Size(); got != c.want {
			t.Errorf("%s: size %v, want %v", c.name, got, c.want)
		}
	}
}

func TestReadErrors(t *testing.T) {
	header := func(size string) []byte {
		return appendChunk([]byte(signature), "IHDR", []byte(size+"\x08\x02\x00\x00\x00"))
	}
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "not a picture in a known format, want PNG, JPEG, WebP, TIFF, BMP or GIF"},
		{"text", []byte("hello"), "not a picture in a known format"},
		{"8192x8193", header("\x00\x00\x20\x00\x00\x00\x20\x01"), "PNG picture of 8192x8193 pixels, want at least 1x1 and at most 67108864 pixels"},
		{"8192x8192 without pixels", header("\x00\x00\x20\x00\x00\x00\x20\x00"), "PNG picture of 8192x8192 pixels: unexpected EOF"},
		{"no height", header("\x00\x00\x00\x01\x00\x00\x00\x00"), "non-positive dimension"},
		{"cut", encode(t, ramp(9, 9))[:40], "unexpected EOF"},
	} {
		if _, err := Read(bytes.NewReader(c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
}

func TestReadFileErrors(t *testing.T) {
	folder := t.TempDir()
	text := filepath.Join(folder, "text.png")
	if err := os.WriteFile(text, []byte("no picture"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{text, folder, filepath.Join(folder, "missing.png")} {
		if _, err := ReadFile(name); err == nil || !strings.HasPrefix(err.Error(), "imageio: ") || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want one that names %s", err, name)
		}
	}
}

func TestGoldenBrokenPNG(t *testing.T) {
	var c struct {
		Cases []struct{ File, Wrong, Must string }
	}
	f := goldentest.Open(t, "broken", &c)
	n := 0
	for _, broken := range c.Cases {
		if !strings.HasPrefix(broken.File, "png/") {
			continue
		}
		n++
		name := f.Path(broken.File)
		var err error
		// 1 MiB: the largest of the files is 20 kB, zlib's window and the readers' buffers are below 100 kB.
		if got := allocated(func() { _, err = ReadFile(name) }); got > 1<<20 {
			t.Errorf("%s: %d bytes allocated, want less than 1 MiB", broken.File, got)
		}
		t.Logf("%s (%s): %v", broken.File, broken.Wrong, err)
		switch {
		case err == nil && broken.Must == "refuse":
			t.Errorf("%s was read: %s", broken.File, broken.Wrong)
		case err != nil && broken.Must == "read":
			t.Errorf("%s: %v", broken.File, err)
		case err != nil && !strings.Contains(err.Error(), name):
			t.Errorf("error %q does not name %s", err, name)
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ReadText(bytes.NewReader(data)); err != nil && broken.Must == "read" {
			t.Errorf("%s: text: %v", broken.File, err)
		}
	}
	f.Count(n)
}

func FuzzRead(f *testing.F) {
	for _, encode := range encoders {
		var b bytes.Buffer
		if err := encode(&b, ramp(3, 2)); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	for _, name := range []string{"lossy.webp", "orientation8.webp", "orientation6.tif", "progressive.jpg", "cmyk.jpg", "palette.png"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const limit = 1 << 16 // small pictures, so that time goes into the format
		in, err := read(bytes.NewReader(data), limit)
		if err != nil {
			return
		}
		size := in.Image.Rect.Size()
		if size.X < 1 || size.Y < 1 || size.X*size.Y > limit || in.Image.Rect.Min != (image.Point{}) || len(in.Image.Pix) != 4*size.X*size.Y {
			t.Errorf("bounds %v, %d bytes, want 1 to %d pixels", in.Image.Rect, len(in.Image.Pix), limit)
		}
	})
}
