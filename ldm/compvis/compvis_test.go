package compvis

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/goldentest"
	"ldm-mac/ldm/tensor"
)

// fixtures are the original checkpoints among the reference outputs, and what each is.
var fixtures = map[string]struct {
	file, class string
	lacks       []string // what cannot be told without the YAML file
}{
	"compvis-churches": {"last-fp16-ema-legacy.ckpt", unconditional, []string{"num_heads"}},
	"compvis-class":    {"model-fp16.ckpt", classToImage, []string{"num_heads"}},
	"compvis-inpaint":  {"last-fp16.ckpt", inpaint, []string{"num_heads"}},
	"compvis-layout":   {"model-fp16.ckpt", layoutToImage, []string{"num_heads"}},
	"compvis-semantic": {"model-fp16.ckpt", semantic, []string{"num_heads"}},
	"compvis-txt2img":  {"model-fp16.ckpt", textToImage, []string{"num_heads", "scale_factor"}},
}

// each calls test with every fixture's checkpoint.
func each(t *testing.T, test func(t *testing.T, name, path string)) {
	for _, name := range sortedKeys(fixtures) {
		t.Run(name, func(t *testing.T) {
			var cases struct{ Files []struct{ File string } }
			folder := goldentest.Open(t, name, &cases)
			if len(cases.Files) != 1 || cases.Files[0].File != fixtures[name].file {
				t.Fatalf("the fixture has %v, want %s", cases.Files, fixtures[name].file)
			}
			test(t, name, folder.Path(fixtures[name].file))
			folder.Count(len(cases.Files))
		})
	}
}

// alone is a copy of a file in a folder of its own.
func alone(t *testing.T, path string) string {
	t.Helper()
	return copyTo(t, path, filepath.Join(t.TempDir(), filepath.Base(path)))
}

func copyTo(t *testing.T, from, to string) string {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return to
}

