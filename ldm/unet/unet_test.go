package unet

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/tensor"
)

// tiny is a network of two levels with a transformer at the first.
func tiny() Config {
	c := DefaultConfig()
	c.BlockOutChannels = []int{8, 16}
	c.DownBlockTypes, c.UpBlockTypes = []string{crossAttnDown, plainDown}, []string{plainUp, crossAttnUp}
	c.LayersPerBlock, c.AttentionHeadDim = PerLevel{1}, PerLevel{2}
	c.CrossAttentionDim, c.NormNumGroups = PerLevel{12}, 4
	return c
}

func forward(t *testing.T, c *Config, height, width int) *tensor.Graph {
	t.Helper()
	u, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint.Walk(u, func(name string, w *tensor.Weight) { w.Name = name })
	g := tensor.NewGraph()
	x := g.Input("x", 2, height, width, c.InChannels)
	in := Inputs{X: x, Sinusoids: g.Input("sinusoids", 2, c.BlockOutChannels[0])}
	if c.conditional() {
		in.Cond = g.Input("cond", 2, 7, c.CrossAttentionDim[0])
	}
	if c.NumClassEmbeds != nil {
		in.Label = g.Input("label", 1, 4*c.BlockOutChannels[0])
	}
	out := u.Forward(in)
	g.Output("out", out)
	if err := g.Err(); err != nil {
		t.Fatal(err)
	}
	if want := (tensor.Shape{2, height, width, c.OutChannels}); !out.Shape.Equal(want) {
		t.Errorf("output %s, want %s", out.Shape, want)
	}
	return g
}

func TestAnySize(t *testing.T) {
	c := tiny()
	for _, size := range [][2]int{{8, 8}, {7, 8}, {5, 3}, {1, 1}} {
		forward(t, &c, size[0], size[1])
	}
}

// The names of attentions are what taps ask for.
func TestTaps(t *testing.T) {
	c := tiny()
	u, err := New(&c)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint.Walk(u, func(name string, w *tensor.Weight) { w.Name = name })
	g := tensor.NewGraph()
	g.TapAttention(func(name string) bool { return strings.HasSuffix(name, ".attn2") })
	g.Output("out", u.Forward(Inputs{X: g.Input("x", 1, 8, 8, 4), Sinusoids: g.Input("sinusoids", 1, 8), Cond: g.Input("cond", 1, 7, 12)}))
	if err := g.Err(); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range g.Outputs() {
		if strings.HasSuffix(o.Name, ".probs") {
			names = append(names, o.Name)
		}
	}
	const want = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.probs"
	if len(names) != 4 || names[0] != want {
		t.Errorf("taps %q, want 4, the first of them %s", names, want)
	}
}

func TestVariants(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"scale shift":          func(c *Config) { c.ResnetTimeScaleShift = "scale_shift" },
		"asymmetric padding":   func(c *Config) { c.DownsamplePadding = 0 },
		"deep transformer":     func(c *Config) { c.TransformerLayers = PerLevel{3} },
		"layers for each":      func(c *Config) { c.LayersPerBlock = PerLevel{1, 3} },
		"heads for each":       func(c *Config) { c.AttentionHeadDim = PerLevel{4, 1} },
		"number of heads":      func(c *Config) { c.NumAttentionHeads = PerLevel{8} },
		"wide first kernel":    func(c *Config) { c.ConvInKernel = 5 },
		"attention everywhere": func(c *Config) { c.DownBlockTypes[1], c.UpBlockTypes[0] = crossAttnDown, crossAttnUp },
		"resampling in blocks": func(c *Config) { c.DownBlockTypes[1], c.UpBlockTypes[0] = resnetDown, resnetUp },
		"only cross-attention": func(c *Config) { c.OnlyCrossAttention = FlagPerLevel{true} },
		"no such flags":        func(c *Config) { c.OnlyCrossAttention = nil },
		"classes":              func(c *Config) { c.NumClassEmbeds = pointer(10) },
	} {
		t.Run(name, func(t *testing.T) {
			c := tiny()
			change(&c)
			forward(t, &c, 8, 8)
		})
	}
}

func pointer[T any](v T) *T { return &v }

// tinyUnconditional is a network of three levels with attention at the second.
func tinyUnconditional() Config {
	c := DefaultConfigOf(Unconditional)
	c.BlockOutChannels = []int{8, 16, 16}
	c.DownBlockTypes, c.UpBlockTypes = []string{plainDown, attnDown, plainDown}, []string{plainUp, attnUp, plainUp}
	c.LayersPerBlock, c.NormNumGroups = PerLevel{1}, 4
	return c
}

