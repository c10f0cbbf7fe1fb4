package imageio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// iccProfile is the header of a profile for a colour space, and size-128 more bytes.
func iccProfile(space string, size int) []byte {
	p := make([]byte, size)
	for i := range p {
		p[i] = byte(i * i >> 3)
	}
	copy(p[16:], space)
	copy(p[36:], "acsp")
	return p
}

var written = []Format{PNG, JPEG, WebP, TIFF}

// What is written with a picture is read again: texts, profile, transparency and, but for JPEG, each
// sample.
func TestEncodeFormats(t *testing.T) {
	texts := []Text{
		{ParametersKeyword, "a cat, 猫 🐈\nNegative prompt: dog\nSteps: 20, Sampler: DDIM, Seed: 1"},
		{"ldm-mac", `{"prompt":"naïve"}`},
		{"Software", ""},
	}
	for _, format := range written {
		for _, m := range []*image.NRGBA{gradient(), glass()} {
			for _, o := range []Options{
				{}, {Texts: texts}, {Profile: iccProfile("RGB ", 131)}, {Texts: texts[:1], Profile: iccProfile("RGB ", 70001)}, {Texts: texts[1:]},
			} {
				name := fmt.Sprintf("%s, opaque %v, %d texts, %d bytes of profile", format, m.Opaque(), len(o.Texts), len(o.Profile))
				var b bytes.Buffer
				if err := Encode(&b, format, m, o); err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				data := slices.Clone(b.Bytes())
				in, err := Read(&b)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				if in.Format != format || !bytes.Equal(in.Profile, o.Profile) || in.Depth != 8 {
					t.Errorf("%s: %s, %d bytes of profile, depth %d", name, in.Format, len(in.Profile), in.Depth)
				}
				switch {
				case format == JPEG:
					if db, err := PSNR(in.Image, onWhite(m)); err != nil || db < 30 || in.Alpha { // colour has half the resolution
						t.Errorf("%s: %.1f dB (%v), alpha %v", name, db, err, in.Alpha)
					}
				case in.Alpha == m.Opaque() || !sameColours(in.Image, m):
					t.Errorf("%s: another picture", name)
				}
				got, err := ReadText(bytes.NewReader(data))
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if diff := cmp.Diff(o.Texts, got); diff != "" {
					t.Errorf("%s: %s", name, diff)
				}
				var again bytes.Buffer
				if err := Encode(&again, format, m, o); err != nil || !bytes.Equal(again.Bytes(), data) {
					t.Errorf("%s: a second encoding differs (%v)", name, err)
				}
			}
		}
	}
}

// sameColours says that two pictures are the same but for the colour of what is transparent.
func sameColours(a, b *image.NRGBA) bool {
	if a.Rect != b.Rect {
		return false
	}
	for i := 0; i < len(a.Pix); i += 4 {
		if p, q := a.Pix[i:i+4], b.Pix[i:i+4]; p[3] != q[3] || p[3] != 0 && !bytes.Equal(p, q) {
			return false
		}
	}
	return true
}

// Every pair of a sample and an alpha above zero survives where nothing is lost.
func TestEncodeEveryAlpha(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 256, 256))
	for a := range 256 {
		for v := range 256 {
			m.SetNRGBA(v, a, color.NRGBA{uint8(v), uint8(255 - v), uint8(v ^ a), uint8(a)})
		}
	}
	for _, format := range []Format{PNG, WebP, TIFF} {
		var b bytes.Buffer
		if err := Encode(&b, format, m, Options{}); err != nil {
			t.Fatal(err)
		}
		in, err := Read(&b)
		if err != nil {
			t.Fatal(err)
		}
		if !sameColours(in.Image, m) {
			t.Errorf("%s: samples changed", format)
		}
	}
}

// A WebP that the encoder gets wrong is not written. Levels here halve in frequency each, which wants
// prefix codes longer than the 15 bits that the format has.
func TestEncodeWebPSkewed(t *testing.T) {
	wrong := 0
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 1))
		level := func() uint8 {
			v := uint8(min(-math.Log2(1-r.Float64()), 120))
			if r.IntN(2) == 0 {
				return -v
			}
			return v
		}
		m := image.NewNRGBA(image.Rect(0, 0, 400, 400))
		for i := 0; i < len(m.Pix); i += 4 {
			green := level()
			copy(m.Pix[i:], []uint8{green + level(), green, green + level(), 255})
		}
		var b bytes.Buffer
		if err := Encode(&b, WebP, m, Options{}); err != nil {
			if wrong++; b.Len() != 0 || !strings.Contains(err.Error(), "cannot represent this picture") {
				t.Errorf("seed %d: %d bytes written, error %v", seed, b.Len(), err)
			}
			continue
		}
		in, err := Read(&b)
		if err != nil || !slices.Equal(in.Image.Pix, m.Pix) {
			t.Errorf("seed %d: another picture was written (%v)", seed, err)
		}
	}
	if wrong == 0 {
		t.Error("the encoder got all right: the check of its work is not tested")
	}
	t.Logf("%d of 8 refused", wrong)
}

