package pipeline

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/compvis"
	"ldm-mac/ldm/cpu"
	"ldm-mac/ldm/imageio"
	"ldm-mac/ldm/tensor"
)

// gradient is a picture whose channels rise along its sides and its diagonal.
func gradient(width, height int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			copy(m.Pix[m.PixOffset(x, y):], []uint8{uint8(255 * x / width), uint8(255 * y / height), uint8(255 * (x + y) / (width + height)), 255})
		}
	}
	return m
}

// plain is a mask of one level.
func plain(width, height int, level uint8) *imageio.Mask {
	return &imageio.Mask{Width: width, Height: height, Level: bytes.Repeat([]uint8{level}, width*height)}
}

// half is a mask that fills the right half.
func half(width, height int) *imageio.Mask {
	m := plain(width, height, 0)
	for i := range m.Level {
		if i%width >= width/2 {
			m.Level[i] = 255
		}
	}
	return m
}

// changing is a request to change a picture.
func changing(p *Pipeline, seeds ...uint64) Request {
	r := request(p, seeds...)
	r.Image, r.Strength = gradient(r.Width, r.Height), 0.75
	return r
}

// drawable is a request that a fixture's model can do, for two seeds.
func drawable(t *testing.T, p *Pipeline, f *fixture) Request {
	r := f.request(t, p, &f.Runs[0], 0, max(f.Runs[0].Batch, f.Runs[0].Arguments.Images, len(f.Runs[0].Prompts), 1))
	r.generator, r.Seeds, r.Eta, r.Steps, r.Sampler = nil, []uint64{3, 4}, 1, 4, "ddim"
	return r
}

// A picture of every kind of model depends on its own seed alone, bit for bit.
func TestBatchEqualsSinglesOfAllTasks(t *testing.T) {
	for _, name := range []string{
		"compvis-churches", "compvis-class", "compvis-inpaint", "compvis-layout", "compvis-semantic", "compvis-txt2img",
		"sd-inpaint-tiny", "sd-tiny", "sd2-v-tiny", "superres-tiny", "uncond-tiny",
	} {
		t.Run(name, func(t *testing.T) {
			p, f := openFixture(t, name)
			r := drawable(t, p, f)
			if name == "sd-tiny" { // fills a hole by keeping the rest
				r.Image, r.Strength, r.Mask = gradient(r.Width, r.Height), 0.8, half(r.Width, r.Height)
			}
			r.BatchSize = 2
			pictures := generate(t, p, r)
			r.BatchSize = 1
			for i, seed := range r.Seeds {
				single := r
				single.Seeds = []uint64{seed}
				if got := generate(t, p, single)[0]; !bytes.Equal(got.Image.Pix, pictures[i].Image.Pix) {
					t.Errorf("seed %d: batched and single pictures differ", seed)
				}
			}
			if bytes.Equal(pictures[0].Image.Pix, pictures[1].Image.Pix) {
				t.Error("two seeds give the same picture")
			}
		})
	}
}

// What a run shows after a step is enough to finish it, bit for bit.
func TestContinue(t *testing.T) {
	p := mustLoad(t)
	for name, r := range map[string]Request{"from noise": request(p, 5), "from a picture": changing(p, 5)} {
		r.Eta, r.Steps = 0, 8
		steps := map[string]tensor.Array{}
		r.OnTensor = func(name string, a tensor.Array) {
			steps[name] = tensor.Array{Shape: slices.Clone(a.Shape), Data: slices.Clone(a.Data)}
		}
		whole := generate(t, p, r)[0]
		last := 7
		if r.Image != nil {
			last = 5 // 0.75 of 8
		}
		for k := range last {
			rest := request(p, 99)
			rest.Eta, rest.Steps = 0, 8
			rest.Start = &Start{Latents: steps[fmt.Sprintf("step.%03d", k)], Step: 8 - last - 1 + k + 1}
			if got := generate(t, p, rest)[0]; !bytes.Equal(got.Image.Pix, whole.Image.Pix) {
				t.Errorf("%s: step %d does not lead to the same picture", name, k)
			}
		}
	}
}

// Filling everything is changing everything, and filling nothing returns the picture.
func TestMasks(t *testing.T) {
	p := mustLoad(t)
	r := changing(p, 5)
	whole := generate(t, p, r)[0]
	r.Mask = plain(r.Width, r.Height, 255)
	if got := generate(t, p, r)[0]; !bytes.Equal(got.Image.Pix, whole.Image.Pix) {
		t.Error("a mask of everything does not give the picture without a mask")
	}
	r.Mask, r.KeepUnmasked = plain(r.Width, r.Height, 0), true
	if got := generate(t, p, r)[0]; !bytes.Equal(got.Image.Pix, r.Image.Pix) {
		t.Error("a mask of nothing does not return the picture")
	}
	r.Mask = half(r.Width, r.Height)
	got := generate(t, p, r)[0].Image
	changes := 0
	for i, m := range r.Mask.Level {
		same := bytes.Equal(got.Pix[4*i:4*i+4], r.Image.Pix[4*i:4*i+4])
		if m == 0 && !same {
			t.Fatalf("pixel %d is to be kept, and is not", i)
		}
		if !same {
			changes++
		}
	}
	if changes == 0 {
		t.Error("nothing is filled")
	}
}

