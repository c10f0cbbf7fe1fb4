package compvis

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/goldentest"
	"ldm-mac/ldm/tensor"
)

// entries are the names in a folder.
func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// TestGoldenConvert writes every fixture in both forms, and each of them as the other again. All
// keep every bit.
func TestGoldenConvert(t *testing.T) {
	each(t, func(t *testing.T, name, path string) {
		root, ctx, source := t.TempDir(), context.Background(), open(t, path, Options{})
		var done, total int64
		o := WriteOptions{Program: "test 1.0", Progress: func(d, all int64) {
			if d < done || d > all {
				t.Errorf("progress %d of %d after %d", d, all, done)
			}
			done, total = d, all
		}}
		if err := WriteFolder(ctx, source, filepath.Join(root, "new", "folder"), o); err != nil {
			t.Fatal(err)
		}
		if done != total || total == 0 {
			t.Errorf("progress ended at %d of %d", done, total)
		}
		folder, err := checkpoint.OpenFolder(filepath.Join(root, "new", "folder"))
		if err != nil {
			t.Fatal(err)
		}
		same(t, folder, source)
		single, again := filepath.Join(root, "one.safetensors"), filepath.Join(root, "two.safetensors")
		if err := WriteSingle(ctx, source, single, WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		same(t, open(t, single, Options{}), source)
		if err := WriteSingle(ctx, folder, again, WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		same(t, open(t, again, Options{}), source)
		sameOriginals(t, single, path)
		sameOriginals(t, again, path)
		if left := entries(t, root); len(left) != 3 {
			t.Errorf("left behind: %q", left)
		}
	})
}

// sameOriginals compares a written file with the checkpoint it was made of, in the original names.
func sameOriginals(t *testing.T, written, original string) {
	t.Helper()
	tensors := map[string]map[string]tensor.Weight{}
	for _, path := range []string{written, original} {
		file, err := checkpoint.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		s, err := newState(file, false)
		if err != nil {
			t.Fatal(err)
		}
		tensors[path] = map[string]tensor.Weight{}
		for name, w := range s.weights {
			tensors[path][name] = *w
		}
	}
	sameWeights(t, tensors[written], tensors[original])
}

// TestGoldenDiffusers writes diffusers folders as single files and reads them again.
func TestGoldenDiffusers(t *testing.T) {
	for name, originals := range map[string][]string{
		"sd-tiny":         {"cond_stage_model.transformer.text_model.encoder.layers.3.mlp.fc1.weight", "first_stage_model.encoder.mid.attn_1.q.weight"},
		"sd-inpaint-tiny": {"cond_stage_model.transformer.text_model.final_layer_norm.bias", "model.diffusion_model.middle_block.1.proj_in.weight"},
		"uncond-tiny":     {"model.diffusion_model.input_blocks.4.1.qkv.weight", "first_stage_model.quantize.embedding.weight"},
		"superres-tiny":   {"model.diffusion_model.middle_block.1.qkv.bias", "first_stage_model.decoder.up.2.upsample.conv.bias"},
		"text2img-tiny":   {"cond_stage_model.transformer.attn_layers.layers.5.1.net.0.0.weight", "first_stage_model.quant_conv.weight"},
		"sd2-v-tiny":      {"cond_stage_model.model.transformer.resblocks.2.attn.in_proj_weight", "cond_stage_model.model.positional_embedding"},
	} {
		t.Run(name, func(t *testing.T) {
			var cases struct{}
			source, err := checkpoint.OpenFolder(goldentest.Open(t, name, &cases).Path("model"))
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "sd.safetensors")
			if err := WriteSingle(context.Background(), source, path, WriteOptions{}); err != nil {
				t.Fatal(err)
			}
			file, err := checkpoint.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			for _, original := range originals {
				if _, ok := file.Weight(original); !ok {
					t.Errorf("%q is not in the file", original)
				}
			}
			got := open(t, path, Options{})
			if got.Convention != checkpoint.Diffusers || got.Class != source.Class || got.Missing != nil {
				t.Errorf("%s of convention %s without %q, want what the folder is", got.Class, got.Convention, got.Missing)
			}
			for component, c := range source.Components {
				if !hasWeights(c) {
					continue
				}
				want := map[string]tensor.Weight{}
				for name, w := range weights(t, source, component) {
					if !slices.Contains(computed, name) {
						want[checkpoint.CurrentName(name)] = w
					}
				}
				sameWeights(t, weights(t, got, component), want)
			}
			small, err := readSmall(source)
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range small {
				if data, err := got.ReadFile(name); name != "model_index.json" && (err != nil || !bytes.Equal(data, want)) {
					t.Errorf("%s differs from the folder's, %v", name, err)
				}
			}
		})
	}
}

func TestGoldenDType(t *testing.T) {
	var cases struct{}
	path := goldentest.Open(t, "compvis-inpaint", &cases).Path(fixtures["compvis-inpaint"].file)
	source := open(t, path, Options{})
	root, f16, f32 := t.TempDir(), tensor.F16, tensor.F32
	if err := WriteFolder(context.Background(), source, filepath.Join(root, "f32"), WriteOptions{DType: &f32}); err != nil {
		t.Fatal(err)
	}
	wide := open(t, filepath.Join(root, "f32"), Options{})
	for name, w := range weights(t, source, "unet") {
		got := weights(t, wide, "unet")[name]
		want, err := w.Floats(nil)
		if err != nil {
			t.Fatal(err)
		}
		if values, err := got.Floats(nil); err != nil || got.DType != tensor.F32 || !slices.Equal(values, want) {
			t.Fatalf("%q is %s with other elements, want F32; %v", name, got.DType, err)
		}
		break // one tells of all
	}
	if err := WriteSingle(context.Background(), wide, filepath.Join(root, "f16.safetensors"), WriteOptions{DType: &f16}); err != nil {
		t.Fatal(err)
	}
	same(t, open(t, filepath.Join(root, "f16.safetensors"), Options{}), source)
	bf16 := tensor.BF16
	if err := WriteFolder(context.Background(), source, filepath.Join(root, "no"), WriteOptions{DType: &bf16}); err == nil {
		t.Error("BF16 was written")
	}
	if err := fits("w", []float32{1, 65519}, 0, tensor.F16); err != nil {
		t.Error(err)
	}
	if err := fits("w", []float32{1, -65520}, 7, tensor.F16); err == nil || !strings.Contains(err.Error(), `element 8 of "w" is -65520`) {
		t.Errorf("a number beyond half precision: %v", err)
	}
}

// TestGoldenInterrupted ends writing early in every way; nothing may stay.
func TestGoldenInterrupted(t *testing.T) {
	var cases struct{}
	path := goldentest.Open(t, "compvis-txt2img", &cases).Path(fixtures["compvis-txt2img"].file)
	source := open(t, path, Options{})
	writers := map[string]func(context.Context, *checkpoint.Folder, string, WriteOptions) error{"folder": WriteFolder, "single": WriteSingle}
	for what, write := range writers {
		for _, part := range []int64{0, 2, 3} { // of the work in quarters; the first half is reading
			root := t.TempDir()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			err := write(ctx, source, filepath.Join(root, "out"), WriteOptions{Progress: func(done, total int64) {
				if done >= total*part/4 {
					cancel()
				}
			}})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s, %d quarters: %v, want the end of the context", what, part, err)
			}
			if left := entries(t, root); left != nil {
				t.Errorf("%s, %d quarters: left behind %q", what, part, left)
			}
		}
		root := t.TempDir()
		taken := filepath.Join(root, "out")
		if err := os.WriteFile(taken, []byte("mine"), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := write(context.Background(), source, taken, WriteOptions{}); err == nil || !strings.Contains(err.Error(), "exists") {
			t.Errorf("%s: a path that is taken: %v", what, err)
		}
		if data, err := os.ReadFile(taken); err != nil || string(data) != "mine" {
			t.Errorf("%s: the file in its place is %q, %v", what, data, err)
		}
	}
	missing := open(t, alone(t, path), Options{Config: filepath.Join(filepath.Dir(path), "config.yaml")})
	if err := WriteFolder(context.Background(), missing, filepath.Join(t.TempDir(), "out"), WriteOptions{}); err == nil || !strings.Contains(err.Error(), "tokenizer") {
		t.Errorf("a folder without its tokenizer: %v", err)
	}
}

func TestGoldenDescribe(t *testing.T) {
	var cases struct{}
	path := goldentest.Open(t, "compvis-churches", &cases).Path(fixtures["compvis-churches"].file)
	ctx := context.Background()
	d, err := Describe(ctx, path, Options{}, true)
	if err != nil {
		t.Fatal(err)
	}
	if d.Class != unconditional || d.Format != "PyTorch legacy" || d.EMA != "used" || d.Lacks != nil || filepath.Base(d.Config) != "config.yaml" ||
		len(d.Components) != 3 || len(d.SHA256) != 1 || len(d.SHA256[filepath.Base(path)]) != 64 {
		t.Errorf("%+v", d)
	}
	unet := d.Components[1]
	if unet.Name != "unet" || unet.Bytes != 2*unet.Parameters || !slices.Equal(unet.DTypes, []string{"F16"}) {
		t.Errorf("%+v, want half precision throughout", unet)
	}
	bare, err := Describe(ctx, alone(t, path), Options{RawWeights: true}, false)
	if err != nil || len(bare.Lacks) != 1 || bare.EMA != "not used" || bare.SHA256 != nil {
		t.Errorf("without the YAML file: %+v, %v", bare, err)
	}
	dir := filepath.Join(t.TempDir(), "folder")
	if err := WriteFolder(ctx, open(t, path, Options{}), dir, WriteOptions{Program: "test 1.0"}); err != nil {
		t.Fatal(err)
	}
	again, err := Describe(ctx, dir, Options{}, false)
	if err != nil {
		t.Fatal(err)
	}
	if p := again.Provenance; again.Format != "folder" || p == nil || p.Source != filepath.Base(path) || p.Program != "test 1.0" ||
		p.SHA256[filepath.Base(path)] != d.SHA256[filepath.Base(path)] {
		t.Errorf("%+v of %+v", again, again.Provenance)
	}
}
