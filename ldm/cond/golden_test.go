package cond

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/cpu"
	"ldm-mac/ldm/goldentest"
	"ldm-mac/ldm/imageio"
	"ldm-mac/ldm/labels"
	"ldm-mac/ldm/tensor"
)

// compvis is what the case.json of a CompVis checkpoint says of its condition.
type compvis struct {
	Files []struct{ File string } `json:"files"`
	Info  struct {
		Classes       []int `json:"classes"`
		Unconditional int   `json:"uncond_class"`
		Layout        []struct {
			Objects []struct {
				Category  int        `json:"category_no"`
				Box       [4]float64 `json:"bbox"` // left, upper, width, height
				Group     bool       `json:"is_group_of"`
				Occluded  bool       `json:"is_occluded"`
				Depiction bool       `json:"is_depiction"`
				Inside    bool       `json:"is_inside"`
			} `json:"objects"`
			Crop   *[4]float64 `json:"crop"`
			Tokens []int32     `json:"tokens"`
		} `json:"layout"`
		Builder struct {
			Classes    int `json:"no_object_classes"`
			Objects    int `json:"no_max_objects"`
			Vocabulary int `json:"no_tokens"`
		} `json:"builder"`
	} `json:"info"`
	Errors map[string]any `json:"fp32_vs_float64"` // counts stand among the errors
}

func (c *compvis) bound(t *testing.T, name string) float64 {
	t.Helper()
	e, ok := c.Errors[name].(map[string]any)
	if !ok {
		t.Fatalf("no measured error of %q", name)
	}
	return goldentest.Bound(e["max"].(float64))
}

// open opens the fixture and its checkpoint.
func open(t *testing.T, name string) (*goldentest.Folder, *compvis, *checkpoint.File) {
	t.Helper()
	c := new(compvis)
	f := goldentest.Open(t, name, c)
	file, err := checkpoint.Open(f.Path(c.Files[0].File))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return f, c, file
}

// stage is the part of a CompVis checkpoint that holds the encoder of conditions.
const stage = "cond_stage_model"

func TestGoldenClass(t *testing.T) {
	f, c, file := open(t, "compvis-class")
	config := ClassEmbedderConfig{NumClasses: 11, EmbedDim: 24}
	e, err := NewClassEmbedder(&config)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkpoint.Bind(e, file, stage); err != nil {
		t.Fatal(err)
	}
	none, ok := config.Unconditional()
	if !ok || none != c.Info.Unconditional {
		t.Errorf("the unconditional class is %d (%t), want %d", none, ok, c.Info.Unconditional)
	}
	for name, classes := range map[string][]int{"cond/c": c.Info.Classes, "cond/uncond": {none, none}} {
		var got []float32
		for _, class := range classes {
			row := make([]float32, config.EmbedDim)
			if err := e.Embed(row, class); err != nil {
				t.Fatal(err)
			}
			got = append(got, row...)
		}
		want, _ := f.Floats(name)
		goldentest.Compare(t, name, got, want, c.bound(t, name))
	}
}

func TestGoldenRescaler(t *testing.T) {
	f, c, file := open(t, "compvis-semantic")
	config := DefaultRescalerConfig()
	config.Stages, config.InChannels, config.OutChannels = 2, 14, 3
	r, err := NewRescaler(&config)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkpoint.Bind(r, file, stage); err != nil {
		t.Fatal(err)
	}
	m, err := imageio.DecodeLabelsFile(f.Path("segmentation.png"), labels.Palette(14))
	if err != nil {
		t.Fatal(err)
	}
	values, shape := f.Floats("cond/c") // [1, c, h, w]
	height, width := r.Size(m.Height, m.Width)
	if !shape.Equal(tensor.Shape{1, 3, height, width}) {
		t.Fatalf("%dx%d of a label map of %dx%d, want %s", height, width, m.Height, m.Width, shape)
	}
	got, want := make([]float32, len(values)), make([]float32, len(values))
	if err := r.Rescale(got, m.Classes, m.Height, m.Width); err != nil {
		t.Fatal(err)
	}
	for i, v := range values {
		channel, pixel := i/(height*width), i%(height*width)
		want[pixel*3+channel] = v
	}
	goldentest.Compare(t, "cond/c", got, want, c.bound(t, "cond/c"))
}

