package compvis

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/goldentest"
	"ldm-mac/ldm/tensor"
)

// TestGoldenBrokenFiles opens everything broken that a checkpoint or its YAML file can be.
func TestGoldenBrokenFiles(t *testing.T) {
	var cases struct {
		Cases []struct{ File, Wrong, Must string }
	}
	folder := goldentest.Open(t, "broken", &cases)
	sound := filepath.Join(goldentest.Root(), "compvis-class", fixtures["compvis-class"].file)
	t.Chdir(t.TempDir()) // where a command in a file would leave its trace
	done := 0
	for _, c := range cases.Cases {
		path, o, named := folder.Path(c.File), Options{}, filepath.Base(c.File)
		switch strings.SplitN(c.File, "/", 2)[0] {
		case "yaml":
			path, o.Config = sound, path
		case "pickle", "safetensors":
		default:
			continue
		}
		done++
		_, err := Open(path, o)
		var model *checkpoint.Error
		if !errors.As(err, &model) || !strings.Contains(model.Path, named) {
			t.Errorf("%s: %v, want a *checkpoint.Error that names it (%s)", c.File, err, c.Wrong)
		}
		t.Log(err)
	}
	if trace := entries(t, "."); trace != nil {
		t.Errorf("a file was executed: found %q", trace)
	}
	folder.Count(done)
}

