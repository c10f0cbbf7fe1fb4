package imageio

import (
	"image"
	"math"
	"strconv"
	"strings"
	"testing"

	"ldm-mac/ldm/goldentest"
)

func TestFromFloats(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, c := range []struct {
		x    float32
		want uint8
	}{
		{-1, 0}, {1, 255}, {-1.5, 0}, {2, 255}, {-inf, 0}, {inf, 255},
		{0, 128},                       // 127.5 is half: the even neighbour is above
		{-1.0/255 - 1e-6, 127},         // just under 127
		{-1 + 1.0/255/2, 0},            // 0.25
		{math.Nextafter32(0, -1), 128}, // lost beside 0.5 in float32
		{0.00390625, 128},              // 0.5 + 1/512 is exact: 127.998
	} {
		m, err := FromFloats([]float32{c.x, -1, 1}, 1, 1, HalfToEven)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Pix; got[0] != c.want || got[1] != 0 || got[2] != 255 || got[3] != 255 {
			t.Errorf("%v: pixel %v, want [%d 0 255 255]", c.x, got, c.want)
		}
	}
}

// Few levels k+0.5 come from an x that float32 can hold; the rule is tested at those that do.
func TestFromFloatsRoundsHalfToEven(t *testing.T) {
	halves := 0
	for k := range 255 {
		x := float32((float64(k)+0.5)/255*2 - 1)
		level := (x/2 + 0.5) * 255
		if level != float32(k)+0.5 {
			continue
		}
		halves++
		m, err := FromFloats([]float32{x, x, x}, 1, 1, HalfToEven)
		if err != nil {
			t.Fatal(err)
		}
		if want := uint8(k + k%2); m.Pix[0] != want {
			t.Errorf("level %v became %d, want %d", level, m.Pix[0], want)
		}
	}
	if halves < 2 {
		t.Errorf("met %d exact halves, want at least 2", halves)
	}
}

func TestFromFloatsLayout(t *testing.T) {
	x := make([]float32, 2*3*3)
	for i := range x {
		x[i] = float32(i)/255*2 - 1 // level i
	}
	m, err := FromFloats(x, 2, 3, HalfToEven)
	if err != nil {
		t.Fatal(err)
	}
	if m.Rect != image.Rect(0, 0, 3, 2) {
		t.Fatalf("bounds %v, want 3x2", m.Rect)
	}
	if c := m.NRGBAAt(1, 1); c.R != 12 || c.G != 13 || c.B != 14 {
		t.Errorf("row 1, column 1 is %v, want levels 12, 13, 14", c)
	}
}

func TestFromFloatsErrors(t *testing.T) {
	nan := make([]float32, 2*2*3)
	nan[10] = float32(math.NaN())
	for _, c := range []struct {
		x             []float32
		height, width int
		want          string
	}{
		{nil, 0, 0, "0 values do not make an image of shape [0, 0, 3]"},
		{make([]float32, 12), 2, 3, "12 values do not make an image of shape [2, 3, 3]"},
		{make([]float32, 13), 2, 2, "13 values"},
		{make([]float32, 12), -2, -2, "shape [-2, -2, 3]"},
		{make([]float32, 12), math.MaxInt, 4, "12 values"},
		{nan, 2, 2, "not a number at row 1, column 1, channel 1"},
	} {
		if _, err := FromFloats(c.x, c.height, c.width, HalfToEven); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("[%d, %d]: error %v, want %q", c.height, c.width, err, c.want)
		}
	}
}

// The recorded decoder outputs give the recorded PNGs. Two of the values, each within 2e-5 of a half,
// fell to the other side in the pass that made the PNG, hence the bound: 88.1 dB is one level in one
// of 10,000 values. Truncation instead of rounding gives about 51 dB.
func TestGoldenFromFloats(t *testing.T) {
	for _, fixture := range []string{"emoji", "text2img-tiny"} {
		t.Run(fixture, func(t *testing.T) {
			var c struct{ Runs []struct{ Name string } }
			f := goldentest.Open(t, fixture, &c)
			n := 0
			for _, run := range c.Runs {
				batch, shape := f.Floats(run.Name + "/decoded") // [n, 3, h, w]
				size := len(batch) / shape[0]
				for i := range shape[0] {
					file := run.Name
					if shape[0] > 1 {
						file += "_" + strconv.Itoa(i)
					}
					compareWithPNG(t, batch[i*size:(i+1)*size], shape[2], shape[3], f.Path(file+".png"))
					n++
				}
			}
			f.Count(n)
		})
	}
}

// compareWithPNG converts planes, [3, h, w], and wants the picture in the named file.
func compareWithPNG(t *testing.T, planes []float32, height, width int, name string) {
	t.Helper()
	x := make([]float32, len(planes)) // [h, w, 3]
	for i := range x {
		x[i] = planes[i%3*height*width+i/3]
	}
	got, err := FromFloats(x, height, width, HalfToEven)
	if err != nil {
		t.Fatal(err)
	}
	want, err := ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if db, err := PSNR(got, want.Image); err != nil || db < 88.1 {
		t.Errorf("%s: PSNR %v dB (%v), want at least 88.1", name, db, err)
	}
}