func TestGoldenLayoutTokens(t *testing.T) {
	f, c, _ := open(t, "compvis-layout")
	l := c.layout()
	if l.MaxBoxes() != c.Info.Builder.Objects {
		t.Errorf("room for %d boxes, want %d", l.MaxBoxes(), c.Info.Builder.Objects)
	}
	for i, tokens := range c.tokens(t) {
		if want := c.Info.Layout[i].Tokens; !slices.Equal(tokens, want) {
			t.Errorf("layout %d has tokens %v, want %v", i, tokens, want)
		}
	}
	f.Count(len(c.Info.Layout))
}

func (c *compvis) layout() Layout {
	b := c.Info.Builder
	return Layout{Vocabulary: b.Vocabulary, Length: 3*b.Objects + 2, Stride: b.Classes}
}

// rect is a rectangle in the fixture's form. The builder keeps boxes within the picture.
func rect(r [4]float64) Rect {
	return Rect{r[0], r[1], min(r[0]+r[2], 1), min(r[1]+r[3], 1)}
}

func (c *compvis) tokens(t *testing.T) (all [][]int32) {
	t.Helper()
	for _, layout := range c.Info.Layout {
		var boxes []Box
		for _, o := range layout.Objects {
			boxes = append(boxes, Box{o.Category, o.Group, o.Occluded, o.Depiction, o.Inside, rect(o.Box)})
		}
		crop := FullCrop
		if layout.Crop != nil {
			crop = rect(*layout.Crop)
		}
		tokens, err := c.layout().Tokens(boxes, crop)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, tokens)
	}
	return all
}

// layerName is that of a weight in a layer of LDMBertModel.
var layerName = regexp.MustCompile(`^model\.layers\.(\d+)\.(.*)$`)

// compvisName is what CompVis' BERTEmbedder calls a weight of LDMBertModel; its attention and its
// network are layers of their own, the even and the odd ones.
func compvisName(name string) string {
	if m := layerName.FindStringSubmatch(name); m != nil {
		part := strings.NewReplacer(
			"self_attn_layer_norm.", "0.0.", "self_attn.q_proj.", "0.1.to_q.", "self_attn.k_proj.", "0.1.to_k.",
			"self_attn.v_proj.", "0.1.to_v.", "self_attn.out_proj.", "0.1.to_out.",
			"final_layer_norm.", "1.0.", "fc1.", "1.1.net.0.0.", "fc2.", "1.1.net.2.").Replace(m[2])
		layer := int(m[1][0]-'0')*2 + int(part[0]-'0')
		return stage + ".transformer.attn_layers.layers." + string(rune('0'+layer)) + part[1:]
	}
	return stage + ".transformer." + strings.NewReplacer("model.embed_tokens.", "token_emb.",
		"model.embed_positions.", "pos_emb.emb.", "model.layer_norm.", "norm.").Replace(name)
}

// The text encoder reads the tokens of a layout like any, without a tokenizer.
func TestGoldenLayout(t *testing.T) {
	f, c, file := open(t, "compvis-layout")
	config := DefaultBERTConfig()
	config.VocabSize, config.MaxPositions = c.layout().Vocabulary, c.layout().Length
	config.Layers, config.Width, config.FFNDim = 2, 32, 128
	b, err := NewBERT(&config)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint.Walk(b, func(name string, w *tensor.Weight) {
		found, ok := file.Weight(compvisName(name))
		if !ok || !found.Shape.Equal(w.Shape) {
			t.Fatalf("no weight %q of shape %s for %q", compvisName(name), w.Shape, name)
		}
		w.Name, w.DType, w.Data = name, found.DType, found.Data
	})
	layouts := c.tokens(t)
	in := tensor.NewArray(len(layouts), config.MaxPositions, config.Width)
	for i, tokens := range layouts {
		size := config.MaxPositions * config.Width
		if err := b.Embed(in.Data[i*size:(i+1)*size], tokens); err != nil {
			t.Fatal(err)
		}
	}
	backend := cpu.New(0)
	defer backend.Close()
	g := tensor.NewGraph()
	g.Output("cond", b.Forward(g.Input("tokens", in.Shape...), 0))
	program, err := backend.Compile(g)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	out, err := program.Run(context.Background(), map[string]tensor.Array{"tokens": in})
	if err != nil {
		t.Fatal(err)
	}
	want, _ := f.Floats("cond/c")
	goldentest.Compare(t, "cond/c", out["cond"].Data, want, c.bound(t, "cond/c"))
}
