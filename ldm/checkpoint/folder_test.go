package checkpoint_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/tensor"
)

const pipeline = `{"_class_name": "LDMPipeline", "_diffusers_version": "0.1", "unet": ["diffusers", "UNet2DModel"],
	"bert": ["latent_diffusion", "LDMBertModel"], "safety": [null, null], "flag": true, "list": ["a"]}`

// onDisk writes the files of m below a new folder.
func onDisk(t *testing.T, m fstest.MapFS) string {
	t.Helper()
	root := t.TempDir()
	if err := os.CopyFS(root, m); err != nil {
		t.Fatal(err)
	}
	return root
}

func folderOf(t *testing.T, m fstest.MapFS) *checkpoint.Folder {
	t.Helper()
	m["model_index.json"] = &fstest.MapFile{Data: []byte(pipeline)}
	folder, err := checkpoint.OpenFolderFS("model", m)
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestFolder(t *testing.T) {
	files := fstest.MapFS{
		"unet/config.json":                         {Data: []byte("\ufeff{\"_class_name\": \"UNet2DModel\"}")},
		"unet/diffusion_pytorch_model.safetensors": {Data: write(t, nil, zeros("a", 3))},
		"tokenizer/vocab.txt":                      {Data: []byte("[PAD]\n")},
	}
	memory := folderOf(t, files)
	disk, err := checkpoint.OpenFolder(onDisk(t, files))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []*checkpoint.Folder{memory, disk} {
		want := map[string]checkpoint.Component{
			"unet": {Library: "diffusers", Class: "UNet2DModel"}, "bert": {Library: "latent_diffusion", Class: "LDMBertModel"},
		}
		if folder.Class != "LDMPipeline" || fmt.Sprint(folder.Components) != fmt.Sprint(want) {
			t.Errorf("%s of %v, want LDMPipeline of %v", folder.Class, folder.Components, want)
		}
		var config struct {
			Class string `json:"_class_name"`
		}
		if err := folder.Config("unet", &config); err != nil || config.Class != "UNet2DModel" {
			t.Errorf("config %+v, %v", config, err)
		}
		weights, err := folder.Weights("unet")
		if err != nil {
			t.Fatal(err)
		}
		if w, ok := weights.Weight("a"); !ok || !w.Shape.Equal(tensor.Shape{3}) {
			t.Errorf("weight %+v", w)
		}
		if err := weights.Close(); err != nil {
			t.Error(err)
		}
		if text, err := folder.ReadFile("tokenizer/vocab.txt"); err != nil || string(text) != "[PAD]\n" {
			t.Errorf("vocabulary %q, %v", text, err)
		}
	}
}

func TestFolderMissing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	folder := folderOf(t, fstest.MapFS{"unet/readme.txt": {}})
	open := func(path string) error { _, err := checkpoint.OpenFolder(path); return err }
	weights := func(component string) error { _, err := folder.Weights(component); return err }
	for _, c := range []struct {
		err     error
		missing bool
		want    string
	}{
		{open("CompVis/ldm-text2im-large-256"), true, "Hugging Face Hub"},
		{open("/no/such/folder"), true, `"/no/such/folder"`},
		{open(t.TempDir()), true, `model_index.json"`},
		{open(file), false, "is a file"},
		{weights("unet"), true, "diffusion_pytorch_model.safetensors, model.safetensors"},
		{weights("vae"), true, `component "vae" has no folder`},
		{weights("../unet"), false, "no name of a component"},
		{folder.Config("unet", nil), true, "config.json, scheduler_config.json"},
		{func() error { _, err := folder.ReadFile("tokenizer/vocab.txt"); return err }(), true, `vocab.txt"`},
		{func() error { _, err := checkpoint.Open(file + "2"); return err }(), true, `file2"`},
		{func() error { _, err := checkpoint.Open(t.TempDir()); return err }(), false, "is a folder"},
		{func() error { _, err := checkpoint.Open(os.DevNull); return err }(), false, "no regular file"},
	} {
		var model *checkpoint.Error
		if !errors.As(c.err, &model) || errors.Is(c.err, fs.ErrNotExist) != c.missing || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%v, want an error with %q, fs.ErrNotExist: %v", c.err, c.want, c.missing)
		}
	}
}