func TestEncodeRefuses(t *testing.T) {
	m := ramp(3, 2)
	parameters := Text{ParametersKeyword, "x"}
	for _, c := range []struct {
		format Format
		m      image.Image
		o      Options
		want   string
	}{
		{GIF, m, Options{}, `format "GIF" cannot be written`},
		{"", m, Options{}, `format "" cannot be written`},
		{JPEG, m, Options{Quality: 101}, "quality 101, want 1 to 100"},
		{JPEG, m, Options{Quality: -1}, "quality -1"},
		{JPEG, m, Options{Texts: []Text{{"k", strings.Repeat("x", 65536)}}}, "a JPEG holds 65533"},
		{JPEG, image.NewNRGBA(image.Rect(0, 0, 65536, 1)), Options{}, "encode JPEG: jpeg: image is too large"},
		{WebP, image.NewNRGBA(image.Rect(0, 0, 16385, 1)), Options{}, "16385x1 pixels, want at most 16384 to a side"},
		{JPEG, m, Options{Texts: []Text{parameters, parameters}}, "two texts"},
		{WebP, m, Options{Texts: []Text{parameters, parameters}}, "two texts"},
		{TIFF, m, Options{Texts: []Text{parameters, parameters}}, "two texts"},
		{TIFF, m, Options{Texts: []Text{{"", "x"}}}, "0 characters"},
		{PNG, m, Options{Profile: []byte("no profile")}, "not an ICC profile"},
		{PNG, m, Options{Profile: iccProfile("CMYK", 200)}, `colour space "CMYK"`},
		{JPEG, m, Options{Profile: iccProfile("RGB ", maxProfile+1)}, "8388609 bytes, want at most 8388608"},
	} {
		var b bytes.Buffer
		if err := Encode(&b, c.format, c.m, c.o); err == nil || !strings.HasPrefix(err.Error(), "imageio: ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.format, err, c.want)
		}
		if b.Len() != 0 {
			t.Errorf("%s, %q: %d bytes were written", c.format, c.want, b.Len())
		}
	}
	for _, format := range written {
		if err := Encode(&bytes.Buffer{}, format, image.NewNRGBA(image.Rectangle{}), Options{}); err == nil {
			t.Errorf("%s: an empty picture was encoded", format)
		}
		if err := Encode(&fullDisk{left: 20}, format, m, Options{Texts: []Text{parameters}}); !errors.Is(err, errFull) {
			t.Errorf("%s on a full disk: error %v", format, err)
		}
	}
}

// A better quality is nearer and larger.
func TestEncodeQuality(t *testing.T) {
	m := glass()
	size, nearness := 0, 0.0
	for _, quality := range []int{1, 30, 75, 0, 100} { // 0 is 95
		var b bytes.Buffer
		if err := Encode(&b, JPEG, m, Options{Quality: quality}); err != nil {
			t.Fatal(err)
		}
		n := b.Len()
		in, err := Read(&b)
		if err != nil {
			t.Fatal(err)
		}
		db, err := PSNR(in.Image, onWhite(m))
		if err != nil || db <= nearness || n <= size {
			t.Errorf("quality %d: %d bytes, %.1f dB (%v); before it %d and %.1f", quality, n, db, err, size, nearness)
		}
		size, nearness = n, db
	}
}

// On white, half of black is grey, and the transparent is white whatever its colour.
func TestOnWhite(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 4, 1))
	copy(m.Pix, []uint8{0, 0, 0, 128, 9, 9, 9, 0, 10, 20, 30, 255, 100, 0, 255, 1})
	want := []uint8{127, 127, 127, 255, 255, 255, 255, 255, 10, 20, 30, 255, 254, 254, 255, 255}
	if got := onWhite(m).Pix; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// 16 bits stay 16 in a PNG.
func TestEncodeDeepPNG(t *testing.T) {
	m := image.NewNRGBA64(image.Rect(0, 0, 2, 2))
	m.SetNRGBA64(1, 0, color.NRGBA64{0x1234, 0x5678, 0x9abc, 0xffff})
	var b bytes.Buffer
	if err := Encode(&b, PNG, m, Options{}); err != nil {
		t.Fatal(err)
	}
	if in, err := Read(&b); err != nil || in.Depth != 16 {
		t.Errorf("depth %v (%v), want 16", in, err)
	}
}

