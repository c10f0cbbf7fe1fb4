package firststage

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/tensor"
)

// tiny is a first stage of three levels with attention at the last.
func tiny(class string) Config {
	c := DefaultConfigOf(class)
	c.BlockOutChannels, c.NormNumGroups = []int{8, 8, 16}, 4
	c.DownBlockTypes = []string{plainDown, plainDown, attnDown}
	c.UpBlockTypes = []string{attnUp, plainUp, plainUp}
	return c
}

// shapes builds the graphs of both directions and compares the shapes of their results.
func shapes(t *testing.T, c *Config) *FirstStage {
	t.Helper()
	a, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	g, f := tensor.NewGraph(), c.Factor()
	encoded := a.Encode(g.Input("x", 2, 2*f, 3*f, c.InChannels))
	channels := c.Channels()
	decoded := a.Decode(g.Input("z", 1, 2, 3, channels))
	if g.Err() != nil {
		t.Fatal(g.Err())
	}
	if c.ClassName == KL {
		channels *= 2
	}
	if want := (tensor.Shape{2, 2, 3, channels}); !encoded.Shape.Equal(want) {
		t.Errorf("encoded to %s, want %s", encoded.Shape, want)
	}
	if want := (tensor.Shape{1, 2 * f, 3 * f, c.OutChannels}); !decoded.Shape.Equal(want) {
		t.Errorf("decoded to %s, want %s", decoded.Shape, want)
	}
	return a
}

func TestVariants(t *testing.T) {
	dim := 5
	for name, change := range map[string]func(*Config){
		"default":     func(*Config) {},
		"no middle":   func(c *Config) { c.MidBlockAddAttention = false },
		"width":       func(c *Config) { c.VQEmbedDim = &dim },
		"no convs":    func(c *Config) { c.UseQuantConv, c.UsePostQuantConv = false, false },
		"more layers": func(c *Config) { c.LayersPerBlock = 3 },
	} {
		for _, class := range []string{KL, VQ} {
			t.Run(class+", "+name, func(t *testing.T) {
				c := tiny(class)
				change(&c)
				shapes(t, &c)
			})
		}
	}
}

// The names and shapes of weights that diffusers gives these configs.
func TestWeightNames(t *testing.T) {
	c, dim := tiny(VQ), 5
	c.VQEmbedDim = &dim
	got := map[string]tensor.Shape{}
	checkpoint.Walk(shapes(t, &c), func(name string, w *tensor.Weight) { got[name] = w.Shape })
	for name, want := range map[string]tensor.Shape{
		"encoder.conv_out.weight":                              {3, 16, 3, 3},
		"quant_conv.weight":                                    {5, 3, 1, 1},
		"quantize.embedding.weight":                            {256, 5},
		"post_quant_conv.weight":                               {3, 5, 1, 1},
		"encoder.down_blocks.2.attentions.0.to_q.weight":       {16, 16},
		"encoder.mid_block.attentions.0.group_norm.bias":       {16},
		"decoder.up_blocks.0.attentions.1.to_out.0.bias":       {16},
		"decoder.up_blocks.1.upsamplers.0.conv.weight":         {8, 8, 3, 3},
		"encoder.down_blocks.2.resnets.0.conv_shortcut.weight": {16, 8, 1, 1},
		"decoder.up_blocks.0.attentions.0.group_norm.weight":   {16},
		"encoder.down_blocks.0.downsamplers.0.conv.weight":     {8, 8, 3, 3},
		"decoder.up_blocks.1.resnets.0.conv_shortcut.weight":   {8, 16, 1, 1},
		"encoder.down_blocks.2.attentions.0.to_out.0.weight":   {16, 16},
		"decoder.mid_block.attentions.0.to_v.bias":             {16},
		"encoder.down_blocks.2.attentions.0.group_norm.weight": {16},
	} {
		if !got[name].Equal(want) {
			t.Errorf("%s is %s, want %s", name, got[name], want)
		}
	}
	if _, ok := got["encoder.down_blocks.0.attentions.0.to_q.weight"]; ok {
		t.Error("attention at the first level")
	}
}

