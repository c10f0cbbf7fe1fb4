package imageio

import (
	"image"
	"slices"
	"testing"

	"ldm-mac/ldm/goldentest"
)

// planes are [h, w, 3] values as [3, h, w].
func planes(x []float32) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i%3*(len(x)/3)+i/3] = v
	}
	return out
}

func readGolden(t *testing.T, f *goldentest.Folder, name string) *image.NRGBA {
	t.Helper()
	in, err := ReadFile(f.Path(name))
	if err != nil {
		t.Fatal(err)
	}
	return in.Image
}

// Pictures reach the models as they do in the reference pipelines, value for value: read, scaled
// with Lanczos to a multiple of the first stage's factor, and scaled to [-1, 1].
func TestGoldenInputs(t *testing.T) {
	for _, c := range []struct {
		fixture, picture, tensor string
		multiple                 int
	}{
		{"sd-inpaint-tiny", "input.png", "inpaint_pndm/image_tensor", 8},
		{"sd-tiny", "input.png", "img2img_pndm/image_tensor", 8},
		{"sd-tiny", "input_odd.png", "img2img_euler/image_tensor", 8},
		{"superres-tiny", "input_40x45.png", "eta0_resized/lr", 32},
		{"superres-tiny", "input_32x32.png", "eta1/lr", 32},
	} {
		t.Run(c.fixture+"/"+c.picture, func(t *testing.T) {
			var cases struct{}
			f := goldentest.Open(t, c.fixture, &cases)
			m := readGolden(t, f, c.picture)
			want, shape := f.Floats(c.tensor)
			size := m.Rect.Size()
			width, height := size.X/c.multiple*c.multiple, size.Y/c.multiple*c.multiple
			if height != shape[2] || width != shape[3] {
				t.Fatalf("%dx%d pixels make %dx%d, want shape %v", size.X, size.Y, width, height, shape)
			}
			m, err := Resize(m, width, height, Lanczos)
			if err != nil {
				t.Fatal(err)
			}
			if got := planes(ToFloats(m)); !slices.Equal(got, want) {
				t.Errorf("the values differ")
				goldentest.Compare(t, c.tensor, got, want, 0)
			}
		})
	}
}

// diffusers: the mask is made binary and goes to the latents' size, behind them in the U-Net's input.
func TestGoldenMaskDiffusers(t *testing.T) {
	var cases struct{}
	f := goldentest.Open(t, "sd-inpaint-tiny", &cases)
	mask := NewMask(readGolden(t, f, "mask.png"))
	grey := slices.ContainsFunc(mask.Level, func(v uint8) bool { return v != 0 && v != 255 })
	if !grey {
		t.Error("the mask has no grey")
	}
	input, shape := f.Floats("inpaint_pndm/unet_input_first") // [1, 9, h, w]
	h, w := shape[2], shape[3]
	want := input[4*h*w:][:h*w]
	got := ResizeNearest(mask.Binary().Floats(), 1, mask.Height, mask.Width, h, w)
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// CompVis: the hole is black, the mask goes to the latents' size as -1 and 1, and what was not
// masked comes back through the same truncation.
func TestGoldenInpaintCompVis(t *testing.T) {
	var cases struct{ Runs []struct{ Name string } }
	f := goldentest.Open(t, "compvis-inpaint", &cases)
	original := readGolden(t, f, "image.png")
	mask := NewMask(readGolden(t, f, "image_mask.png")).Binary()
	hole := mask.Floats()

	x := ToFloats(original)
	masked := slices.Clone(x)
	for i := range masked {
		if hole[i/3] == 1 {
			masked[i] = -1
		}
	}
	if want, _ := f.Floats("cond/masked_image"); !slices.Equal(planes(masked), want) {
		t.Error("the masked image differs")
	}

	want, shape := f.Floats("cond/mask")
	got := ResizeNearest(hole, 1, mask.Height, mask.Width, shape[2], shape[3])
	for i, v := range got {
		got[i] = 2*v - 1
	}
	if !slices.Equal(got, want) {
		t.Errorf("mask %v, want %v", got, want)
	}

	size := original.Rect.Size()
	kept, err := FromFloats(x, size.Y, size.X, Truncate)
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range cases.Runs {
		decoded, _ := f.Floats(run.Name + "/decoded")
		values := make([]float32, len(decoded)) // [h, w, 3]
		for i := range values {
			values[i] = decoded[i%3*size.X*size.Y+i/3]
		}
		generated, err := FromFloats(values, size.Y, size.X, Truncate)
		if err != nil {
			t.Fatal(err)
		}
		m, err := Paste(generated, kept, mask)
		if err != nil {
			t.Fatal(err)
		}
		if want := readGolden(t, f, run.Name+"_0.png"); !slices.Equal(m.Pix, want.Pix) {
			t.Errorf("%s: %d samples differ", run.Name, differing(m.Pix, want.Pix))
		}
	}
	f.Count(len(cases.Runs))
}

func TestToFloats(t *testing.T) {
	m := ramp(17, 13)
	back, err := FromFloats(ToFloats(m), 13, 17, HalfToEven)
	if err != nil || !slices.Equal(back.Pix, m.Pix) {
		t.Errorf("the way to floats and back changes the picture (%v)", err)
	}
}

// Truncation takes the level below; at a whole level it stays.
func TestFromFloatsTruncates(t *testing.T) {
	for _, c := range []struct {
		x    float32
		want uint8
	}{{-1, 0}, {1, 255}, {0.999, 254}, {0, 127}, {-1 + 1.9/255, 0}, {-1 + 2.1/255, 1}, {3, 255}, {-3, 0}} {
		m, err := FromFloats([]float32{c.x, c.x, c.x}, 1, 1, Truncate)
		if err != nil || m.Pix[0] != c.want {
			t.Errorf("%v: %v (%v), want %d", c.x, m.Pix, err, c.want)
		}
	}
}