// TestGoldenYAML changes a line of a sound configuration at a time.
func TestGoldenYAML(t *testing.T) {
	for _, c := range []struct{ fixture, from, to, want string }{
		{"compvis-class", "num_heads: 1", "num_heads: -2", "model.params.unet_config.params.num_heads is -2, want an integer from -1"},
		{"compvis-class", "num_heads: 1", "num_heads: 1.5", `num_heads is "1.5", want an integer`},
		{"compvis-class", "num_heads: 1", "num_heads: [1]", "num_heads is a list, want an integer"},
		{"compvis-class", "num_heads: 1", "num_heads: -1", "num_heads or num_head_channels"},
		{"compvis-class", "num_heads: 1", "use_new_attention_order: true", "use_new_attention_order is true"},
		{"compvis-class", "num_heads: 1", "num_heads: &a 1", "anchor"},
		{"compvis-class", "num_heads: 1", "num_res_blocks: 1", "num_res_blocks\" in line"},
		{"compvis-class", "linear_end: 0.0195", "linear_end: 0.012", "linear_start to linear_end is 0.0015 to 0.012"},
		{"compvis-class", "linear_end: 0.0195", "linear_end: .nan", "model.params.linear_end is \".nan\""},
		{"compvis-class", "timesteps: 1000", "timesteps: 500", "in 500 steps"},
		{"compvis-class", "timesteps: 1000", "beta_schedule: cosine", `beta_schedule is "cosine"`},
		{"compvis-class", "timesteps: 1000", "parameterization: w", `parameterization is "w"`},
		{"compvis-class", "timesteps: 1000", "scale_by_std: yes", "scale_by_std is true"},
		{"compvis-class", "context_dim: 24", "context_dim: 25", "context_dim is 25, the weights have 24"},
		{"compvis-class", "use_spatial_transformer: true", "use_spatial_transformer: false", "use_spatial_transformer is false"},
		{"compvis-class", "n_classes: 11", "n_classes: 10", "cond_stage_config.params.n_classes is 10, the weights have 11"},
		{"compvis-class", "n_embed: 32", "n_embed: 8192", "first_stage_config.params.n_embed is 8192"},
		{"compvis-class", "VQModelInterface", "AutoencoderKL", "first_stage_config.target"},
		{"compvis-class", "ClassEmbedder", "BERTEmbedder", "cond_stage_config.target"},
		{"compvis-class", "openaimodel.UNetModel", "openaimodel.EncoderUNetModel", "unet_config.target"},
		{"compvis-class", "        - 1\n        - 2\n", "        - 1\n        - 3\n", "channel_mult makes levels of [32 96]"},
		{"compvis-class", "attention_resolutions:\n        - 1", "attention_resolutions:\n        - 2", "attention_resolutions is [2]"},
		{"compvis-inpaint", "attn_type: none", "attn_type: vanilla", "attn_type is \"vanilla\""},
		{"compvis-inpaint", "__is_first_stage__", "__is_unconditional__", "does not fit"},
		{"compvis-inpaint", "resblock_updown: true", "resblock_updown: false", "resblock_updown is false"},
		{"compvis-layout", "use_tokenizer: false", "use_tokenizer: true", "use_tokenizer is true"},
		{"compvis-semantic", "n_stages: 2", "n_stages: 3", "n_stages is 3, the weights have 2"},
	} {
		var cases struct{}
		path := goldentest.Open(t, c.fixture, &cases).Path(fixtures[c.fixture].file)
		text, err := os.ReadFile(filepath.Join(filepath.Dir(path), "config.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.Replace(string(text), c.from, c.to, 1)
		if changed == string(text) {
			t.Fatalf("%s has no %q", c.fixture, c.from)
		}
		config := filepath.Join(t.TempDir(), "changed.yaml")
		if err := os.WriteFile(config, []byte(changed), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path, Options{Config: config}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q for %q: %v, want it to say %q", c.to, c.from, err, c.want)
		}
	}
}

// torchZip writes a checkpoint as torch.save does since PyTorch 1.6: a pickle of
// {"state_dict": {name: tensor}} and the elements of each tensor.
func torchZip(t *testing.T, path string, tensors map[string]tensor.Weight) {
	t.Helper()
	classes := map[tensor.DType]string{tensor.F16: "HalfStorage", tensor.F32: "FloatStorage", tensor.I32: "IntStorage", tensor.I64: "LongStorage"}
	text := func(s string) string { return fmt.Sprintf("U%c%s", len(s), s) }
	ints := func(n []int) string {
		s := "("
		for _, n := range n {
			s += fmt.Sprintf("I%d\n", n)
		}
		return s + "t"
	}
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	member := func(name string, data []byte) {
		w, err := archive.CreateHeader(&zip.FileHeader{Name: "archive/" + name, Method: zip.Store})
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	program := "}" + text("state_dict") + "}"
	for i, name := range sortedKeys(tensors) {
		w := tensors[name]
		stride := make([]int, len(w.Shape))
		for axis := range stride {
			stride[axis] = w.Shape[axis+1:].Elements()
		}
		key := fmt.Sprint(i)
		program += text(name) + "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\n" + classes[w.DType] + "\n" +
			text(key) + text("cpu") + fmt.Sprintf("I%d\n", w.Shape.Elements()) + "tQI0\n" + ints(w.Shape) + ints(stride) + "I00\n}tRs"
		member("data/"+key, w.Data)
	}
	member("data.pkl", []byte(program+"s."))
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestGoldenZipAndLegacy writes the fixture in the legacy format as an archive.
func TestGoldenZipAndLegacy(t *testing.T) {
	var cases struct{}
	path := goldentest.Open(t, "compvis-churches", &cases).Path(fixtures["compvis-churches"].file)
	file, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	tensors := map[string]tensor.Weight{}
	for _, name := range file.Names() {
		w, _ := file.Weight(name)
		tensors[name] = *w
	}
	made := filepath.Join(t.TempDir(), "model.ckpt")
	torchZip(t, made, tensors)
	config := filepath.Join(filepath.Dir(path), "config.yaml")
	same(t, open(t, made, Options{Config: config}), open(t, path, Options{}))
	d, err := openOriginal(made, Options{Config: config})
	if err != nil || d.format != "PyTorch zip" {
		t.Errorf("%+v, %v, want an archive", d, err)
	}
	yaml, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	var sources []checkpoint.Source
	for _, w := range tensors {
		sources = append(sources, checkpoint.SourceOf(&w))
	}
	var out bytes.Buffer
	if err := checkpoint.WriteSafetensors(&out, sources, map[string]string{configKey: string(yaml)}); err != nil {
		t.Fatal(err)
	}
	made = filepath.Join(t.TempDir(), "model.safetensors")
	if err := os.WriteFile(made, out.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	same(t, open(t, made, Options{}), open(t, path, Options{}))
	if d, err = openOriginal(made, Options{}); err != nil || d.config != made+"#"+configKey {
		t.Errorf("%+v, %v, want the configuration in the file", d, err)
	}
}

// TestGoldenBeside lays files beside a checkpoint that may or may not belong to it.
func TestGoldenBeside(t *testing.T) {
	var cases struct{}
	from := goldentest.Open(t, "compvis-class", &cases).Path(fixtures["compvis-class"].file)
	config := filepath.Join(filepath.Dir(from), "config.yaml")
	path := alone(t, from)
	beside := func(name string) string { return filepath.Join(filepath.Dir(path), name) }
	broken := func(name string) {
		if err := os.WriteFile(beside(name), []byte("- no configuration\n"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	read := func(want string) {
		t.Helper()
		m, err := openOriginal(path, Options{})
		var model *checkpoint.Error
		switch {
		case errors.As(err, &model) && model.Path == want:
		case err == nil && m.config == want:
		default:
			t.Errorf("%+v, %v, want the configuration %q", m, err, want)
		}
	}
	read("")
	broken("v1-inference.yaml")
	read(beside("v1-inference.yaml"))
	copyTo(t, path, beside("other.ckpt"))
	read("") // it may be the other's
	broken("config.yaml")
	read(beside("config.yaml"))
	copyTo(t, config, beside(strings.TrimSuffix(filepath.Base(path), ".ckpt")+".yaml"))
	read(beside("model-fp16.yaml"))
	if _, err := Open(beside("none.ckpt"), Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Open(t.TempDir(), Options{}); err == nil || !strings.Contains(err.Error(), "model_index.json, or one .ckpt") {
		t.Errorf("an empty folder: %v", err)
	}
}
