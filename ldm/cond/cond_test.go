package cond

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"ldm-mac/ldm/labels"
	"ldm-mac/ldm/tensor"
)

// wants checks that an error names what is asked for.
func wants(t *testing.T, what string, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s: error %v, want one with %q", what, err, part)
		}
	}
}

func TestClassEmbedder(t *testing.T) {
	for classes, want := range map[int]int{1001: 1000, 11: 10, 2: 1, 1000: -1, 1: -1} {
		c := ClassEmbedderConfig{NumClasses: classes, EmbedDim: 4}
		got, ok := c.Unconditional()
		if ok != (want >= 0) || ok && got != want {
			t.Errorf("of %d classes %d (%t) is unconditional, want %d", classes, got, ok, want)
		}
	}
	e, err := NewClassEmbedder(&ClassEmbedderConfig{NumClasses: 3, EmbedDim: 2})
	if err != nil {
		t.Fatal(err)
	}
	e.Embedding = tensor.WeightOf("", []float32{1, 2, 3, 4, 5, 6}, 3, 2)
	out := make([]float32, 2)
	if err := e.Embed(out, 2); err != nil || !slices.Equal(out, []float32{5, 6}) {
		t.Errorf("class 2 is %v (%v)", out, err)
	}
	for _, class := range []int{-1, 3, math.MaxInt} {
		wants(t, "a class outside", e.Embed(out, class), "want 0 to 2")
	}
}

func TestConfigs(t *testing.T) {
	for field, c := range map[string]ClassEmbedderConfig{
		"num_classes": {0, 4}, "num_classes is -1": {-1, 4}, "embed_dim": {10, 0}, "embed_dim is 1099": {10, 1 << 40},
	} {
		_, err := NewClassEmbedder(&c)
		wants(t, field, err, field)
	}
	for field, change := range map[string]func(*RescalerConfig){
		"n_stages": func(c *RescalerConfig) { c.Stages = -1 }, "n_stages is 60": func(c *RescalerConfig) { c.Stages = 60 },
		"in_channels": func(c *RescalerConfig) { c.InChannels = 257 }, "out_channels": func(c *RescalerConfig) { c.OutChannels = 0 },
		"method": func(c *RescalerConfig) { c.Method = "bicubic" }, "multiplier": func(c *RescalerConfig) { c.Multiplier = 2 },
		"bias": func(c *RescalerConfig) { c.Bias = true },
	} {
		c := DefaultRescalerConfig()
		c.OutChannels = 3
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&c)
		_, err := NewRescaler(&c)
		wants(t, field, err, field)
	}
}

// halve is PyTorch's interpolate with scale_factor 0.5 and mode bilinear: output i lies at input
// (i + 1/2)·2 - 1/2. x is [h, w] of one channel.
func halve(x []float64, h, w int) ([]float64, int, int) {
	at := func(i, size int) (low, high int, part float64) {
		place := (float64(i)+0.5)*2 - 0.5
		low = int(place)
		return low, min(low+1, size-1), place - float64(low)
	}
	out := make([]float64, (h/2)*(w/2))
	for i := range out {
		top, bottom, v := at(i/(w/2), h)
		left, right, u := at(i%(w/2), w)
		out[i] = (1-v)*((1-u)*x[top*w+left]+u*x[top*w+right]) + v*((1-u)*x[bottom*w+left]+u*x[bottom*w+right])
	}
	return out, h / 2, w / 2
}