func TestFolderChoosesWeights(t *testing.T) {
	// Each name is preferred to those after it.
	names := []string{
		"diffusion_pytorch_model.safetensors", "model.safetensors", "pytorch_model.bin",
		"diffusion_pytorch_model.fp16.safetensors", "pytorch_model.fp16.bin",
	}
	files := fstest.MapFS{}
	for i := len(names) - 1; i >= 0; i-- {
		// The content decides about the format, so any of them may be safetensors.
		files["unet/"+names[i]] = &fstest.MapFile{Data: write(t, nil, zeros(names[i], 1))}
		weights, err := folderOf(t, files).Weights("unet")
		if err != nil {
			t.Fatal(err)
		}
		if got := weights.Names(); got[0] != names[i] {
			t.Errorf("took %q, want %q", got, names[i])
		}
	}
}

func TestShards(t *testing.T) {
	const index = "unet/diffusion_pytorch_model.safetensors.index.json"
	files := fstest.MapFS{
		index:                 {Data: []byte(`{"metadata": {"total_size": 8}, "weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}`)},
		"unet/1.safetensors":  {Data: write(t, nil, zeros("a", 1))},
		"unet/2.safetensors":  {Data: write(t, nil, zeros("b", 2), zeros("extra", 1))},
		"outside.safetensors": {Data: write(t, nil, zeros("a", 1))},
	}
	memory, err := folderOf(t, files).Weights("unet")
	if err != nil {
		t.Fatal(err)
	}
	disk, err := checkpoint.Open(filepath.Join(onDisk(t, files), index))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []*checkpoint.File{memory, disk} {
		if got := fmt.Sprint(file.Names()); got != "[a b]" {
			t.Errorf("shards hold %s, want [a b]", got)
		}
		if err := file.Close(); err != nil {
			t.Error(err)
		}
	}
	for text, want := range map[string]string{
		`{"weight_map": {"b": "1.safetensors"}}`:                `places "b" in shard "1.safetensors"`,
		`{"weight_map": {"a": "3.safetensors"}}`:                "file does not exist",
		`{"weight_map": {"a": "../outside.safetensors"}}`:       "no file name",
		`{"weight_map": {"a": "..\\outside.safetensors"}}`:      "no file name",
		`{"weight_map": {"a": "/etc/passwd"}}`:                  "no file name",
		`{"weight_map": {"a": ".."}}`:                           "no file name",
		`{"weight_map": {"a": ""}}`:                             "no file name",
		`{"weight_map": {"a": "` + filepath.Base(index) + `"}}`: "index itself",
		`{"weight_map": {"a": 1}}`:                              "weight_map",
		`{"weight_map": `:                                       "JSON",
		`{}`:                                                    "not a checkpoint",
	} {
		files[index] = &fstest.MapFile{Data: []byte(text)}
		if _, err := folderOf(t, files).Weights("unet"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", text, err, want)
		}
	}
	if _, err := checkpoint.OpenBytes("memory", files["unet/1.safetensors"].Data); err != nil {
		t.Error(err)
	}
	if _, err := checkpoint.OpenBytes("memory", []byte(`{"weight_map": {"a": "1.safetensors"}}`)); err == nil {
		t.Error("an index in memory was opened without its shards")
	}
}

// lambda takes numbers that JSON lacks by their Python name.
type lambda float64

func (l *lambda) UnmarshalText(text []byte) error {
	if string(text) != "-Infinity" {
		return fmt.Errorf("found %q, want -Infinity", text)
	}
	*l = lambda(math.Inf(-1))
	return nil
}