// Profiles that do not belong to RGB samples, or are incomplete, are left out of what is read.
func TestReadBadProfiles(t *testing.T) {
	m := ramp(5, 3)
	segment := func(number, count byte, part []byte) []byte {
		return append([]byte(profilePrefix), append([]byte{number, count}, part...)...)
	}
	p := iccProfile("RGB ", 300)
	for name, c := range map[string]struct {
		data []byte
		want bool
	}{
		"JPEG whole":        {jpegWith(t, m, 0xe2, segment(1, 1, p)), true},
		"JPEG out of order": {jpegWith(t, m, 0xe2, segment(2, 2, p[100:]), segment(1, 2, p[:100])), true},
		"JPEG part missing": {jpegWith(t, m, 0xe2, segment(1, 3, p[:100]), segment(3, 3, p[100:])), false},
		"JPEG no count":     {jpegWith(t, m, 0xe2, segment(1, 0, p)), false},
		"JPEG grey":         {jpegWith(t, m, 0xe2, segment(1, 1, iccProfile("GRAY", 300))), false},
		"JPEG empty":        {jpegWith(t, m, 0xe2, segment(1, 1, nil)), false},
		"WebP CMYK":         {webpWith(t, m, "ICCP", iccProfile("CMYK", 300)), false},
		"WebP whole":        {webpWith(t, m, "ICCP", p), true},
		"PNG bomb": {slices.Insert(encode(t, m), afterIHDR, appendChunk(nil, "iCCP",
			[]byte("p\x00\x00"+deflate(string(iccProfile("RGB ", maxProfile+1)))))...), false},
		"PNG no zlib":   {slices.Insert(encode(t, m), afterIHDR, appendChunk(nil, "iCCP", []byte("p\x00\x00xxxx"))...), false},
		"PNG no method": {slices.Insert(encode(t, m), afterIHDR, appendChunk(nil, "iCCP", []byte("p\x00"))...), false},
	} {
		in, err := Read(bytes.NewReader(c.data))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if (in.Profile != nil) != c.want || c.want && !bytes.Equal(in.Profile, p) {
			t.Errorf("%s: %d bytes of profile, want them: %v", name, len(in.Profile), c.want)
		}
	}
}

// Whatever a file holds after its first bytes, looking for metadata ends without panic, and finds
// no more than is there.
func FuzzMetadata(f *testing.F) {
	o := Options{Texts: []Text{{ParametersKeyword, "a"}}, Profile: iccProfile("RGB ", 140)}
	for _, format := range written {
		var b bytes.Buffer
		if err := Encode(&b, format, ramp(2, 2), o); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		i, err := sniff(data)
		if err != nil {
			return
		}
		meta := readMetadata(decoders[i].format, data)
		if len(meta.exif) > len(data) || len(meta.profile) > maxProfile && len(meta.profile) > len(data) {
			t.Errorf("%d bytes of EXIF data, %d of profile in a file of %d", len(meta.exif), len(meta.profile), len(data))
		}
		if decoders[i].format == TIFF { // its depth, too, is read from the tags
			depth(TIFF, data)
		}
	})
}

// The parts of a file from Encode have the places that the formats give them.
func TestEncodeLayout(t *testing.T) {
	o := Options{Texts: []Text{{ParametersKeyword, "é"}}, Profile: iccProfile("RGB ", 128)}
	var b bytes.Buffer
	if err := Encode(&b, JPEG, ramp(2, 2), o); err != nil {
		t.Fatal(err)
	}
	if want := "\xff\xd8\xff\xe1"; !strings.HasPrefix(b.String(), want) || b.String()[6:12] != exifPrefix {
		t.Errorf("JPEG starts with %q", b.String()[:12])
	}
	if !strings.Contains(b.String(), "UNICODE\x00\x00\xe9") {
		t.Error("JPEG has no big-endian UserComment")
	}
	b.Reset()
	if err := Encode(&b, WebP, glass(), o); err != nil {
		t.Fatal(err)
	}
	if size := binary.LittleEndian.Uint32(b.Bytes()[4:]); int(size) != b.Len()-8 {
		t.Errorf("RIFF of %d bytes, want %d", size, b.Len()-8)
	}
	want := "WEBPVP8X\x0a\x00\x00\x00\x38\x00\x00\x00\x17\x00\x00\x0f\x00\x00ICCP"
	if !strings.HasPrefix(b.String()[8:], want) {
		t.Errorf("WebP starts with %q, want %q", b.String()[8:38], want)
	}
	b.Reset()
	if err := Encode(&b, PNG, ramp(2, 2), o); err != nil {
		t.Fatal(err)
	}
	if s := b.String(); strings.Contains(s, "sRGB") || s[afterIHDR+4:afterIHDR+8] != "iCCP" {
		t.Error("a PNG with a profile has another chunk first, or sRGB too")
	}
}