// What Rescale does at once equals the steps that the paper's code takes, at odd sizes too.
func TestRescale(t *testing.T) {
	const ins, outs = 5, 3
	random := rand.New(rand.NewPCG(1, 2))
	weights := make([]float32, outs*ins)
	for i := range weights {
		weights[i] = float32(random.NormFloat64())
	}
	for _, size := range [][3]int{{0, 3, 2}, {1, 2, 2}, {1, 5, 4}, {2, 8, 12}, {2, 7, 9}, {2, 6, 13}, {3, 15, 16}} {
		stages, height, width := size[0], size[1], size[2]
		c := RescalerConfig{Stages: stages, InChannels: ins, OutChannels: outs, Method: "bilinear", Multiplier: 0.5}
		r, err := NewRescaler(&c)
		if err != nil {
			t.Fatal(err)
		}
		r.Mapper = tensor.WeightOf("", weights, outs, ins, 1, 1)
		classes := make([]uint8, height*width)
		for i := range classes {
			classes[i] = uint8(random.IntN(ins))
		}
		h, w := r.Size(height, width)
		want := make([]float64, h*w*outs)
		for class := range ins {
			channel, ch, cw := make([]float64, len(classes)), height, width
			for i, c := range classes {
				if int(c) == class {
					channel[i] = 1
				}
			}
			for range stages {
				channel, ch, cw = halve(channel, ch, cw)
			}
			if ch != h || cw != w {
				t.Fatalf("%dx%d after %d halvings is %dx%d, want %dx%d", width, height, stages, w, h, cw, ch)
			}
			for i, v := range channel {
				for o := range outs {
					want[i*outs+o] += v * float64(weights[o*ins+class])
				}
			}
		}
		got := make([]float32, len(want))
		if err := r.Rescale(got, classes, height, width); err != nil {
			t.Fatal(err)
		}
		for i, v := range want {
			if math.Abs(float64(got[i])-v) > 1e-6 { // half a unit of float32 at the size of the weights
				t.Errorf("%v: value %d is %g, want %g", size, i, got[i], v)
			}
		}
		classes[1] = ins
		wants(t, "a class too many", r.Rescale(got, classes, height, width), "class 5 at column 1, row 0", "want 0 to 4")
		wants(t, "a map too small", r.Rescale(got, nil, 0, 0), "0 pixels as a label map")
		wants(t, "another size", r.Rescale(got, classes, height, width+1), "want one of at least")
	}
}

// The released model's layout: 30 objects in 92 positions, sections of a ninetieth.
var openImages = Layout{Vocabulary: 8192, Length: 92, Stride: labels.OpenImagesStride}

func TestLayoutTokens(t *testing.T) {
	dog, err := ParseBox("dog:0.1,0.25,0.5,0.9", labels.OpenImages().Find)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := openImages.Tokens([]Box{dog}, FullCrop)
	if err != nil {
		t.Fatal(err)
	}
	// 89 steps: 8.9 and 22.25, 44.5 rounded to even and 80.1.
	want := append([]int32{253, 22*90 + 9, 80*90 + 44}, slices.Repeat([]int32{8191}, 87)...)
	if want = append(want, 0, 89*90+89); !slices.Equal(tokens, want) {
		t.Errorf("tokens %v, want %v", tokens, want)
	}
	outside := Box{Rect: Rect{0, 0, 0.25, 0.25}}
	tokens, err = openImages.Tokens([]Box{outside, dog}, Rect{0.25, 0, 1, 1})
	if err != nil || tokens[0] != 253 || tokens[3] != 8191 || tokens[90] != 22 {
		t.Errorf("tokens %v (%v), want the second box alone and the crop", tokens, err)
	}
	tokens, err = openImages.Tokens(nil, FullCrop)
	if err != nil || len(tokens) != 92 || tokens[0] != 8191 {
		t.Errorf("tokens %v (%v) of no box", tokens, err)
	}
}