func open(t *testing.T, path string, o Options) *checkpoint.Folder {
	t.Helper()
	folder, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// weights are all tensors of a component, copied.
func weights(t *testing.T, folder *checkpoint.Folder, component string) map[string]tensor.Weight {
	t.Helper()
	file, err := folder.Weights(component)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	out := map[string]tensor.Weight{}
	for _, name := range file.Names() {
		w, _ := file.Weight(name)
		out[name] = tensor.Weight{Name: w.Name, Shape: w.Shape, DType: w.DType, Data: bytes.Clone(w.Data)}
	}
	return out
}

// same fails the test unless both folders have the same components, small files and weights.
func same(t *testing.T, got, want *checkpoint.Folder) {
	t.Helper()
	if got.Class != want.Class || got.Convention != want.Convention || !reflect.DeepEqual(got.Components, want.Components) {
		t.Fatalf("%s, %s, %v, want %s, %s, %v", got.Class, got.Convention, got.Components, want.Class, want.Convention, want.Components)
	}
	gotFiles, err := readSmall(got)
	if err != nil {
		t.Fatal(err)
	}
	wantFiles, err := readSmall(want)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range sortedKeys(wantFiles) {
		if !bytes.Equal(gotFiles[name], wantFiles[name]) {
			t.Errorf("%s is\n%s, want\n%s", name, gotFiles[name], wantFiles[name])
		}
	}
	if len(gotFiles) != len(wantFiles) {
		t.Errorf("files %q, want %q", sortedKeys(gotFiles), sortedKeys(wantFiles))
	}
	for name, c := range want.Components {
		if hasWeights(c) {
			sameWeights(t, weights(t, got, name), weights(t, want, name))
		}
	}
}

func sameWeights(t *testing.T, got, want map[string]tensor.Weight) {
	t.Helper()
	if !slices.Equal(sortedKeys(got), sortedKeys(want)) {
		t.Fatalf("weights %q, want %q", sortedKeys(got), sortedKeys(want))
	}
	for name, w := range want {
		if g := got[name]; !g.Shape.Equal(w.Shape) || g.DType != w.DType || !bytes.Equal(g.Data, w.Data) {
			t.Errorf("%q is %s of %s, want %s of %s with the same elements", name, g.Shape, g.DType, w.Shape, w.DType)
		}
	}
}

// TestGoldenOpen opens every fixture with its YAML file beside it, and without.
func TestGoldenOpen(t *testing.T) {
	each(t, func(t *testing.T, name, path string) {
		want := fixtures[name]
		folder := open(t, path, Options{})
		if folder.Class != want.class || folder.Convention != checkpoint.CompVis || folder.Missing != nil {
			t.Errorf("%s of convention %s without %q, want %s", folder.Class, folder.Convention, folder.Missing, want.class)
		}
		whole := filepath.Dir(alone(t, path))
		for _, beside := range []string{"config.yaml", "vocab.txt"} {
			if from := filepath.Join(filepath.Dir(path), beside); isRegular(from) {
				copyTo(t, from, filepath.Join(whole, beside))
			}
		}
		same(t, open(t, whole, Options{}), folder)
		if _, err := Open(filepath.Dir(path), Options{}); err == nil || !strings.Contains(err.Error(), "2 checkpoints") {
			t.Errorf("a folder of two checkpoints: %v", err)
		}
		with, err := openOriginal(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		bare := alone(t, path)
		without, err := openOriginal(bare, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if without.config != "" || filepath.Base(with.config) != "config.yaml" {
			t.Errorf("configurations %q and %q, want config.yaml and none", with.config, without.config)
		}
		// All that is told at all is told equally; what is not, is named.
		completed := *without.settings
		completed.heads, completed.headSize, completed.sampleSize = with.settings.heads, with.settings.headSize, with.settings.sampleSize
		if slices.Contains(want.lacks, "scale_factor") {
			completed.scale = with.settings.scale
		}
		made := without.shapes.files(without.class, &completed)
		for file, text := range made {
			if !bytes.Equal(text, with.files[file]) {
				t.Errorf("%s without the YAML file is\n%s, want\n%s", file, text, with.files[file])
			}
		}
		_, err = Open(bare, Options{})
		var model *checkpoint.Error
		if !errors.As(err, &model) || model.Path != bare || len(without.settings.lacks) != len(want.lacks) {
			t.Fatalf("without the YAML file: %v, want a *checkpoint.Error that asks for %q", err, want.lacks)
		}
		for _, key := range want.lacks {
			if !strings.Contains(err.Error(), key) {
				t.Errorf("%v does not name %s", err, key)
			}
		}
		if want.class == textToImage {
			folder, err := Open(bare, Options{Config: with.config})
			if err != nil || !slices.Equal(folder.Missing, []string{"tokenizer"}) {
				t.Errorf("without a vocabulary: %v misses %q, want the tokenizer", err, folder.Missing)
			}
			folder, err = Open(bare, Options{Config: with.config, Tokenizer: filepath.Join(filepath.Dir(path), "vocab.txt")})
			if err != nil || folder.Missing != nil {
				t.Errorf("with a vocabulary: %v misses %q", err, folder.Missing)
			}
			return
		}
		same(t, open(t, bare, Options{Config: with.config}), folder)
	})
}

// TestGoldenAverages compares every weight with the tensor of the file that it must be.
func TestGoldenAverages(t *testing.T) {
	var cases struct{}
	path := goldentest.Open(t, "compvis-churches", &cases).Path(fixtures["compvis-churches"].file)
	file, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	averaged, raw := weights(t, open(t, path, Options{}), "unet"), weights(t, open(t, path, Options{RawWeights: true}), "unet")
	pairs := map[string]string{
		"conv_in.weight": "input_blocks.0.0.weight", "time_embedding.linear_2.bias": "time_embed.2.bias",
		"down_blocks.0.downsamplers.0.conv1.weight": "input_blocks.2.0.in_layers.2.weight",
		"up_blocks.0.upsamplers.0.norm2.bias":       "output_blocks.1.2.out_layers.0.bias",
	}
	for name, original := range pairs {
		w, _ := file.Weight("model.diffusion_model." + original)
		average, _ := file.Weight("model_ema." + strings.ReplaceAll("diffusion_model."+original, ".", ""))
		if !bytes.Equal(raw[name].Data, w.Data) || !bytes.Equal(averaged[name].Data, average.Data) || bytes.Equal(w.Data, average.Data) {
			t.Errorf("%q has not the raw and the averaged elements of %q", name, original)
		}
	}
	if !slices.Equal(sortedKeys(averaged), sortedKeys(raw)) {
		t.Error("averages and raw weights have different names")
	}
	// One head of 8 has 4 channels: queries, keys and values of a head follow each other.
	qkv, _ := file.Weight("model_ema.diffusion_modelinput_blocks11qkvweight")
	for part, name := range []string{"to_q", "to_k", "to_v"} {
		w := averaged["down_blocks.0.attentions.0."+name+".weight"]
		row := len(qkv.Data) / 96
		for head := range 8 {
			from := (head*3 + part) * 4 * row
			if !bytes.Equal(w.Data[head*4*row:(head+1)*4*row], qkv.Data[from:from+4*row]) {
				t.Errorf("%s: head %d is not in its place", name, head)
			}
		}
		if !w.Shape.Equal(tensor.Shape{32, 32}) {
			t.Errorf("%s is %s, want a linear layer", name, w.Shape)
		}
	}
}

// TestAveragesThatDoNotFit takes an average away, and adds one of nothing.
func TestAveragesThatDoNotFit(t *testing.T) {
	w := func(name string, shape ...int) *tensor.Weight {
		return tensor.WeightOf(name, make([]float32, tensor.Shape(shape).Elements()), shape...)
	}
	file := fileOf(t, w("model.a.b", 2), w("model.c", 1), w("model.d.e", 3), w("model_ema.ab", 2), w("model_ema.x", 1),
		w("model_ema.de", 2), w("model_ema.decay"), w("model_ema.num_updates"))
	if _, err := newState(file, true); err != nil {
		t.Error(err)
	}
	_, err := newState(file, false)
	for _, want := range []string{`"model.c" has no average "model_ema.c"`, `"model_ema.x" is the average of no weight`, `"model.d.e" is [3], its average [2]`, "(3)"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want it to say %s", err, want)
		}
	}
}

// fileOf is a checkpoint of the given weights.
func fileOf(t testing.TB, weights ...*tensor.Weight) *checkpoint.File {
	t.Helper()
	var out bytes.Buffer
	if err := checkpoint.WriteSafetensors(&out, nil, nil); err != nil {
		t.Fatal(err)
	}
	file, err := checkpoint.OpenBytes("memory.ckpt", out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if file, err = file.Renamed(weights); err != nil {
		t.Fatal(err)
	}
	return file
}
