package arch

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/firststage"
	"ldm-mac/ldm/tensor"
	"ldm-mac/ldm/unet"
)

// small is an architecture with narrow networks.
func small(t *testing.T, name string) architecture {
	t.Helper()
	a, err := find(name)
	if err != nil {
		t.Fatal(err)
	}
	u, v := &a.networks.UNet, &a.networks.FirstStage
	narrow := func(channels []int) {
		for i := range channels {
			channels[i] = 32
		}
		channels[len(channels)-1] = 64
	}
	narrow(u.BlockOutChannels)
	narrow(v.BlockOutChannels)
	if v.NumVQEmbeddings > 0 {
		v.NumVQEmbeddings = 16
	}
	if a.classes != nil {
		a.classes.EmbedDim = 24
	}
	if a.bert != nil {
		a.bert.Width, a.bert.Layers, a.bert.FFNDim, a.bert.VocabSize = 24, 2, 48, 400
	}
	if u.ClassName == unet.Conditional {
		u.CrossAttentionDim = unet.PerLevel{24}
		u.AttentionHeadDim = unet.PerLevel{8}
	}
	return a
}

// Every architecture that can be written is a folder of its class whose networks load.
func TestWriteRandomAll(t *testing.T) {
	for _, name := range Writable() {
		a, dir := small(t, name), filepath.Join(t.TempDir(), name)
		if err := a.write(context.Background(), dir, 1, tensor.F16, nil); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		folder, err := checkpoint.OpenFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		for component, wanted := range map[string]bool{"unet": true, "vqvae": true, "scheduler": true, "tokenizer": a.tokenizer,
			"bert": a.bert != nil, "class_embedder": a.classes != nil, "rescaler": a.rescaler != nil} {
			if _, has := folder.Components[component]; has != wanted || folder.Class != a.class {
				t.Errorf("%s: class %q with components %v", name, folder.Class, folder.Components)
			}
		}
		config, stage := unet.DefaultConfig(), firststage.DefaultConfig()
		for component, into := range map[string]any{"unet": &config, "vqvae": &stage} {
			if err := folder.Config(component, into); err != nil {
				t.Fatal(err)
			}
		}
		u, err1 := unet.New(&config)
		v, err2 := firststage.New(&stage)
		if err1 != nil || err2 != nil {
			t.Errorf("%s: %v, %v", name, err1, err2)
			continue
		}
		for component, model := range map[string]any{"unet": u, "vqvae": v} {
			file, err := folder.Weights(component)
			if err != nil {
				t.Fatal(err)
			}
			if err := checkpoint.Bind(model, file, ""); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			file.Close()
		}
	}
}

func TestWriteRandom(t *testing.T) {
	a, root := small(t, "txt2img-large"), t.TempDir()
	ctx := context.Background()
	var last, total int64
	for _, name := range []string{"one", "two"} {
		err := a.write(ctx, filepath.Join(root, "made", name), 5, tensor.F16, func(done, all int64) { last, total = done, all })
		if err != nil {
			t.Fatal(err)
		}
	}
	if last != total || total == 0 {
		t.Errorf("progress ended at %d of %d bytes", last, total)
	}
	if err := a.write(ctx, filepath.Join(root, "made", "other"), 6, tensor.F16, nil); err != nil {
		t.Fatal(err)
	}
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(root, "made", name, "unet", "diffusion_pytorch_model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	if !bytes.Equal(read("one"), read("two")) || bytes.Equal(read("one"), read("other")) {
		t.Error("the seed does not decide the weights")
	}

	folder, err := checkpoint.OpenFolder(filepath.Join(root, "made", "one"))
	if err != nil {
		t.Fatal(err)
	}
	config := unet.DefaultConfig()
	if err := folder.Config("unet", &config); err != nil {
		t.Fatal(err)
	}
	model, err := unet.New(&config)
	if err != nil {
		t.Fatal(err)
	}
	file, err := folder.Weights("unet")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := checkpoint.Bind(model, file, ""); err != nil {
		t.Fatal(err)
	}
	// Uniform on ±√(3/inputs): the variance of a sum over the inputs is that of one input.
	w, err := model.MidBlock.Resnets[0].Conv1.Weight.Floats(nil)
	if err != nil {
		t.Fatal(err)
	}
	var squares float64
	for _, v := range w {
		squares += float64(v) * float64(v)
	}
	inputs := float64(64 * 9)
	if variance := squares / float64(len(w)) * inputs; variance < 0.97 || variance > 1.03 { // 37 k numbers: 3 standard errors are 1.5 %
		t.Errorf("variance times inputs is %.3f, want 1", variance)
	}
}

func TestWriteRandomFails(t *testing.T) {
	root := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	if err := WriteRandom(ctx, "vast", filepath.Join(root, "x"), 0, tensor.F16, nil); err == nil || !strings.Contains(err.Error(), `"vast"`) {
		t.Errorf("unknown architecture: error %v", err)
	}
	a := small(t, "txt2img-large")
	if err := WriteRandom(ctx, "stable-diffusion-1.5", filepath.Join(root, "x"), 0, tensor.F16, nil); err == nil || !strings.Contains(err.Error(), "text_encoder") {
		t.Errorf("architecture with a component that cannot be written: error %v", err)
	}
	if err := a.write(ctx, root, 0, tensor.F16, nil); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("existing folder: error %v", err)
	}
	err := a.write(ctx, filepath.Join(root, "x"), 0, tensor.F16, func(int64, int64) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
	left, err := os.ReadDir(root)
	if err != nil || len(left) > 0 {
		t.Errorf("%d files are left behind (%v)", len(left), err)
	}
}