func TestLayoutErrors(t *testing.T) {
	box := Box{Class: 1, Rect: FullCrop}
	for name, c := range map[string]struct {
		layout Layout
		boxes  []Box
		crop   Rect
		want   string
	}{
		"too many":        {openImages, slices.Repeat([]Box{box}, 31), FullCrop, "31 boxes, want at most 30"},
		"class":           {openImages, []Box{box, {Class: 352, Rect: FullCrop}}, FullCrop, "box 2 is of class 352, want 0 to 351"},
		"negative class":  {openImages, []Box{{Class: -1, Rect: FullCrop}}, FullCrop, "class -1"},
		"outside":         {openImages, []Box{{Rect: Rect{0, 0, 1.5, 1}}}, FullCrop, "x1 is 1.5, want 0 to 1"},
		"not a number":    {openImages, []Box{{Rect: Rect{math.NaN(), 0, 1, 1}}}, FullCrop, "x0 is NaN"},
		"reversed":        {openImages, []Box{{Rect: Rect{0.5, 0, 0.5, 1}}}, FullCrop, "want x0 < x1"},
		"crop":            {openImages, nil, Rect{0, 1, 1, 0}, "crop from y0 = 1 to y1 = 0"},
		"flags":           {Layout{16, 5, 5}, []Box{{Class: 4, Group: true, Occluded: true, Rect: FullCrop}}, FullCrop, "token 19"},
		"vocabulary":      {Layout{3, 5, 1}, nil, FullCrop, "vocabulary of 3"},
		"length":          {Layout{512, 16, 1}, nil, FullCrop, "16 positions"},
		"negative length": {Layout{512, -1, 1}, nil, FullCrop, "-1 positions"},
		"stride":          {Layout{512, 17, 513}, nil, FullCrop, "stride of 513"},
	} {
		_, err := c.layout.Tokens(c.boxes, c.crop)
		wants(t, name, err, c.want)
	}
}

func TestParseBox(t *testing.T) {
	find := labels.OpenImages().Find
	for text, want := range map[string]Box{
		"dog:0.1,0.2,0.5,0.9":              {Class: 253, Rect: Rect{0.1, 0.2, 0.5, 0.9}},
		"253:0,0,1,1":                      {Class: 253, Rect: FullCrop},
		" Sea turtle : 0, .5 ,1e-1, 1 ":    {Class: 1, Rect: Rect{0, 0.5, 0.1, 1}},
		"man+group+inside:0,0,1,1":         {Class: 37, Group: true, Inside: true, Rect: FullCrop},
		"dog+ occluded +depiction:0,0,1,1": {Class: 253, Occluded: true, Depiction: true, Rect: FullCrop},
	} {
		if got, err := ParseBox(text, find); err != nil || got != want {
			t.Errorf("%q is %+v (%v), want %+v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"dog":                 "no colon",
		"":                    "no colon",
		"dog:":                "1 numbers after the colon, want 4",
		"dog:0,0,1":           "3 numbers",
		"dog:0,0,1,1,1":       "5 numbers",
		"dog:0,a,1,1":         `y0 is "a"`,
		"dog:0,0,100,1":       "x1 is 100, want 0 to 1",
		"dog:-0.1,0,1,1":      "x0 is -0.1",
		"dog:0,NaN,1,1":       "y0 is NaN",
		"dog:0.5,0,0.1,1":     "want x0 < x1",
		"dog:0,0.5,1,0.5":     "want y0 < y1",
		"dogg:0,0,1,1":        "similar: 253 (Dog)",
		"340:0,0,1,1":         "0 to 339",
		":0,0,1,1":            "no Open Images category given",
		"dog+:0,0,1,1":        `no flag ""`,
		"dog+grouped:0,0,1,1": `no flag "grouped", want group, occluded`,
	} {
		_, err := ParseBox(text, find)
		wants(t, text, err, "box ", want)
	}
}

// Whatever parses makes tokens that the text encoder has.
func FuzzParseBox(f *testing.F) {
	for _, text := range []string{"dog:0.1,0.2,0.5,0.9", "37+group+inside:0,0,1,1", "dog:1e-300,0,1,0x1p-3", "a:b:0,0,1,inf", "+:,,,"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		b, err := ParseBox(text, labels.OpenImages().Find)
		if err != nil {
			return
		}
		tokens, err := openImages.Tokens([]Box{b}, FullCrop)
		if err != nil {
			t.Fatalf("%q parses to %+v, which has no tokens: %v", text, b, err)
		}
		for _, token := range tokens {
			if token < 0 || int(token) >= openImages.Vocabulary {
				t.Errorf("%q has token %d of %d", text, token, openImages.Vocabulary)
			}
		}
		if tokens[1] > tokens[2] || tokens[0] == 8191 {
			t.Errorf("%q has tokens %v", text, tokens[:3])
		}
	})
}
