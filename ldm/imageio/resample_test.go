package imageio

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"image"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"ldm-mac/ldm/goldentest"
)

// TestPillow repeats what testdata/pillow.py did.
func TestPillow(t *testing.T) {
	data, err := os.ReadFile("testdata/pillow.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases [][7]any // channels, filter, width and height before and after, hash
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	for number, c := range cases {
		channels := int(c[0].(float64))
		var side [4]int
		for i := range side {
			side[i] = int(c[2+i].(float64))
		}
		w, h, width, height := side[0], side[1], side[2], side[3]
		pix := make([]uint8, w*h*channels)
		state := uint32(number)
		for i := range pix {
			state = state*1664525 + 1013904223
			pix[i] = uint8(state >> 24)
			if channels == 4 && i%4 == 3 {
				if pix[i]%2 == 1 {
					pix[i] /= 8
				} else {
					pix[i] = 255
				}
			}
		}
		got, err := resized(pix, w, h, channels, width, height, filters[c[1].(string)])
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(got)
		if hash := hex.EncodeToString(sum[:8]); hash != c[6] {
			t.Errorf("case %d, %v: hash %s", number, c, hash)
		}
	}
	if len(cases) < 200 {
		t.Errorf("%d cases, want 200", len(cases))
	}
}

// resized scales interleaved samples of 1, 3 or 4 channels.
func resized(pix []uint8, w, h, channels, width, height int, f Filter) ([]uint8, error) {
	if channels == 1 {
		m, err := (&Mask{w, h, pix}).Resized(width, height, f)
		if err != nil {
			return nil, err
		}
		return m.Level, nil
	}
	m := &image.NRGBA{Pix: pix, Stride: 4 * w, Rect: image.Rect(0, 0, w, h)}
	if channels == 3 {
		m = fromRGB(pix, w, h)
	}
	m, err := Resize(m, width, height, f)
	if err != nil {
		return nil, err
	}
	if channels == 3 {
		return toRGB(m), nil
	}
	return m.Pix, nil
}

var filters = map[string]Filter{"lanczos": Lanczos, "bilinear": Bilinear, "bicubic": Bicubic, "nearest": Nearest, "box": Box}

// The reference's own Pillow made the outputs: every sample agrees.
func TestGoldenPillow(t *testing.T) {
	var c struct{ Cases []struct{ Name, Out string } }
	f := goldentest.Open(t, "ops", &c)
	n := 0
	for _, op := range c.Cases {
		name, ok := strings.CutPrefix(op.Name, "pillow/")
		if !ok {
			continue
		}
		n++
		word, _, _ := strings.Cut(name, "_")
		filter, known := filters[word]
		if !known {
			t.Fatalf("no filter for %s", op.Name)
		}
		in, want := f.Weight(op.Name+"/in_x"), f.Weight(op.Out)
		channels := 1
		if len(in.Shape) == 3 {
			channels = in.Shape[2]
		}
		got, err := resized(in.Data, in.Shape[1], in.Shape[0], channels, want.Shape[1], want.Shape[0], filter)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want.Data) {
			t.Errorf("%s: %d of %d samples differ", op.Name, differing(got, want.Data), len(got))
		}
	}
	f.Count(n)
}

func fromRGB(pix []uint8, width, height int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	for i := range width * height {
		copy(m.Pix[4*i:], pix[3*i:3*i+3])
		m.Pix[4*i+3] = 255
	}
	return m
}

func toRGB(m *image.NRGBA) []uint8 {
	pix := make([]uint8, 0, len(m.Pix)/4*3)
	for i := 0; i < len(m.Pix); i += 4 {
		pix = append(pix, m.Pix[i:i+3]...)
	}
	return pix
}

func differing(a, b []uint8) int {
	n := 0
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			n++
		}
	}
	return n + max(len(a), len(b)) - min(len(a), len(b))
}

func TestGoldenPlanes(t *testing.T) {
	var c struct {
		Cases []struct {
			Name    string
			Measure goldentest.Error `json:"fp32_vs_float64"`
		}
	}
	f := goldentest.Open(t, "ops", &c)
	n := 0
	for _, op := range c.Cases {
		if op.Name != "resample/nearest_mask" && op.Name != "resample/bilinear_half" && op.Name != "resample/nearest2" {
			continue
		}
		n++
		in, from := f.Floats(op.Name + "/in_x")
		want, to := f.Floats(op.Name + "/out")
		var got []float32
		if op.Name == "resample/bilinear_half" {
			got = ResizeBilinearHalf(in, from[1], from[2], from[3])
		} else {
			got = ResizeNearest(in, from[1], from[2], from[3], to[2], to[3])
			if !slices.Equal(got, want) {
				t.Errorf("%s: values were not copied", op.Name)
			}
		}
		goldentest.Compare(t, op.Name, got, want, goldentest.Bound(op.Measure.Max))
	}
	if f.Count(n); n != 3 {
		t.Errorf("%d cases, want 3", n)
	}
}

func TestResizeErrors(t *testing.T) {
	m := ramp(4, 3)
	for _, c := range []struct {
		m             *image.NRGBA
		width, height int
		want          string
	}{
		{m, 0, 3, "resize 4x3 to 0x3 pixels, want at least 1x1"},
		{m, 4, -1, "to 4x-1 pixels"},
		{image.NewNRGBA(image.Rectangle{}), 1, 1, "resize 0x0"},
		{m, 8192, 8193, "resize 4x3 to 8192x8193 pixels, want at most 67108864"},
		{m, math.MaxInt, math.MaxInt, "want at most 67108864"},
		{image.NewNRGBA(image.Rect(0, 0, 1, 10000)), 10000, 1, "with one side scaled"},
	} {
		for _, f := range filters {
			if _, err := Resize(c.m, c.width, c.height, f); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v to %dx%d: error %v, want %q", c.m.Rect, c.width, c.height, err, c.want)
			}
		}
	}
}

// A part of a larger picture is resized as its copy is.
func TestResizeSubImage(t *testing.T) {
	whole := ramp(30, 20)
	part := whole.SubImage(image.Rect(5, 4, 21, 17)).(*image.NRGBA)
	got, err := Resize(part, 9, 30, Lanczos)
	if err != nil {
		t.Fatal(err)
	}
	alone := image.NewNRGBA(image.Rect(0, 0, 16, 13))
	for y := range 13 {
		copy(alone.Pix[y*alone.Stride:], part.Pix[y*part.Stride:][:alone.Stride])
	}
	want, err := Resize(alone, 9, 30, Lanczos)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Pix, want.Pix) {
		t.Error("a sub-image is resized differently")
	}
}

func BenchmarkResize(b *testing.B) {
	m := ramp(512, 512)
	for b.Loop() {
		if _, err := Resize(m, 2048, 2048, Lanczos); err != nil {
			b.Fatal(err)
		}
	}
}