func TestUnconditionalVariants(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"default":              func(*Config) {},
		"one head":             func(c *Config) { c.AttentionHeadDim = nil },
		"number of heads":      func(c *Config) { c.NumAttentionHeads = PerLevel{1, 2, 16} },
		"no attention":         func(c *Config) { c.DownBlockTypes[1], c.UpBlockTypes[1], c.AddAttention = plainDown, plainUp, false },
		"classes":              func(c *Config) { c.NumClassEmbeds = pointer(3) },
		"scale shift":          func(c *Config) { c.ResnetTimeScaleShift = "scale_shift" },
		"resampling in blocks": inBlocks,
	} {
		t.Run(name, func(t *testing.T) {
			c := tinyUnconditional()
			change(&c)
			forward(t, &c, 8, 12)
		})
	}
}

// inBlocks resamples in residual blocks at both levels.
func inBlocks(c *Config) {
	c.DownBlockTypes[0], c.UpBlockTypes[0] = resnetDown, resnetUp
	c.DownsampleType, c.UpsampleType = resnet, resnet
}

// Convolutions halve any size, residual blocks even ones only.
func TestMultiple(t *testing.T) {
	c := tinyUnconditional()
	if c.Multiple() != 1 {
		t.Errorf("multiple of %d, want 1", c.Multiple())
	}
	forward(t, &c, 7, 5)
	c.DownBlockTypes[0], c.UpBlockTypes[1] = resnetDown, resnetUp
	if c.Multiple() != 2 {
		t.Errorf("multiple of %d, want 2", c.Multiple())
	}
	forward(t, &c, 6, 10)
	inBlocks(&c)
	if c.Multiple() != 4 {
		t.Errorf("multiple of %d, want 4", c.Multiple())
	}
	forward(t, &c, 4, 12)
}

// names are those of the weights that a config gives, with their shapes.
func names(t *testing.T, c *Config) map[string]tensor.Shape {
	t.Helper()
	u, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]tensor.Shape{}
	checkpoint.Walk(u, func(name string, w *tensor.Weight) { names[name] = w.Shape })
	return names
}

// The names and shapes of weights that diffusers gives these configs.
func TestWeightNames(t *testing.T) {
	blocks := tinyUnconditional()
	inBlocks(&blocks)
	blocks.ResnetTimeScaleShift, blocks.AttnNormNumGroups = "scale_shift", pointer(2)
	noNorm := tinyUnconditional()
	noNorm.ResnetTimeScaleShift = "scale_shift"
	upscaler := tiny()
	upscaler.OnlyCrossAttention, upscaler.NumClassEmbeds = FlagPerLevel{true, false}, pointer(1000)
	for _, c := range []struct {
		config Config
		has    map[string]tensor.Shape
		lacks  string
	}{
		{blocks, map[string]tensor.Shape{
			"down_blocks.0.downsamplers.0.norm1.weight":         {8},
			"down_blocks.1.downsamplers.0.time_emb_proj.weight": {32, 32},
			"down_blocks.1.downsamplers.0.conv2.weight":         {16, 16, 3, 3},
			"up_blocks.1.upsamplers.0.conv1.bias":               {16},
			"mid_block.attentions.0.group_norm.weight":          {16},
			"down_blocks.1.attentions.0.to_out.0.bias":          {16},
			"down_blocks.1.attentions.0.to_q.bias":              {16},
		}, "down_blocks.0.downsamplers.0.conv.weight"},
		{noNorm, map[string]tensor.Shape{"down_blocks.1.attentions.0.group_norm.weight": {16}}, "mid_block.attentions.0.group_norm.weight"},
		{upscaler, map[string]tensor.Shape{
			"class_embedding.weight": {1000, 32},
			"down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_k.weight": {8, 12},
			"up_blocks.1.attentions.1.transformer_blocks.0.attn1.to_v.weight":   {8, 12},
			"mid_block.attentions.0.transformer_blocks.0.attn1.to_k.weight":     {16, 16},
		}, "down_blocks.1.attentions.0.norm.weight"},
	} {
		got := names(t, &c.config)
		for name, shape := range c.has {
			if !got[name].Equal(shape) {
				t.Errorf("%s is %s, want %s", name, got[name], shape)
			}
		}
		if _, ok := got[c.lacks]; ok {
			t.Errorf("there is %s", c.lacks)
		}
	}
}