// With one token of condition there is nothing to choose, so that queries and keys do not count.
func TestOneTokenNeedsNoQueries(t *testing.T) {
	p, f := openFixture(t, "compvis-class")
	r := drawable(t, p, f)
	before := generate(t, p, r)[0]
	other, _ := openFixture(t, "compvis-class")
	if err := other.unet.load(other.folder); err != nil {
		t.Fatal(err)
	}
	changedWeights := 0
	checkpoint.Walk(other.unet.model, func(name string, w *tensor.Weight) {
		if strings.Contains(name, "attn2.to_q") || strings.Contains(name, "attn2.to_k") {
			values, err := w.Floats(nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := range values {
				values[i] = values[i]*-3 + 0.1
			}
			*w = *tensor.WeightOf(w.Name, values, w.Shape...)
			changedWeights++
		}
	})
	if changedWeights == 0 {
		t.Fatal("no weights of queries and keys")
	}
	if after := generate(t, other, r)[0]; !bytes.Equal(after.Image.Pix, before.Image.Pix) {
		t.Error("other queries and keys give another picture")
	}
}

// TestContainers draws with one set of weights out of its original checkpoint, a folder and a single
// safetensors made of it.
func TestContainers(t *testing.T) {
	p, f := openFixture(t, "compvis-txt2img")
	r := drawable(t, p, f)
	want := generate(t, p, r)
	dir := t.TempDir()
	folder, single := filepath.Join(dir, "folder"), filepath.Join(dir, "single.safetensors")
	if err := compvis.WriteFolder(context.Background(), p.folder, folder, compvis.WriteOptions{Program: "test"}); err != nil {
		t.Fatal(err)
	}
	if err := compvis.WriteSingle(context.Background(), p.folder, single, compvis.WriteOptions{Program: "test"}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{folder, single} {
		opened, err := compvis.Open(path, compvis.Options{})
		if err != nil {
			t.Fatal(err)
		}
		backend := cpu.New(0)
		q, err := Load(backend, opened)
		if err != nil {
			t.Fatal(err)
		}
		for i, picture := range generate(t, q, r) {
			if !bytes.Equal(picture.Image.Pix, want[i].Image.Pix) {
				t.Errorf("%s: picture %d differs from the original checkpoint's", filepath.Base(path), i)
			}
		}
		q.Close()
		backend.Close()
	}
}

// The convention changes what it covers, and nothing else.
func TestConvention(t *testing.T) {
	p, f := openFixture(t, "compvis-class")
	r := drawable(t, p, f)
	r.Seeds, r.Eta = r.Seeds[:1], 0
	levels := func(a, b Picture) (most int) {
		for i, v := range a.Image.Pix {
			most = max(most, int(v)-int(b.Image.Pix[i]), int(b.Image.Pix[i])-int(v))
		}
		return most
	}
	own := generate(t, p, r)[0]
	r.Convention = CompVis
	if got := generate(t, p, r)[0]; levels(own, got) != 0 {
		t.Error("an original checkpoint is not drawn by CompVis' convention")
	}
	r.Convention = Diffusers
	if got := generate(t, p, r)[0]; levels(own, got) != 1 {
		t.Errorf("with steps that divide those of training, the conventions differ by %d levels, want the 1 of rounding", levels(own, got))
	}
	for convention, want := range map[Convention]int{CompVis: 8, Diffusers: 7} {
		r.Convention, r.Steps = convention, 7
		s, err := p.check(&r)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(s.Timesteps()); got != want {
			t.Errorf("7 steps are %d evaluations by the convention %s, want %d", got, convention, want)
		}
	}
	q, _ := openFixture(t, "uncond-tiny")
	if a, b := q.latentScale(Diffusers), q.latentScale(CompVis); a != 0.18215 || b != 1 {
		t.Errorf("latents of a VQModel of diffusers are scaled by %g and %g, want 0.18215 and 1", a, b)
	}
	warned := false
	u := Request{Width: 64, Height: 64, Steps: 1, GuidanceScale: 1, RNG: "torch", Seeds: []uint64{1}, BatchSize: 1,
		OnWarning: func(text string) { warned = strings.Contains(text, "the convention compvis does not") }}
	if generate(t, q, u); !warned {
		t.Error("nothing is said of latents that are scaled as no such model was trained")
	}
	if q.Convention() != Diffusers {
		t.Errorf("a folder of diffusers follows the convention %s", q.Convention())
	}
}