// A config.json of the other class starts from that class's defaults.
func TestConfigOfClass(t *testing.T) {
	c := DefaultConfig()
	if err := json.Unmarshal([]byte(`{"_class_name": "VQModel", "num_vq_embeddings": 8192}`), &c); err != nil {
		t.Fatal(err)
	}
	want := DefaultConfigOf(VQ)
	want.NumVQEmbeddings = 8192
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v, want %+v", c, want)
	}
	if c.ScalingFactor != 0.18215 { // diffusers' default for both classes
		t.Errorf("scaling_factor %g, want 0.18215", c.ScalingFactor)
	}
}

func TestUnsupported(t *testing.T) {
	for _, c := range []struct{ class, field, text string }{
		{KL, "_class_name", `"AutoencoderTiny"`}, {KL, "act_fn", `"relu"`}, {KL, "shift_factor", "0.1"},
		{KL, "latent_channels", "0"}, {KL, "layers_per_block", "1000000000"}, {KL, "norm_num_groups", "3"},
		{KL, "scaling_factor", "-1"}, {KL, "block_out_channels", "[8, -8, 16]"},
		{KL, "down_block_types", `["DownEncoderBlock2D", "DownEncoderBlock2D"]`},
		{KL, "up_block_types", `["UpDecoderBlock2D", "UpBlock2D", "UpDecoderBlock2D"]`},
		{VQ, "down_block_types", `["DownEncoderBlock2D", "DownEncoderBlock2D", "AttnUpDecoderBlock2D"]`},
		{VQ, "num_vq_embeddings", "0"}, {VQ, "num_vq_embeddings", "1073741824"}, {VQ, "vq_embed_dim", "-3"},
		{VQ, "vq_embed_dim", "100000"}, {VQ, "norm_type", `"spatial"`}, {VQ, "lookup_from_codebook", "true"},
	} {
		config := tiny(c.class)
		if err := json.Unmarshal([]byte(`{"`+c.field+`": `+c.text+`}`), &config); err != nil {
			t.Fatal(err)
		}
		_, err := New(&config)
		if word := strings.TrimSuffix(strings.TrimPrefix(c.field, "_"), "_name"); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s %s: error %v, want one that names the field", c.field, c.text, err)
		}
	}
}

