package cond

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/cpu"
	"ldm-mac/ldm/goldentest"
	"ldm-mac/ldm/tensor"
)

// TestGoldenCLIP compares the tokens after every layer, the condition, and the condition without the
// last layer.
func TestGoldenCLIP(t *testing.T) {
	for _, name := range []string{"sd-tiny", "sd2-v-tiny", "sd-inpaint-tiny"} {
		t.Run(name, func(t *testing.T) {
			var cases compvis
			f := goldentest.Open(t, name, &cases)
			c := openCLIP(t, f)
			in := embedded(t, f, c)
			bound := cases.bound(t, "text/last_hidden_state")
			layers := func(x *tensor.Tensor) map[string]*tensor.Tensor {
				nodes := map[string]*tensor.Tensor{"text/last_hidden_state": c.Forward(x, 0), "text/clip_skip1": c.Forward(x, 1)}
				for i, l := range c.Layers {
					x = l.Forward(x)
					nodes[fmt.Sprintf("text/hidden%d", i+1)] = x
				}
				return nodes
			}
			got := evaluate(t, in, layers)
			got["text/hidden0"] = in.Data
			compared := 0
			for _, node := range slices.Sorted(maps.Keys(got)) {
				if !f.Has(node) {
					continue
				}
				compared++
				want, _ := f.Floats(node) // hidden states of the first prompts only
				goldentest.Compare(t, node, got[node][:len(want)], want, bound)
			}
			if compared != c.Depth()+1+2 {
				t.Errorf("%d tensors compared, want those of %d layers, the embedding and two conditions", compared, c.Depth())
			}
			f.Count(compared)
		})
	}
}

// openCLIP reads the text encoder of a fixture.
func openCLIP(t *testing.T, f *goldentest.Folder) *CLIP {
	t.Helper()
	folder, err := checkpoint.OpenFolder(f.Path("model"))
	if err != nil {
		t.Fatal(err)
	}
	config := DefaultCLIPConfig()
	if err := folder.Config("text_encoder", &config); err != nil {
		t.Fatal(err)
	}
	c, err := NewCLIP(&config)
	if err != nil {
		t.Fatal(err)
	}
	weights, err := folder.Weights("text_encoder")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { weights.Close() })
	if err := checkpoint.Bind(c, weights, "", CLIPUnused...); err != nil {
		t.Fatal(err)
	}
	return c
}

// embedded are the embeddings [n, l, d] of a fixture's prompts.
func embedded(t *testing.T, f *goldentest.Folder, c *CLIP) tensor.Array {
	t.Helper()
	ids, shape := f.Ints("text/ids")
	in := tensor.NewArray(shape[0], shape[1], c.Width())
	for i := range shape[0] {
		row := make([]int32, shape[1])
		for j := range row {
			row[j] = int32(ids[i*shape[1]+j])
		}
		size := shape[1] * c.Width()
		if err := c.Embed(in.Data[i*size:][:size], row); err != nil {
			t.Fatal(err)
		}
	}
	return in
}

// evaluate computes what build makes of the tokens in, by name.
func evaluate(t *testing.T, in tensor.Array, build func(*tensor.Tensor) map[string]*tensor.Tensor) map[string][]float32 {
	t.Helper()
	backend := cpu.New(0)
	defer backend.Close()
	g := tensor.NewGraph()
	nodes := build(g.Input("tokens", in.Shape...))
	for name, x := range nodes {
		g.Output(name, x)
	}
	program, err := backend.Compile(g)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	out, err := program.Run(context.Background(), map[string]tensor.Array{"tokens": in})
	if err != nil {
		t.Fatal(err)
	}
	values := map[string][]float32{}
	for name := range nodes {
		values[name] = slices.Clone(out[name].Data)
	}
	return values
}

// What comes after a token changes nothing of it: the last prompt's tokens are changed one by one
// from the end.
func TestCLIPIsCausal(t *testing.T) {
	f := goldentest.Open(t, "sd-tiny", new(compvis))
	c := openCLIP(t, f)
	whole := embedded(t, f, c)
	l, d := whole.Shape[1], whole.Shape[2]
	for _, changed := range []int{l - 1, 40, 1, 0} {
		in := tensor.NewArray(2, l, d)
		copy(in.Data, whole.Data[:l*d])
		copy(in.Data[l*d:], whole.Data[:l*d])
		for j := range d {
			in.Data[(l+changed)*d+j] = float32(j)
		}
		got := evaluate(t, in, func(x *tensor.Tensor) map[string]*tensor.Tensor {
			return map[string]*tensor.Tensor{"cond": c.Forward(x, 0)}
		})["cond"]
		for i := range l {
			same := slices.Equal(got[i*d:][:d], got[(l+i)*d:][:d])
			if same != (i < changed) {
				t.Errorf("token %d changed: token %d is the same: %t", changed, i, same)
			}
		}
	}
}

func TestCLIPEmbed(t *testing.T) {
	config := DefaultCLIPConfig()
	config.VocabSize, config.MaxPositions, config.Width, config.Layers = 10, 4, 8, 1
	c, err := NewCLIP(&config)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float32, 5*8)
	for want, ids := range map[string][]int32{
		"clip: token id 10 is outside the vocabulary of 10": {10},
		"clip: token id -1 is outside the vocabulary of 10": {-1},
		"clip: 5 tokens for 4 positions":                    {1, 1, 1, 1, 1},
	} {
		if err := c.Embed(out, ids); err == nil || err.Error() != want {
			t.Errorf("%d: error %v, want %q", ids, err, want)
		}
	}
}

func TestCLIPConfigRefuses(t *testing.T) {
	for want, change := range map[string]func(*CLIPConfig){
		"vocab_size is 0, want 1 to 4194304":                                       func(c *CLIPConfig) { c.VocabSize = 0 },
		"hidden_size is 1000000":                                                   func(c *CLIPConfig) { c.Width = 1000000 },
		"intermediate_size is -1":                                                  func(c *CLIPConfig) { c.FFNDim = -1 },
		"num_hidden_layers is 100000":                                              func(c *CLIPConfig) { c.Layers = 100000 },
		"num_attention_heads is 0":                                                 func(c *CLIPConfig) { c.Heads = 0 },
		"num_attention_heads is 7, which does not divide the hidden_size 512":      func(c *CLIPConfig) { c.Heads = 7 },
		"max_position_embeddings is 0":                                             func(c *CLIPConfig) { c.MaxPositions = 0 },
		`hidden_act "swish" is not supported, want quick_gelu or gelu`:             func(c *CLIPConfig) { c.Activation = "swish" },
		"layer_norm_eps is 0.001, want 1e-05":                                      func(c *CLIPConfig) { c.Eps = 1e-3 },
		`class "CLIPTextModelWithProjection" is not supported, want CLIPTextModel`: func(c *CLIPConfig) { c.Architectures = []string{"CLIPTextModelWithProjection"} },
	} {
		c := DefaultCLIPConfig()
		change(&c)
		if _, err := NewCLIP(&c); err == nil || !strings.HasPrefix(err.Error(), "clip: "+want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	c := DefaultCLIPConfig()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}
