package checkpoint_test

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/tensor"
)

func TestNewFolder(t *testing.T) {
	data := write(t, nil, zeros("a", 3), zeros("b", 2))
	path := filepath.Join(t.TempDir(), "model.ckpt")
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	folder, err := checkpoint.NewFolder(path, map[string][]byte{
		"model_index.json": []byte(`{"_class_name": "LDMPipeline", "_convention": "compvis",
			"unet": ["diffusers", "UNet2DModel"], "tokenizer": ["transformers", "BertTokenizer"], "rescaler": ["ldm-mac", "SpatialRescaler"]}`),
		"unet/config.json":     []byte(`{"in_channels": 5}`),
		"rescaler/config.json": []byte(`{`),
	}, func(component string) (*checkpoint.File, error) {
		if component != "unet" {
			return nil, &checkpoint.Error{Path: path, Err: fs.ErrNotExist}
		}
		file, err := checkpoint.Open(path)
		if err != nil {
			return nil, err
		}
		w, _ := file.Weight("a")
		renamed := *w
		renamed.Name = "conv_in.weight"
		return file.Renamed([]*tensor.Weight{&renamed})
	})
	if err != nil {
		t.Fatal(err)
	}
	if folder.Convention != checkpoint.CompVis || folder.Path() != path || !slices.Equal(folder.Missing, []string{"tokenizer"}) {
		t.Errorf("convention %q, path %q, missing %q", folder.Convention, folder.Path(), folder.Missing)
	}
	var config struct {
		Channels int `json:"in_channels"`
	}
	if err := folder.Config("unet", &config); err != nil || config.Channels != 5 {
		t.Errorf("config %+v, %v", config, err)
	}
	for name, err := range map[string]error{
		"rescaler/config.json": folder.Config("rescaler", &config),
		"tokenizer":            folder.Config("tokenizer", &config),
		"unet/none":            func() error { _, err := folder.ReadFile("unet/none"); return err }(),
	} {
		var model *checkpoint.Error
		if !errors.As(err, &model) || model.Path != path+"#"+name {
			t.Errorf("%s: %v, want a *checkpoint.Error of %s#%s", name, err, path, name)
		}
	}
	file, err := folder.Weights("unet")
	if err != nil {
		t.Fatal(err)
	}
	if w, ok := file.Weight("conv_in.weight"); !ok || !w.Shape.Equal(tensor.Shape{3}) || len(file.Names()) != 1 {
		t.Errorf("weights %q, %+v", file.Names(), w)
	}
	if err := file.Close(); err != nil {
		t.Error(err)
	}
	if _, err := folder.Weights("vae"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("weights of an unknown component: %v", err)
	}
	names, err := folder.WeightFiles("unet")
	if err != nil || !slices.Equal(names, []string{"model.ckpt"}) {
		t.Fatalf("weight files %q, %v", names, err)
	}
	origin, err := folder.OpenFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	defer origin.Close()
	if read, err := io.ReadAll(origin); err != nil || string(read) != string(data) {
		t.Errorf("the weight file has %d bytes, want %d; %v", len(read), len(data), err)
	}
}

func TestConvention(t *testing.T) {
	for text, want := range map[string]string{
		``: checkpoint.Diffusers, `, "_convention": "diffusers"`: checkpoint.Diffusers, `, "_convention": "compvis"`: checkpoint.CompVis,
		`, "_convention": "other"`: "", `, "_convention": 3`: "",
	} {
		folder, err := checkpoint.OpenFolderFS("model", fstest.MapFS{"model_index.json": {Data: fmt.Appendf(nil, `{"_class_name": "P"%s}`, text)}})
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), "_convention") {
				t.Errorf("%s: %v, want an error that names _convention", text, err)
			}
		} else if err != nil || folder.Convention != want || folder.Missing != nil {
			t.Errorf("%s: %+v, %v", text, folder, err)
		}
	}
}

func TestRenamedTwice(t *testing.T) {
	file, err := checkpoint.OpenBytes("file", write(t, nil, zeros("a", 3)))
	if err != nil {
		t.Fatal(err)
	}
	w, _ := file.Weight("a")
	if _, err := file.Renamed([]*tensor.Weight{w, w}); err == nil || !strings.Contains(err.Error(), `"a"`) {
		t.Errorf("two tensors of one name: %v", err)
	}
	if _, ok := file.Weight("a"); !ok {
		t.Error("the file lost its tensor")
	}
}

func TestCurrentName(t *testing.T) {
	for old, want := range map[string]string{
		"mid_block.attentions.0.query.bias":      "mid_block.attentions.0.to_q.bias",
		"attentions.10.proj_attn.weight":         "attentions.10.to_out.0.weight",
		"mid_block.attentions.0.to_v.weight":     "mid_block.attentions.0.to_v.weight",
		"selfattentions.0.value.weight":          "selfattentions.0.value.weight",
		"attentions.0":                           "attentions.0",
		"mid_block.attentions.0.key_norm.weight": "mid_block.attentions.0.key_norm.weight",
	} {
		if got := checkpoint.CurrentName(old); got != want {
			t.Errorf("%s is %s today, want %s", old, got, want)
		}
	}
}

func TestCounter(t *testing.T) {
	whole := tensorOf(storageOf("FloatStorage", 6, ""), 0, ints(6), ints(1))
	program := "}" + text("state_dict") + "}" + text("a") + whole + "s" + "s" + text("global_step") + "I875000\ns" + text("note") + text("x") + "s."
	for format, data := range map[string][]byte{
		"PyTorch zip": torchZip(t, zip.Store, map[string]string{"data.pkl": program, "data/0": raw}),
		"safetensors": write(t, nil, zeros("a", 3)),
	} {
		file, err := checkpoint.OpenBytes("file", data)
		if err != nil {
			t.Fatal(err)
		}
		step, ok := file.Counter("global_step")
		_, note := file.Counter("note")
		if file.Format() != format || ok != (format == "PyTorch zip") || ok && step != 875000 || note {
			t.Errorf("%s: %s has step %d, %v, and a text for a counter: %v", format, file.Format(), step, ok, note)
		}
	}
}
