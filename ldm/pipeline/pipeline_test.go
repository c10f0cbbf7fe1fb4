package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/cpu"
	"ldm-mac/ldm/goldentest"
	"ldm-mac/ldm/sampler"
	"ldm-mac/ldm/tensor"
)

// tinyModel is a model's folder in memory, for tests to damage.
func tinyModel(t *testing.T) fstest.MapFS {
	t.Helper()
	root := filepath.Join(goldentest.Root(), "text2img-tiny", "model")
	files := fstest.MapFS{}
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(root, path))
		files[path] = &fstest.MapFile{Data: data, Mode: 0o644}
		return err
	})
	if err != nil {
		t.Skip(err)
	}
	return files
}

func load(t *testing.T, files fs.FS) (*Pipeline, error) {
	t.Helper()
	folder, err := checkpoint.OpenFolderFS("model", files)
	if err != nil {
		return nil, err
	}
	backend := cpu.New(0)
	p, err := Load(backend, folder)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { p.Close(); backend.Close() })
	return p, nil
}

func mustLoad(t *testing.T) *Pipeline {
	t.Helper()
	p, err := load(t, tinyModel(t))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func request(p *Pipeline, seeds ...uint64) Request {
	return Request{Prompt: "a painting of a squirrel", NegativePrompt: "grey", Width: 8 * p.Factor(), Height: 6 * p.Factor(),
		Steps: 4, GuidanceScale: 3, Eta: 1, RNG: "torch", Seeds: seeds, BatchSize: 1}
}

func generate(t *testing.T, p *Pipeline, r Request) []Picture {
	t.Helper()
	var pictures []Picture
	_, err := p.Generate(context.Background(), r, func(picture Picture) error {
		pictures = append(pictures, picture)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return pictures
}

// A picture depends on its own seed alone, bit for bit.
func TestBatchEqualsSingles(t *testing.T) {
	p := mustLoad(t)
	seeds := []uint64{7, 8, 1 << 40}
	batched := request(p, seeds...)
	batched.BatchSize = 2 // and a rest of one
	pictures := generate(t, p, batched)
	if len(pictures) != len(seeds) {
		t.Fatalf("%d pictures, want %d", len(pictures), len(seeds))
	}
	for i, seed := range seeds {
		single := generate(t, p, request(p, seed))[0]
		if pictures[i].Index != i || pictures[i].Seed != seed {
			t.Errorf("picture %d is number %d of seed %d", i, pictures[i].Index, pictures[i].Seed)
		}
		if !bytes.Equal(pictures[i].Image.Pix, single.Image.Pix) {
			t.Errorf("seed %d: batched and single pictures differ", seed)
		}
	}
	if bytes.Equal(pictures[0].Image.Pix, pictures[1].Image.Pix) {
		t.Error("two seeds give the same picture")
	}
}

// What a run shows is enough to repeat it: its noise, given again, gives the same picture.
func TestTensors(t *testing.T) {
	p := mustLoad(t)
	seen := map[string]tensor.Array{}
	var order []string
	r := request(p, 3)
	r.Eta = 0
	r.OnTensor = func(name string, a tensor.Array) {
		seen[name] = tensor.Array{Shape: slices.Clone(a.Shape), Data: slices.Clone(a.Data)}
		order = append(order, name)
	}
	first := generate(t, p, r)[0]
	want := []string{"text", "noise", "step.000", "step.001", "step.002", "step.003", "latents", "image"}
	if !slices.Equal(order, want) {
		t.Errorf("tensors %q, want %q", order, want)
	}
	if a, b := seen["step.003"], seen["latents"]; !slices.Equal(a.Data, b.Data) || !b.Shape.Equal(tensor.Shape{1, 4, 6, 8}) {
		t.Errorf("latents %s are not those of the last step", b.Shape)
	}
	if image := seen["image"]; !image.Shape.Equal(tensor.Shape{1, 3, 48, 64}) {
		t.Errorf("image of shape %s", image.Shape)
	}
	again := request(p, 99)
	again.Eta, again.Noise = 0, &NoiseSource{seen["noise"]}
	if second := generate(t, p, again)[0]; !bytes.Equal(first.Image.Pix, second.Image.Pix) {
		t.Error("the recorded noise gives another picture")
	}
}

func TestRequestErrors(t *testing.T) {
	p := mustLoad(t)
	for name, c := range map[string]struct {
		change func(*Request)
		wants  string
	}{
		"size":          {func(r *Request) { r.Width++ }, "width 65, want a multiple of 8"},
		"no size":       {func(r *Request) { r.Height = 0 }, "height 0"},
		"huge":          {func(r *Request) { r.Height = 1 << 20 }, "height 1048576"},
		"steps":         {func(r *Request) { r.Steps = 0 }, "0 steps"},
		"many steps":    {func(r *Request) { r.Steps = 1001 }, "1001 steps"},
		"sampler":       {func(r *Request) { r.Sampler = "magic" }, `"magic"`},
		"guidance":      {func(r *Request) { r.GuidanceScale = math.NaN() }, "guidance scale NaN"},
		"eta":           {func(r *Request) { r.Eta = math.NaN() }, "eta NaN"},
		"rng":           {func(r *Request) { r.RNG = "dice" }, `"dice"`},
		"prompt":        {func(r *Request) { r.Prompt = "ab\xffc" }, "not valid UTF-8 at byte 2"},
		"long negative": {func(r *Request) { r.NegativePrompt = strings.Repeat("x", 10<<20) }, "10485760 bytes"},
		"seeds":         {func(r *Request) { r.Seeds = nil }, "no seeds"},
		"batch":         {func(r *Request) { r.BatchSize = 0 }, "batch size 0"},
		"noise":         {func(r *Request) { r.Noise = &NoiseSource{tensor.NewArray(1, 4, 8, 8)} }, "want [1, 4, 6, 8]"},
	} {
		r := request(p, 1)
		c.change(&r)
		_, err := p.Generate(context.Background(), r, func(Picture) error { t.Error("a picture"); return nil })
		var mistake *RequestError
		if !errors.As(err, &mistake) || !strings.Contains(err.Error(), c.wants) {
			t.Errorf("%s: error %v, want a RequestError with %q", name, err, c.wants)
		}
	}
}

func TestCancel(t *testing.T) {
	p := mustLoad(t)
	ctx, cancel := context.WithCancel(context.Background())
	r := request(p, 1)
	r.OnProgress = func(at Progress) {
		if at.Stage == StageSample && at.Step == 2 {
			cancel()
		}
	}
	_, err := p.Generate(ctx, r, func(Picture) error { t.Error("a picture"); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	generate(t, p, request(p, 1)) // it still works
}

func TestLongPromptWarns(t *testing.T) {
	p := mustLoad(t)
	r := request(p, 1)
	r.Prompt = strings.Repeat("burger ", 80)
	var warnings []string
	r.OnWarning = func(message string) { warnings = append(warnings, message) }
	generate(t, p, r)
	if len(warnings) != 1 || !strings.Contains(warnings[0], "the last 5 ") {
		t.Errorf("warnings %q, want one that 5 tokens are not used", warnings)
	}
}

// edit changes a JSON file of a model.
func edit(t *testing.T, files fstest.MapFS, name string, changes map[string]any) {
	t.Helper()
	var values map[string]any
	if err := json.Unmarshal(files[name].Data, &values); err != nil {
		t.Fatal(err)
	}
	for key, value := range changes {
		values[key] = value
	}
	data, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	files[name] = &fstest.MapFile{Data: data, Mode: 0o644}
}

func TestBrokenModels(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(fstest.MapFS)
		wants  []string
	}{
		"pipeline": {func(m fstest.MapFS) { edit(t, m, "model_index.json", map[string]any{"_class_name": "FluxPipeline"}) },
			[]string{"FluxPipeline"}},
		"no U-Net": {func(m fstest.MapFS) { delete(m, "unet/diffusion_pytorch_model.safetensors") },
			[]string{"unet", "diffusion_pytorch_model.safetensors"}},
		"no vocabulary": {func(m fstest.MapFS) { delete(m, "tokenizer/vocab.txt") }, []string{"vocab.txt"}},
		"vocabulary": {func(m fstest.MapFS) { edit(t, m, "bert/config.json", map[string]any{"vocab_size": 10}) },
			[]string{"vocab.txt", "vocabulary of 10"}},
		"shapes": {func(m fstest.MapFS) {
			edit(t, m, "unet/config.json", map[string]any{"block_out_channels": []int{16, 24, 40}})
		}, []string{"unet", "down_blocks.2.resnets.0.conv1.weight", "[40, 24, 3, 3]", "[32, 24, 3, 3]"}},
		"missing and unused": {func(m fstest.MapFS) { edit(t, m, "bert/config.json", map[string]any{"encoder_layers": 4}) },
			[]string{"model.layers.3.fc1.weight"}},
		"width": {func(m fstest.MapFS) { edit(t, m, "unet/config.json", map[string]any{"cross_attention_dim": 48}) },
			[]string{"cross_attention_dim is 48", "40"}},
		"channels": {func(m fstest.MapFS) { edit(t, m, "unet/config.json", map[string]any{"in_channels": 9}) },
			[]string{"unet", "9 channels in", "want 4"}},
		"schedule": {func(m fstest.MapFS) {
			edit(t, m, "scheduler/scheduler_config.json", map[string]any{"num_train_timesteps": 0})
		}, []string{"scheduler_config.json", "num_train_timesteps"}},
		"scheduler": {func(m fstest.MapFS) {
			edit(t, m, "scheduler/scheduler_config.json", map[string]any{"_class_name": "FlowMatchEulerDiscreteScheduler"})
		}, []string{"FlowMatchEulerDiscreteScheduler"}},
	} {
		files := tinyModel(t)
		c.damage(files)
		_, err := load(t, files)
		var fault *checkpoint.Error
		if !errors.As(err, &fault) {
			t.Errorf("%s: error %v, want a *checkpoint.Error", name, err)
			continue
		}
		for _, want := range c.wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want %q in it", name, err, want)
			}
		}
	}
}

func TestNotFinite(t *testing.T) {
	files := tinyModel(t)
	const name = "unet/diffusion_pytorch_model.safetensors"
	data := slices.Clone(files[name].Data)
	copy(data[len(data)-4:], []byte{0, 0, 0xc0, 0x7f}) // NaN
	files[name] = &fstest.MapFile{Data: data, Mode: 0o644}
	p, err := load(t, files)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Generate(context.Background(), request(p, 1), func(Picture) error { return nil })
	var fault *checkpoint.Error
	if !errors.As(err, &fault) || !strings.Contains(err.Error(), "weight") {
		t.Errorf("error %v, want a *checkpoint.Error that names the weight", err)
	}
}

// The noise schedules that cannot be are refused, the odd ones that can are read.
func TestGoldenBrokenSchedules(t *testing.T) {
	var fixture struct {
		Cases []struct{ File, Wrong, Must string } `json:"cases"`
	}
	f := goldentest.Open(t, "broken", &fixture)
	cases := 0
	for _, c := range fixture.Cases {
		if !strings.HasPrefix(c.File, "config/scheduler_") {
			continue
		}
		data, err := os.ReadFile(f.Path(filepath.FromSlash(c.File)))
		if err != nil {
			t.Fatal(err)
		}
		files := fstest.MapFS{
			"model_index.json":                {Data: []byte(`{"_class_name": "LDMTextToImagePipeline"}`)},
			"scheduler/scheduler_config.json": {Data: data},
		}
		folder, err := checkpoint.OpenFolderFS("model", files)
		if err != nil {
			t.Fatal(err)
		}
		var config sampler.Config
		if err = folder.Config("scheduler", &config); err == nil {
			_, err = sampler.New("", config, sampler.Options{Steps: 1})
		}
		if refuse := strings.HasPrefix(c.Must, "refuse"); refuse != (err != nil) {
			t.Errorf("%s (%s): got %v, want %s", c.File, c.Wrong, err, c.Must)
		}
		cases++
	}
	f.Count(cases)
}
