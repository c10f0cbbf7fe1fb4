package arch

import (
	"bytes"
	"context"
	"errors"
	"image"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/cond"
	"ldm-mac/ldm/cpu"
	"ldm-mac/ldm/imageio"
	"ldm-mac/ldm/pipeline"
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
	if a.clip != nil {
		a.clip.Width, a.clip.Layers, a.clip.Heads, a.clip.FFNDim, a.clip.VocabSize = 24, 2, 3, 48, 400
	}
	if u.ClassName == unet.Conditional {
		u.CrossAttentionDim = unet.PerLevel{24}
		u.AttentionHeadDim = unet.PerLevel{8}
	}
	return a
}

// request is what a small model of the class is asked to draw, on a picture of which it can begin.
func request(p *pipeline.Pipeline) pipeline.Request {
	side := p.Multiple()
	r := pipeline.Request{Prompt: "a cat", Steps: 2, GuidanceScale: 1, Seeds: []uint64{1}, BatchSize: 1, RNG: "torch", Width: side, Height: side, Strength: 1}
	switch p.Task() {
	case pipeline.LayoutToImage:
		r.Boxes = []cond.Box{{Class: 1, Rect: cond.Rect{X0: 0.1, Y0: 0.1, X1: 0.6, Y1: 0.9}}}
	case pipeline.SemanticSynthesis:
		r.LabelMap = make([]uint8, side*side)
	}
	if p.Task() == pipeline.SuperResolution || p.Inpaints() {
		r.Image = image.NewNRGBA(image.Rect(0, 0, side, side))
	}
	if p.Inpaints() {
		r.Mask = &imageio.Mask{Width: side, Height: side, Level: bytes.Repeat([]uint8{255}, side*side)}
	}
	if p.Guidable() {
		r.GuidanceScale = 3
	}
	return r
}

// Every architecture is a folder from which pictures are drawn, with the components of its class.
func TestWriteRandomAll(t *testing.T) {
	backend := cpu.New(1)
	defer backend.Close()
	for _, name := range Names() {
		a, dir := small(t, name), filepath.Join(t.TempDir(), name)
		if err := a.write(context.Background(), dir, 1, tensor.F16, nil); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		folder, err := checkpoint.OpenFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		for component, wanted := range map[string]bool{"unet": true, "vqvae": !a.stable(), "vae": a.stable(), "scheduler": true,
			"low_res_scheduler": a.lowRes, "tokenizer": a.tokenizer != "", "bert": a.bert != nil, "text_encoder": a.clip != nil,
			"class_embedder": a.classes != nil, "rescaler": a.rescaler != nil} {
			if _, has := folder.Components[component]; has != wanted || folder.Class != a.class {
				t.Errorf("%s: class %q with components %v", name, folder.Class, folder.Components)
			}
		}
		p, err := pipeline.Load(backend, folder)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		drawn := 0
		_, err = p.Generate(context.Background(), request(p), func(pipeline.Picture) error { drawn++; return nil })
		if err != nil || drawn != 1 {
			t.Errorf("%s: %d pictures drawn, %v", name, drawn, err)
		}
		p.Close()
	}
}

// The tokenizers know every printable character of ASCII, within words and at their ends.
func TestVocabulary(t *testing.T) {
	for _, name := range []string{"txt2img-large", "stable-diffusion-1.5", "stable-diffusion-2.1"} {
		a, dir := small(t, name), filepath.Join(t.TempDir(), name)
		if err := a.write(context.Background(), dir, 1, tensor.F16, nil); err != nil {
			t.Fatal(err)
		}
		folder, err := checkpoint.OpenFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		tokens, _, err := pipeline.LoadTokenizer(folder)
		if err != nil {
			t.Fatal(err)
		}
		unknown := "[UNK]"
		if a.clip != nil {
			unknown = endOfText
		}
		var text strings.Builder
		for c := '!'; c <= '~'; c++ {
			text.WriteString(string(c) + "a" + string(c) + " ")
		}
		pieces := tokens.Pieces(text.String())
		for i, piece := range pieces {
			if piece == unknown || strings.Contains(piece, "unused") {
				t.Errorf("%s: token %d of %q is %q", name, i, text.String(), piece)
			}
		}
		if len(pieces) < 3*('~'-'!'+1) {
			t.Errorf("%s: %d tokens of %d characters", name, len(pieces), 3*('~'-'!'+1))
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
