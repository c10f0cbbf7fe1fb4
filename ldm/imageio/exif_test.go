package imageio

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The letters are pixels as the file stores them, and as they stand upright (Exif 3.0, tag
// Orientation): 6, a camera turned to the left, has the first row of the file at the right.
func TestUpright(t *testing.T) {
	stored := letters("abc", "def")
	for orientation, want := range map[int][]string{
		0: {"abc", "def"}, 1: {"abc", "def"}, 9: {"abc", "def"},
		2: {"cba", "fed"},
		3: {"fed", "cba"},
		4: {"def", "abc"},
		5: {"ad", "be", "cf"},
		6: {"da", "eb", "fc"},
		7: {"fc", "eb", "da"},
		8: {"cf", "be", "ad"},
	} {
		if got := upright(stored, orientation); !slices.Equal(got.Pix, letters(want...).Pix) || got.Rect != letters(want...).Rect {
			t.Errorf("orientation %d: %v %q, want %q", orientation, got.Rect, got.Pix, want)
		}
	}
}

func letters(rows ...string) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, len(rows[0]), len(rows)))
	for y, row := range rows {
		for x, c := range row {
			m.SetNRGBA(x, y, color.NRGBA{uint8(c), 0, 0, 255})
		}
	}
	return m
}

// Each container's orientation is applied, all eight, in both byte orders.
func TestReadOrientation(t *testing.T) {
	stored := letters("abc", "def")
	var plain bytes.Buffer
	if err := Encode(&plain, TIFF, stored, Options{}); err != nil {
		t.Fatal(err)
	}
	for orientation := 1; orientation <= 8; orientation++ {
		big := exifOf(t, binary.BigEndian, orientation)
		little := exifOf(t, binary.LittleEndian, orientation)
		data := encode(t, stored)
		files := map[string][]byte{
			"PNG":                     slices.Insert(data, afterIHDR, appendChunk(nil, "eXIf", little)...),
			"WebP":                    webpWith(t, stored, "EXIF", big),
			"WebP with JPEG's prefix": webpWith(t, stored, "EXIF", append([]byte(exifPrefix), little...)),
		}
		tiffFile, err := openTIFF(slices.Clone(plain.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		fields := append(tiffFile.fields(tiffFile.first), field{tagOrientation, typeShort, []byte{byte(orientation), 0}})
		if files["TIFF"], err = addTags(tiffFile.data, binary.LittleEndian, fields, nil); err != nil {
			t.Fatal(err)
		}
		want := upright(stored, orientation)
		for name, data := range files {
			in, err := Read(bytes.NewReader(data))
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if !slices.Equal(in.Image.Pix, want.Pix) || in.Image.Rect != want.Rect {
				t.Errorf("%s, orientation %d: %v %q", name, orientation, in.Image.Rect, in.Image.Pix)
			}
		}
		for _, exif := range [][]byte{big, little} {
			data := jpegWith(t, ramp(5, 3), 0xe1, append([]byte(exifPrefix), exif...))
			in, err := Read(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if tall := in.Image.Rect.Dy() == 5; tall != (orientation >= 5) {
				t.Errorf("JPEG, orientation %d: %v", orientation, in.Image.Rect)
			}
		}
	}
}

func exifOf(t *testing.T, order binary.AppendByteOrder, orientation int) []byte {
	t.Helper()
	header := []byte("II*\x00\x00\x00\x00\x00")
	if order == binary.AppendByteOrder(binary.BigEndian) {
		header = []byte("MM\x00*\x00\x00\x00\x00")
	}
	value := order.AppendUint16(nil, uint16(orientation))
	exif, err := addTags(header, order, []field{{0x010f, 2, []byte("a camera\x00")}, {tagOrientation, typeShort, value}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return exif
}

// jpegWith is m as a JPEG with a segment of the given data.
func jpegWith(t *testing.T, m image.Image, marker byte, data ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Encode(&b, JPEG, m, Options{}); err != nil {
		t.Fatal(err)
	}
	var extra []byte
	for _, d := range data {
		extra = appendSegment(extra, marker, d)
	}
	return slices.Insert(b.Bytes(), 2, extra...)
}

// webpWith is m as a WebP with a further chunk.
func webpWith(t *testing.T, m *image.NRGBA, kind string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Encode(&b, WebP, m, Options{}); err != nil {
		t.Fatal(err)
	}
	pixels := b.Bytes()[12:]
	body := appendWebPChunk(append(appendExtended(nil, m, true, true), pixels...), kind, data)
	file := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(4+len(body)))
	return append(append(file, "WEBP"...), body...)
}

func TestExifTexts(t *testing.T) {
	utf16le := "a\x00 \x00c\x00a\x00t\x00"
	utf16be := "\x00a\x00 \x00c\x00a\x00t"
	for name, c := range map[string]struct {
		order   binary.AppendByteOrder
		comment string
		want    string // the text, or a part of the error
		fails   bool
	}{
		"as the web UI":             {binary.BigEndian, commentUnicode + utf16be, "a cat", false},
		"web UI, little-endian":     {binary.LittleEndian, commentUnicode + utf16be, "a cat", false},
		"little-endian":             {binary.LittleEndian, commentUnicode + utf16le, "a cat", false},
		"mark, little-endian":       {binary.BigEndian, commentUnicode + "\xff\xfe" + utf16le, "a cat", false},
		"mark, big-endian":          {binary.LittleEndian, commentUnicode + "\xfe\xff" + utf16be, "a cat", false},
		"low bytes zero":            {binary.BigEndian, commentUnicode + "\x01\x00\x02\x00", "ĀȀ", false},
		"end mark":                  {binary.BigEndian, commentUnicode + utf16be + "\x00\x00", "a cat", false},
		"surrogates":                {binary.BigEndian, commentUnicode + "\xd8\x3d\xdc\x08", "🐈", false},
		"ASCII":                     {binary.BigEndian, commentASCII + "a cat\x00\x00", "a cat", false},
		"no encoding, UTF-8":        {binary.BigEndian, commentUndefined + "ca\u0301t  ", "ca\u0301t", false},
		"no encoding, Latin-1":      {binary.BigEndian, commentUndefined + "caf\xe9", "café", false},
		"empty":                     {binary.BigEndian, commentUnicode, "", false},
		"blank":                     {binary.BigEndian, commentASCII + "    ", "", false},
		"JIS":                       {binary.BigEndian, "JIS\x00\x00\x00\x00\x00abc", `UserComment: encoding "JIS`, true},
		"shorter than its encoding": {binary.BigEndian, "ASC", "", false},
	} {
		header := []byte("II*\x00\x00\x00\x00\x00")
		if c.order == binary.AppendByteOrder(binary.BigEndian) {
			header = []byte("MM\x00*\x00\x00\x00\x00")
		}
		b, at := appendDirectory(header, c.order, []field{{tagUserComment, typeUndefined, []byte(c.comment)}})
		b, err := addTags(b, c.order, []field{{tagExif, typeLong, c.order.AppendUint32(nil, at)}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		texts, err := exifTexts(b)
		switch {
		case c.fails && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		case c.fails:
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want == "" && len(texts) != 0 || c.want != "" && !slices.Equal(texts, []Text{{ParametersKeyword, c.want}}):
			t.Errorf("%s: %q, want %q", name, texts, c.want)
		}
	}
}

// Directories that lie, loop or point outside are passed over.
func TestHostileTIFF(t *testing.T) {
	for name, data := range map[string]string{
		"nothing":              "",
		"header only":          "II*\x00\x08\x00\x00\x00",
		"offset outside":       "II*\x00\xff\xff\xff\xff",
		"own header":           "II*\x00\x00\x00\x00\x00",
		"65535 entries":        "II*\x00\x08\x00\x00\x00\xff\xff" + "\x12\x01\x03\x00\x01\x00\x00\x00\x09\x00\x00\x00",
		"type 0":               "II*\x00\x08\x00\x00\x00\x01\x00" + "\x12\x01\x00\x00\x01\x00\x00\x00\x06\x00\x00\x00",
		"type 65535":           "II*\x00\x08\x00\x00\x00\x01\x00" + "\x12\x01\xff\xff\x01\x00\x00\x00\x06\x00\x00\x00",
		"2^32-1 values":        "II*\x00\x08\x00\x00\x00\x01\x00" + "\x12\x01\x0c\x00\xff\xff\xff\xff\x06\x00\x00\x00",
		"no values":            "II*\x00\x08\x00\x00\x00\x01\x00" + "\x12\x01\x03\x00\x00\x00\x00\x00\x06\x00\x00\x00",
		"value outside":        "II*\x00\x08\x00\x00\x00\x01\x00" + "\x12\x01\x03\x00\x09\x00\x00\x00\xf0\xff\xff\xff",
		"Exif is itself":       "II*\x00\x08\x00\x00\x00\x01\x00" + "\x69\x87\x04\x00\x01\x00\x00\x00\x08\x00\x00\x00",
		"Exif outside":         "II*\x00\x08\x00\x00\x00\x01\x00" + "\x69\x87\x04\x00\x01\x00\x00\x00\xfe\xff\xff\xff",
		"orientation of bytes": "II*\x00\x08\x00\x00\x00\x01\x00" + "\x12\x01\x01\x00\x01\x00\x00\x00\x06\x00\x00\x00",
	} {
		if got := orientation([]byte(data)); got != 1 {
			t.Errorf("%s: orientation %d, want 1", name, got)
		}
		if texts, _ := exifTexts([]byte(data)); len(texts) != 0 {
			t.Errorf("%s: texts %q", name, texts)
		}
	}
	if got := orientation([]byte("II*\x00\x08\x00\x00\x00\x01\x00" + "\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00")); got != 6 {
		t.Errorf("the control case has orientation %d, want 6", got)
	}
}

func TestMakerNoteErrors(t *testing.T) {
	for note, want := range map[string]string{
		"k":             "no end mark",
		"k\x00v":        "no end mark",
		"\x00v\x00":     "0 characters",
		"k\x00\xff\x00": "not UTF-8",
	} {
		b, at := appendDirectory([]byte("MM\x00*\x00\x00\x00\x00"), binary.BigEndian,
			[]field{{tagMakerNote, typeUndefined, []byte(makerPrefix + "first\x00text\x00" + note)}})
		b, err := addTags(b, binary.BigEndian, []field{{tagExif, typeLong, binary.BigEndian.AppendUint32(nil, at)}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		texts, err := exifTexts(b)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", note, err, want)
		}
		if diff := cmp.Diff([]Text{{"first", "text"}}, texts); diff != "" {
			t.Errorf("%q: %s", note, diff)
		}
	}
}

// Whatever EXIF data hold, reading ends without panic, and texts that were read can be written and
// read again.
func FuzzEXIF(f *testing.F) {
	block, err := exifBlock([]Text{{ParametersKeyword, "a cat, 猫"}, {"ldm-mac", "{}"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(block)
	f.Add([]byte("II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00"))
	f.Add([]byte("II*\x00\x08\x00\x00\x00\x01\x00\x69\x87\x04\x00\x01\x00\x00\x00\x08\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if n := orientation(data); n < 1 || n > 8 {
			t.Errorf("orientation %d", n)
		}
		texts, err := exifTexts(data)
		if err != nil || len(texts) == 0 || slices.ContainsFunc(texts, func(t Text) bool { return t.Validate() != nil }) ||
			slices.ContainsFunc(texts[1:], func(t Text) bool { return t.Keyword == ParametersKeyword }) {
			return
		}
		block, err := exifBlock(texts)
		if err != nil {
			t.Fatal(err)
		}
		again, err := exifTexts(block)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(texts, again); diff != "" {
			t.Error(diff)
		}
	})
}
