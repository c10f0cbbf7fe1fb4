package imageio

import (
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestNewMask(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 4, 2))
	for i, c := range []color.NRGBA{
		{255, 255, 255, 255}, {0, 0, 0, 255}, {255, 0, 0, 255}, {0, 255, 0, 255},
		{0, 0, 255, 255}, {255, 255, 255, 0}, {255, 255, 255, 128}, {77, 77, 77, 255},
	} {
		m.Set(i%4, i/4, c)
	}
	want := []uint8{255, 0, 76, 150, 29, 0, 128, 77} // Pillow's convert("L") where opaque
	if got := NewMask(m); !slices.Equal(got.Level, want) || got.Width != 4 || got.Height != 2 {
		t.Errorf("%v, want %v", got, want)
	}
	if got, want := MaskOfHole(m).Level, []uint8{0, 0, 0, 0, 0, 255, 127, 0}; !slices.Equal(got, want) {
		t.Errorf("hole %v, want %v", got, want)
	}
	// A part of a picture has rows apart.
	if got := NewMask(m.SubImage(image.Rect(1, 1, 3, 2)).(*image.NRGBA)); !slices.Equal(got.Level, want[5:7]) {
		t.Errorf("part %v, want %v", got.Level, want[5:7])
	}
}

func TestMaskLevels(t *testing.T) {
	m := &Mask{4, 1, []uint8{0, 127, 128, 255}}
	if got := m.Binary().Level; !slices.Equal(got, []uint8{0, 0, 255, 255}) {
		t.Errorf("binary %v", got)
	}
	if got := m.Inverted().Level; !slices.Equal(got, []uint8{255, 128, 127, 0}) {
		t.Errorf("inverted %v", got)
	}
	if got := m.Floats(); !slices.Equal(got, []float32{0, float32(127) / 255, float32(128) / 255, 1}) {
		t.Errorf("floats %v", got)
	}
	if !slices.Equal(m.Level, []uint8{0, 127, 128, 255}) {
		t.Errorf("the mask itself became %v", m.Level)
	}
	if m.Empty() || !(&Mask{2, 1, []uint8{0, 0}}).Empty() {
		t.Error("Empty is wrong")
	}
}

func TestMaskFitted(t *testing.T) {
	m := NewMask(ramp(40, 30))
	for _, size := range []image.Point{{40, 30}, {80, 60}, {20, 15}, {512, 384}, {91, 68}, {10, 8}} {
		got, err := m.Fitted(size.X, size.Y)
		if err != nil || got.Width != size.X || got.Height != size.Y || len(got.Level) != size.X*size.Y {
			t.Errorf("%v: %v", size, err)
		}
	}
	for _, size := range []image.Point{{40, 40}, {30, 40}, {80, 30}, {512, 400}, {0, 0}} {
		if _, err := m.Fitted(size.X, size.Y); err == nil {
			t.Errorf("%v: fitted", size)
		}
	}
	want := "a mask of 40x30 pixels for a picture of 40x40, want one of its shape"
	if _, err := m.Fitted(40, 40); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
}

// The blur of an edge is the normal distribution's integral, and that of anything keeps the mean.
func TestMaskBlurred(t *testing.T) {
	const side, radius = 64, 3.5
	m := &Mask{side, side, make([]uint8, side*side)}
	for i := range m.Level {
		if i%side >= side/2 {
			m.Level[i] = 255
		}
	}
	b, err := m.Blurred(radius)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range b.Level {
		x := float64(i%side) - side/2 + 0.5 // from the edge
		want := 255 * 0.5 * (1 + math.Erf(x/(radius*math.Sqrt2)))
		if math.Abs(float64(v)-want) > 1 { // half a level of rounding; sums instead of integrals
			t.Fatalf("%g pixels from the edge: %d, want %.1f", x, v, want)
		}
	}
	noise := &Mask{33, 17, make([]uint8, 33*17)}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range noise.Level {
		noise.Level[i] = uint8(r.IntN(256))
	}
	if same, err := noise.Blurred(0); err != nil || !slices.Equal(same.Level, noise.Level) {
		t.Errorf("a radius of 0 changes the mask (%v)", err)
	}
	full := (&Mask{5, 3, make([]uint8, 15)}).Inverted()
	if got, err := full.Blurred(200); err != nil || slices.ContainsFunc(got.Level, func(v uint8) bool { return v != 255 }) {
		t.Errorf("a full mask becomes %v (%v)", got, err)
	}
	for _, radius := range []float64{-1, 257, math.NaN(), math.Inf(1)} {
		if _, err := m.Blurred(radius); err == nil || !strings.Contains(err.Error(), "want 0 to 256") {
			t.Errorf("radius %g: error %v", radius, err)
		}
	}
}

func TestPaste(t *testing.T) {
	over, under := image.NewNRGBA(image.Rect(0, 0, 6, 1)), image.NewNRGBA(image.Rect(0, 0, 6, 1))
	copy(over.Pix, []uint8{
		200, 100, 0, 255, 200, 100, 0, 255, 200, 100, 0, 255, 200, 100, 0, 255, 200, 100, 0, 255, 1, 2, 3, 0,
	})
	copy(under.Pix, []uint8{
		7, 8, 9, 255, 7, 8, 9, 3, 0, 0, 0, 255, 7, 8, 9, 0, 7, 8, 9, 0, 4, 5, 6, 0,
	})
	mask := &Mask{6, 1, []uint8{0, 0, 51, 255, 128, 128}}
	want := []uint8{
		7, 8, 9, 255, // kept
		7, 8, 9, 3, // kept with its transparency
		40, 20, 0, 255, // a fifth
		200, 100, 0, 255, // all new
		200, 100, 0, 128, // into the void: the void has no colour to mix with
		4, 5, 6, 0, // void into void
	}
	got, err := Paste(over, under, mask)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Pix, want) {
		t.Errorf("%v, want %v", got.Pix, want)
	}
	for _, sizes := range [][2]*image.NRGBA{{over, ramp(5, 1)}, {ramp(6, 2), under}} {
		if _, err := Paste(sizes[0], sizes[1], mask); err == nil || !strings.Contains(err.Error(), "want one size") {
			t.Errorf("error %v", err)
		}
	}
}

func TestWithAlpha(t *testing.T) {
	from := glass()
	got, err := WithAlpha(ramp(48, 32), from)
	if err != nil {
		t.Fatal(err)
	}
	alpha := make([]uint8, 0, 24*16)
	for i := 3; i < len(from.Pix); i += 4 {
		alpha = append(alpha, from.Pix[i])
	}
	want, err := (&Mask{24, 16, alpha}).Resized(48, 32, Lanczos)
	if err != nil {
		t.Fatal(err)
	}
	colours := ramp(48, 32).Pix
	for i := range want.Level {
		if got.Pix[4*i+3] != want.Level[i] || !slices.Equal(got.Pix[4*i:4*i+3], colours[4*i:4*i+3]) {
			t.Fatalf("pixel %d is %v", i, got.Pix[4*i:4*i+4])
		}
	}
	if _, err := WithAlpha(ramp(2, 2), image.NewNRGBA(image.Rectangle{})); err == nil {
		t.Error("a picture without pixels gave its alpha")
	}
}