func TestLabel(t *testing.T) {
	c := tiny()
	u, err := New(&c)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float32, 32)
	if err := u.Label(out, 0); err == nil {
		t.Error("a network without classes has a class")
	}
	values := make([]float32, 3*32)
	for i := range values {
		values[i] = float32(i)
	}
	u.ClassEmbed = &ClassEmbedding{tensor.WeightOf("class_embedding.weight", values, 3, 32)}
	if err := u.Label(out, 2); err != nil || out[0] != 64 || out[31] != 95 {
		t.Errorf("class 2 is %v (%v), want 64 to 95", out, err)
	}
	for _, class := range []int{-1, 3, math.MaxInt} {
		if err := u.Label(out, class); err == nil || !strings.Contains(err.Error(), "want 0 to 2") {
			t.Errorf("class %d: error %v", class, err)
		}
	}
	if err := u.Label(out[1:], 0); err == nil {
		t.Error("31 elements take an embedding of 32")
	}
}

// A config.json of the other class starts from that class's defaults, one without a class from
// what is there.
func TestConfigOfClass(t *testing.T) {
	c := DefaultConfig()
	if err := json.Unmarshal([]byte(`{"_class_name": "UNet2DModel", "in_channels": 6}`), &c); err != nil {
		t.Fatal(err)
	}
	want := DefaultConfigOf(Unconditional)
	want.InChannels = 6
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v, want %+v", c, want)
	}
	if err := json.Unmarshal([]byte(`{"attention_head_dim": null}`), &c); err != nil {
		t.Fatal(err)
	}
	if want.AttentionHeadDim = nil; !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v, want %+v", c, want)
	}
	data, err := json.Marshal(c)
	if err != nil || !strings.Contains(string(data), `"layers_per_block":2,`) {
		t.Errorf("written as %s (%v)", data, err)
	}
	again := DefaultConfig()
	if err := json.Unmarshal(data, &again); err != nil || !reflect.DeepEqual(again, c) {
		t.Errorf("read again as %+v (%v), want %+v", again, err, c)
	}
}

func TestUnsupported(t *testing.T) {
	refuse := func(c Config, field, text string) {
		t.Helper()
		if err := json.Unmarshal([]byte(`{"`+field+`": `+text+`}`), &c); err != nil {
			t.Fatal(err)
		}
		_, err := New(&c)
		if word := strings.TrimPrefix(field, "_"); err == nil || !strings.Contains(err.Error(), strings.TrimSuffix(word, "_name")) {
			t.Errorf("%s %s: error %v, want one that names the field", field, text, err)
		}
	}
	for field, text := range map[string]string{
		"act_fn": `"mish"`, "class_embed_type": `"timestep"`, "only_cross_attention": "[true, false, true]",
		"time_embedding_type": `"fourier"`, "mid_block_type": `"UNetMidBlock2DSimpleCrossAttn"`,
		"dual_cross_attention": "true", "norm_eps": "0", "sample_size": "-1", "conv_in_kernel": "2",
		"layers_per_block": "[1, 2, 3]", "cross_attention_dim": "0", "_class_name": `"UNet3DConditionModel"`,
		"num_class_embeds": "0", "down_block_types": `["AttnDownBlock2D", "DownBlock2D"]`, "attention_head_dim": "null",
		"freq_shift": "4", "downsample_type": `"fir"`,
	} {
		refuse(tiny(), field, text)
	}
	for field, text := range map[string]string{
		"mid_block_type": "null", "attn_norm_num_groups": "3", "norm_num_groups": "3", "attention_head_dim": "3",
		"num_attention_heads": "[1, 1, 3]", "upsample_type": `"stretch"`, "num_class_embeds": "1073741824",
		"up_block_types": `["CrossAttnUpBlock2D", "UpBlock2D", "UpBlock2D"]`, "time_embedding_dim": "64",
	} {
		refuse(tinyUnconditional(), field, text)
	}
}

// A config.json is refused, or gives a network whose shapes fit together.
func FuzzConfig(f *testing.F) {
	for _, c := range []Config{tiny(), tinyUnconditional()} {
		data, err := json.Marshal(c)
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
		size := c.Multiple()
		if c.DownsamplePadding == 0 {
			size <<= c.levels() // padded on one side, a single pixel is smaller than the kernel
		}
		if size > 1<<9 {
			return // shapes are the same at every level
		}
		forward(t, &c, size, 2*size)
	})
}
