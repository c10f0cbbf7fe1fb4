package unet

import (
	"encoding/json"
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
	out := u.Forward(x, g.Input("sinusoids", 2, c.BlockOutChannels[0]), g.Input("cond", 2, 7, c.CrossAttentionDim[0]))
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
	g.Output("out", u.Forward(g.Input("x", 1, 8, 8, 4), g.Input("sinusoids", 1, 8), g.Input("cond", 1, 7, 12)))
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
	} {
		t.Run(name, func(t *testing.T) {
			c := tiny()
			change(&c)
			forward(t, &c, 8, 8)
		})
	}
}

func TestUnsupported(t *testing.T) {
	for field, text := range map[string]string{
		"act_fn": `"mish"`, "num_class_embeds": "1000", "only_cross_attention": "[true, false]",
		"time_embedding_type": `"fourier"`, "mid_block_type": `"UNetMidBlock2DSimpleCrossAttn"`,
		"dual_cross_attention": "true", "norm_eps": "0", "sample_size": "-1", "conv_in_kernel": "2",
		"layers_per_block": "[1, 2, 3]", "cross_attention_dim": "0", "_class_name": `"UNet3DConditionModel"`,
	} {
		c := tiny()
		if err := json.Unmarshal([]byte(`{"`+field+`": `+text+`}`), &c); err != nil {
			t.Fatal(err)
		}
		_, err := New(&c)
		if word := strings.TrimPrefix(field, "_"); err == nil || !strings.Contains(err.Error(), strings.TrimSuffix(word, "_name")) {
			t.Errorf("%s %s: error %v, want one that names the field", field, text, err)
		}
	}
}