// book is a table of codes of two channels.
func book(t *testing.T, codes ...float32) *Codebook {
	t.Helper()
	b, err := (&FirstStage{Codes: tensor.WeightOf("codes", codes, len(codes)/2, 2)}).Codebook()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestQuantize(t *testing.T) {
	b := book(t, 5, 0, 1, 0, 0, 1, -1, 0, 1, 0)
	for _, c := range []struct {
		z    [2]float32
		code int32
		gap  float64
	}{
		{[2]float32{0, 0}, 1, 0},                          // four codes are as near
		{[2]float32{0, 2}, 2, math.Sqrt(5) - 1},           // squared distances 1 and 5
		{[2]float32{1, 0}, 1, 0},                          // it is code 1, and code 4
		{[2]float32{5, 0}, 0, math.Inf(1)},                // it is code 0
		{[2]float32{-0.5, 0}, 3, math.Sqrt(1.25)/0.5 - 1}, // then code 2
		{[2]float32{3, 0}, 0, 0},                          // half way between codes 0 and 1
		{[2]float32{3e38, 3e38}, 0, 0},                    // farther than float32 can say
	} {
		codes, gaps, err := b.Quantize(c.z[:])
		if err != nil {
			t.Fatal(err)
		}
		if codes[0] != c.code || float32(c.gap) != gaps[0] {
			t.Errorf("%v has code %d and a gap of %g, want %d and %g", c.z, codes[0], gaps[0], c.code, c.gap)
		}
	}
	if _, gaps, err := book(t, 1, 1).Quantize([]float32{0, 0}); err != nil || !math.IsInf(float64(gaps[0]), 1) {
		t.Errorf("a table of one code has a gap of %g (%v), want infinity", gaps, err)
	}
	if codes, gaps, err := b.Quantize(nil); err != nil || len(codes) != 0 || len(gaps) != 0 {
		t.Errorf("no pixels have codes %v, gaps %v (%v)", codes, gaps, err)
	}
}

// Codes do not depend on how the pixels are shared out, and looking them up gives a fixed point.
func TestQuantizeMany(t *testing.T) {
	values := make([]float32, 2*37)
	for i := range values {
		values[i] = float32(math.Sin(float64(i * i)))
	}
	b, z := book(t, values...), make([]float32, 2*1001)
	for i := range z {
		z[i] = float32(math.Cos(float64(3 * i)))
	}
	codes, _, err := b.Quantize(z)
	if err != nil {
		t.Fatal(err)
	}
	for i := range codes {
		one, _, err := b.Quantize(z[2*i:][:2])
		if err != nil || one[0] != codes[i] {
			t.Fatalf("pixel %d alone has code %v (%v), among others %d", i, one, err, codes[i])
		}
	}
	if err := b.Lookup(z, codes); err != nil {
		t.Fatal(err)
	}
	again, gaps, err := b.Quantize(z)
	if err != nil || !reflect.DeepEqual(again, codes) {
		t.Errorf("quantised latents have other codes (%v)", err)
	}
	for i, gap := range gaps {
		if !math.IsInf(float64(gap), 1) {
			t.Fatalf("pixel %d is a code and has a gap of %g", i, gap)
		}
	}
}

func TestCodebookErrors(t *testing.T) {
	b := book(t, 1, 2, 3, 4)
	for _, c := range []struct {
		z     []float32
		wants string
	}{
		{make([]float32, 3), "3 values"},
		{[]float32{0, 0, 0, float32(math.NaN())}, "channel 1 of latent pixel 1 is NaN"},
		{[]float32{float32(math.Inf(-1)), 0}, "-Inf"},
	} {
		if _, _, err := b.Quantize(c.z); err == nil || !strings.Contains(err.Error(), c.wants) {
			t.Errorf("%v: error %v, want %q in it", c.z, err, c.wants)
		}
	}
	for _, code := range []int32{-1, 2} {
		if err := b.Lookup(make([]float32, 4), []int32{0, code}); err == nil || !strings.Contains(err.Error(), "want 0 to 1") {
			t.Errorf("code %d: error %v", code, err)
		}
	}
	if err := b.Lookup(make([]float32, 3), []int32{0}); err == nil {
		t.Error("3 values take a code of 2")
	}
	if _, err := new(FirstStage).Codebook(); err == nil {
		t.Error("a KL model has a codebook")
	}
	if _, err := (&FirstStage{Codes: tensor.NewWeight(4, 2)}).Codebook(); err == nil {
		t.Error("a table without data was copied")
	}
}

// A config.json is refused, or gives a network whose shapes fit together.
func FuzzConfig(f *testing.F) {
	for _, class := range []string{KL, VQ} {
		data, err := json.Marshal(tiny(class))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := DefaultConfig()
		if json.Unmarshal(data, &c) != nil || c.Validate() != nil {
			return
		}
		shapes(t, &c)
	})
}

func BenchmarkQuantize(b *testing.B) {
	const codes, pixels, dim = 8192, 128 * 128, 3 // VQ f4 at 512 x 512 pixels
	book := &Codebook{codes, dim, make([]float64, codes*dim)}
	for i := range book.columns {
		book.columns[i] = math.Sin(float64(i * i))
	}
	z := make([]float32, pixels*dim)
	for i := range z {
		z[i] = float32(math.Cos(float64(3 * i)))
	}
	for b.Loop() {
		if _, _, err := book.Quantize(z); err != nil {
			b.Fatal(err)
		}
	}
}
