package imageio

import (
	"bytes"
	"compress/zlib"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pngOf is a signature, an IHDR of a 1x1 picture, the given chunks and IEND: no pixels, which
// ReadText does not ask for.
func pngOf(chunks ...[]byte) []byte {
	b := appendChunk([]byte(signature), "IHDR", []byte("\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00"))
	for _, c := range chunks {
		b = append(b, c...)
	}
	return appendChunk(b, "IEND", nil)
}

func chunk(kind, data string) []byte { return appendChunk(nil, kind, []byte(data)) }

func deflate(s string) string {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	z.Write([]byte(s))
	z.Close()
	return b.String()
}

func TestReadText(t *testing.T) {
	for _, c := range []struct {
		name string
		data []byte
		want []Text
	}{
		{"none", pngOf(), nil},
		{"tEXt", pngOf(chunk("tEXt", "Title\x00caf\xe9")), []Text{{"Title", "café"}}},
		{"tEXt empty", pngOf(chunk("tEXt", "Title\x00")), []Text{{"Title", ""}}},
		{"zTXt", pngOf(chunk("zTXt", "Title\x00\x00"+deflate("caf\xe9"))), []Text{{"Title", "café"}}},
		{"iTXt", pngOf(chunk("iTXt", "Title\x00\x00\x00ja\x00見出し\x00猫")), []Text{{"Title", "猫"}}},
		{"iTXt compressed", pngOf(chunk("iTXt", "Title\x00\x01\x00\x00\x00"+deflate("猫"))), []Text{{"Title", "猫"}}},
		{"after the pixels, in order", pngOf(chunk("tEXt", "b\x001"), chunk("IDAT", "xyz"), chunk("tEXt", "a\x002"), chunk("tEXt", "b\x003")),
			[]Text{{"b", "1"}, {"a", "2"}, {"b", "3"}}},
		{"behind IEND", append(pngOf(), chunk("tEXt", "a\x00b")...), nil},
	} {
		got, err := ReadText(bytes.NewReader(c.data))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestReadTextErrors(t *testing.T) {
	good := chunk("tEXt", "a\x00b")
	broken := bytes.Clone(good)
	broken[len(broken)-1]++
	huge := pngOf(good)
	huge = append(huge[:len(huge)-12], 0xff, 0xff, 0xff, 0xff, 'I', 'D', 'A', 'T')
	claim := append(pngOf()[:afterIHDR], 0x01, 0x00, 0x00, 0x01, 't', 'E', 'X', 't')
	full := chunk("tEXt", "a\x00"+strings.Repeat("x", maxText/2))
	// Latin-1 above ASCII doubles in UTF-8.
	wide := chunk("tEXt", "a\x00"+strings.Repeat("\xe9", maxText/2+1))
	for _, c := range []struct {
		name  string
		data  []byte
		want  string
		texts int // read before the fault
	}{
		{"empty", nil, "not a picture in a known format", 0},
		{"text", []byte("this is not a picture"), "not a picture in a known format", 0},
		{"no IHDR", append([]byte(signature), good...), `starts with chunk "tEXt", want "IHDR"`, 0},
		{"no IEND", pngOf(good)[:afterIHDR+len(good)], "ends before its IEND chunk: unexpected EOF", 1},
		{"cut in data", pngOf(good)[:afterIHDR+10], `chunk "tEXt" of 3 bytes: unexpected EOF`, 0},
		{"cut in CRC", pngOf(good)[:afterIHDR+13], "CRC: unexpected EOF", 0},
		{"CRC", pngOf(good, broken), `chunk "tEXt" has CRC`, 1},
		{"length above 2^31", huge, `chunk "IDAT" claims 4294967295 bytes, want at most 2147483647`, 1},
		{"text length", claim, `chunk "tEXt" claims 16777217 bytes, want at most 16777216`, 0},
		{"sum of texts", pngOf(full, full, good), "more than 16777216 bytes of text", 2},
		{"widened", pngOf(wide), "more than 16777216 bytes of text", 0},
		{"zTXt bomb", pngOf(chunk("zTXt", "a\x00\x00"+deflate(strings.Repeat("x", 2*maxText)))), "inflates to more than 16777216 bytes", 0},
		{"zTXt damaged", pngOf(chunk("zTXt", "a\x00\x00nonsense")), "chunk zTXt: zlib: invalid header", 0},
		{"zTXt cut", pngOf(chunk("zTXt", "a\x00\x00"+deflate("abc")[:5])), "unexpected EOF", 0},
		{"zTXt method", pngOf(chunk("zTXt", "a\x00\x01")), "method 1", 0},
		{"zTXt short", pngOf(chunk("zTXt", "a\x00")), "no end mark", 0},
		{"iTXt flag", pngOf(chunk("iTXt", "a\x00\x02\x00\x00\x00b")), "flag 2", 0},
		{"iTXt short", pngOf(chunk("iTXt", "a\x00\x00")), "no end mark", 0},
		{"iTXt language", pngOf(chunk("iTXt", "a\x00\x00\x00en")), "no end mark", 0},
		{"iTXt UTF-8", pngOf(chunk("iTXt", "a\x00\x00\x00\x00\x00\xff")), `text "a" is not UTF-8`, 0},
		{"no NUL", pngOf(chunk("tEXt", "a")), "no end mark", 0},
		{"no keyword", pngOf(chunk("tEXt", "\x00a")), "keyword of 0 bytes, want 1 to 79", 0},
		{"long keyword", pngOf(chunk("tEXt", strings.Repeat("k", 80)+"\x00a")), "keyword of 80 bytes", 0},
	} {
		texts, err := ReadText(bytes.NewReader(c.data))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
		if len(texts) != c.texts {
			t.Errorf("%s: %d texts before the fault, want %d", c.name, len(texts), c.texts)
		}
	}
}

// A chunk that claims 16 MiB in a file of 50 bytes costs what the file holds, not what it claims.
func TestReadTextAllocatesWhatItReads(t *testing.T) {
	data := append(pngOf()[:afterIHDR], 0x01, 0x00, 0x00, 0x00, 't', 'E', 'X', 't', 'a', 0)
	if got := allocated(func() { ReadText(bytes.NewReader(data)) }); got > 1<<20 {
		t.Errorf("%d bytes allocated for a file of %d, want less than 1 MiB", got, len(data))
	}
}

// allocated is the number of bytes f allocates; other goroutines of a test are idle.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func FuzzReadText(f *testing.F) {
	f.Add([]byte(signature))
	f.Add(pngOf(chunk("tEXt", "parameters\x00a cat")))
	f.Add(pngOf(chunk("zTXt", "a\x00\x00"+deflate("x")), chunk("iTXt", "b\x00\x01\x00en\x00\x00"+deflate("猫"))))
	f.Add(pngOf(chunk("iTXt", "b\x00\x00\x00\x00\x00猫"), chunk("IDAT", "")))
	f.Fuzz(func(t *testing.T, data []byte) {
		texts, err := ReadText(bytes.NewReader(data))
		var kept []Text // what this package would write
		for _, text := range texts {
			if text.Validate() == nil {
				kept = append(kept, text)
			}
		}
		if err != nil || len(kept) == 0 {
			return
		}
		var b bytes.Buffer
		if err := Encode(&b, PNG, ramp(1, 1), Options{Texts: kept}); err != nil {
			t.Fatal(err)
		}
		again, err := ReadText(&b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(kept, again); diff != "" {
			t.Error(diff)
		}
	})
}
