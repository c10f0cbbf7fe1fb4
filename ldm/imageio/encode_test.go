package imageio

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/png"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// ramp is an opaque picture without two equal neighbours.
func ramp(width, height int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			m.SetNRGBA(x, y, color.NRGBA{uint8(7 * x), uint8(11 * y), uint8(x*y + 3), 255})
		}
	}
	return m
}

func encode(t *testing.T, m image.Image, text ...Text) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Encode(&b, PNG, m, Options{Texts: text}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestEncodeTextRoundTrip(t *testing.T) {
	texts := []Text{
		{"parameters", "a cat\nNegative prompt: dog\nSteps: 20"},
		{"Comment", "Größe ½, naïve"},
		{"prompt", "猫の絵 🐈"},
		{"mañana", "x"},
		{"Software", ""},
		{strings.Repeat("k", 79), strings.Repeat("long ", 20000)},
	}
	m := ramp(5, 3)
	data := encode(t, m, texts...)
	got, err := ReadText(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(texts, got); diff != "" {
		t.Error(diff)
	}
	back, err := Read(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if db, err := PSNR(m, back.Image); err != nil || !math.IsInf(db, 1) {
		t.Errorf("PSNR %v dB (%v), want the picture unchanged", db, err)
	}
	if !bytes.Equal(data, encode(t, m, texts...)) {
		t.Error("a second encoding differs")
	}
}

// The chunks stand where the format wants them, with the bytes it wants. The CRC of this sRGB chunk
// is the one in libpng's own files: ae ce 1c e9.
func TestEncodeChunks(t *testing.T) {
	data := encode(t, ramp(5, 3), Text{"k", "é"}, Text{"k", "€"})
	if got := data[25]; got != 2 {
		t.Errorf("colour type %d, want 2: RGB without alpha", got)
	}
	want := "\x00\x00\x00\x01sRGB\x00\xae\xce\x1c\xe9" +
		"\x00\x00\x00\x03tEXtk\x00\xe9"
	if got := string(data[afterIHDR:]); !strings.HasPrefix(got, want) {
		t.Errorf("after IHDR: %q, want %q", got[:40], want)
	}
	want = "\x00\x00\x00\x09iTXtk\x00\x00\x00\x00\x00\xe2\x82\xac"
	if !bytes.Contains(data, []byte(want)) {
		t.Errorf("%q lacks %q", data, want)
	}
	if _, err := png.Decode(bytes.NewReader(data)); err != nil { // checks the CRCs
		t.Error(err)
	}
}

func TestTextValidate(t *testing.T) {
	for _, c := range []struct{ keyword, value, want string }{
		{"", "", "0 characters"},
		{strings.Repeat("k", 80), "", "80 characters, want 1 to 79"},
		{"キー", "", "of Latin-1"},
		{"a\xff", "", "of Latin-1"},
		{"a\nb", "", "unprintable character 0x0a"},
		{"a\x00b", "", "unprintable character 0x00"},
		{"a\u00a0b", "", "unprintable character 0xa0"},
		{" a", "", "leading, trailing or double space"},
		{"a ", "", "leading, trailing or double space"},
		{"a  b", "", "leading, trailing or double space"},
		{"a", "\xff", "not UTF-8"},
		{"a", "xy\x00", "NUL at byte 2"},
		{"a b", "any\ttext\n", ""},
	} {
		text := Text{c.keyword, c.value}
		err := text.Validate()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%q: error %v, want %q", text, err, c.want)
		}
		var b bytes.Buffer
		if got := Encode(&b, PNG, ramp(1, 1), Options{Texts: []Text{text}}); (got == nil) != (err == nil) {
			t.Errorf("%q: Encode says %v, Validate %v", text, got, err)
		}
	}
}

func TestEncodeErrors(t *testing.T) {
	if err := Encode(&bytes.Buffer{}, PNG, image.NewNRGBA(image.Rectangle{}), Options{}); err == nil {
		t.Error("an empty picture was encoded")
	}
	data := encode(t, ramp(5, 3), Text{"k", "v"})
	for n := range data {
		err := Encode(&fullDisk{left: n}, PNG, ramp(5, 3), Options{Texts: []Text{{"k", "v"}}})
		if !errors.Is(err, errFull) {
			t.Fatalf("disk full after %d bytes: error %v", n, err)
		}
	}
}

var errFull = errors.New("no space left on device")

// fullDisk takes left bytes and then fails.
type fullDisk struct{ left int }

func (d *fullDisk) Write(p []byte) (int, error) {
	if len(p) > d.left {
		n := d.left
		d.left = 0
		return n, errFull
	}
	d.left -= len(p)
	return len(p), nil
}

// Transparency is kept, not dropped.
func TestEncodeAlpha(t *testing.T) {
	m := ramp(2, 2)
	m.Pix[3] = 100
	back, err := Read(iotest.OneByteReader(bytes.NewReader(encode(t, m))))
	if err != nil {
		t.Fatal(err)
	}
	if got := back.Image.NRGBAAt(0, 0); got != m.NRGBAAt(0, 0) {
		t.Errorf("pixel %v, want %v", got, m.NRGBAAt(0, 0))
	}
}

func BenchmarkEncode(b *testing.B) {
	m := ramp(512, 512)
	b.SetBytes(3 * 512 * 512)
	for b.Loop() {
		if err := Encode(&bytes.Buffer{}, PNG, m, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