type config struct {
	Channels int     `json:"channels"`
	Rate     float64 `json:"rate"`
	Levels   []int   `json:"levels"`
	Name     string  `json:"name"`
	Flag     bool    `json:"flag"`
	Clipped  lambda  `json:"clipped"`
	Nested   struct {
		Size uint `json:"size"`
	} `json:"nested"`
}

func TestConfig(t *testing.T) {
	for text, want := range map[string]string{
		`{"channels": 3, "unknown": {"x": [NaN, Infinity]}, "name": "NaN, \"-Infinity"}`: "",
		`{"channels": "four"}`:    `field "channels" is a string, want an integer`,
		`{"channels": 4.5}`:       `field "channels" is the number 4.5, want an integer`,
		`{"channels": NaN}`:       `field "channels" is NaN, want an integer`,
		`{"rate": Infinity}`:      `field "rate" is Infinity, want a number`,
		`{"rate": -Infinity}`:     `field "rate" is -Infinity, want a number`,
		`{"levels": 3}`:           `field "levels" is a number, want an array`,
		`{"levels": [1, true]}`:   `field "levels" is a bool, want an integer`,
		`{"name": []}`:            `field "name" is an array, want a string`,
		`{"flag": {}}`:            `field "flag" is an object, want true or false`,
		`{"nested": {"size":-1}}`: `field "nested.size" is the number -1, want a non-negative integer`,
		`{"nested": "x"}`:         `field "nested" is a string, want an object`,
		`[]`:                      "the top level is an array, want an object",
		`{"channels": 3,}`:        "no JSON: invalid character",
		`{"channels": Inf}`:       "no JSON: invalid character",
		`{"channels"`:             "no JSON: unexpected end",
		``:                        "no JSON: unexpected end",
		`{"clipped": -Infinity}`:  "",
		`{"clipped": NaN}`:        `found "NaN"`,
		"{\"name\": \"\\\"NaN\"}": "",
	} {
		var c config
		err := folderOf(t, fstest.MapFS{"unet/config.json": {Data: []byte(text)}}).Config("unet", &c)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
		if strings.HasPrefix(text, `{"clipped": -`) && !math.IsInf(float64(c.Clipped), -1) {
			t.Errorf("%s became %v", text, c.Clipped)
		}
	}
}

func TestModelIndex(t *testing.T) {
	for text, want := range map[string]string{
		`{"_class_name": "P", "a": ["os", "system"]}`: `component "a" is of library "os"`,
		`{"a": ["diffusers", "B"]}`:                   "_class_name",
		`{"_class_name": 1}`:                          "_class_name",
		`[]`:                                          "want an object",
	} {
		_, err := checkpoint.OpenFolderFS("model", fstest.MapFS{"model_index.json": {Data: []byte(text)}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", text, err, want)
		}
	}
}

// The files of a component's weights are named without being opened.
func TestWeightFiles(t *testing.T) {
	const index = `{"weight_map": {"a": "two.safetensors", "b": "one.safetensors", "c": "two.safetensors"}}`
	folder, err := checkpoint.OpenFolderFS("model", fstest.MapFS{
		"model_index.json":                                     {Data: []byte(`{"_class_name": "P"}`)},
		"unet/diffusion_pytorch_model.safetensors":             {},
		"bert/model.safetensors.index.json":                    {Data: []byte(index)},
		"vqvae/diffusion_pytorch_model.safetensors.index.json": {Data: []byte(`{}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	for component, want := range map[string][]string{
		"unet": {"unet/diffusion_pytorch_model.safetensors"},
		"bert": {"bert/one.safetensors", "bert/two.safetensors"},
	} {
		if got, err := folder.WeightFiles(component); err != nil || !slices.Equal(got, want) {
			t.Errorf("files of %s are %q (%v), want %q", component, got, err, want)
		}
	}
	for _, component := range []string{"vqvae", "missing"} {
		var fault *checkpoint.Error
		if _, err := folder.WeightFiles(component); !errors.As(err, &fault) {
			t.Errorf("files of %s: error %v, want an *Error", component, err)
		}
	}
}
