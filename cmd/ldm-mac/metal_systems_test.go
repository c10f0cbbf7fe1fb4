//go:build darwin || softmetal

package main

import (
	"context"
	"image"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ldm-mac/ldm/cond"
	"ldm-mac/ldm/cpu"
	"ldm-mac/ldm/firststage"
	"ldm-mac/ldm/goldentest"
	"ldm-mac/ldm/imageio"
	"ldm-mac/ldm/pipeline"
	"ldm-mac/ldm/tensor"
	"ldm-mac/metal"
)

// drawn is what a backend makes of a request.
type drawn struct {
	latents, image tensor.Array
	picture        pipeline.Picture
	quantises      bool
}

// TestGoldenMetalSystems draws with every fixture's model on the GPU and on the CPU, of which the tests
// of package pipeline compare every number with the fixture: latents, and pictures decoded of the same
// latents, within 1e-4 in float32 or ten times the fixture's own error, pictures in float16 within 35 dB, the bound of the built-in model's.
func TestGoldenMetalSystems(t *testing.T) {
	reference := cpu.New(0)
	defer reference.Close()
	for name, path := range map[string]string{
		"compvis-churches": "last-fp16-ema-legacy.ckpt", "compvis-class": "model-fp16.ckpt", "compvis-inpaint": "last-fp16.ckpt",
		"compvis-layout": "model-fp16.ckpt", "compvis-semantic": "model-fp16.ckpt", "compvis-txt2img": "model-fp16.ckpt",
		"sd-inpaint-tiny": "model", "sd-tiny": "model", "sd2-v-tiny": "model", "superres-tiny": "model", "uncond-tiny": "model",
	} {
		t.Run(name, func(t *testing.T) {
			var measured struct {
				Errors goldentest.Errors `json:"fp32_vs_float64"`
			}
			f := goldentest.Open(t, name, &measured)
			bound := 1e-4 // what the project asks of float32, unless guidance makes rounding worse than that
			for quantity, e := range measured.Errors {
				if strings.HasSuffix(quantity, "/x") {
					bound = max(bound, goldentest.Bound(e.Max))
				}
			}
			request := systemRequest(t, f, f.Path(path))
			want := drawSystem(t, reference, f.Path(path), request, nil)
			for _, dtype := range []tensor.DType{tensor.F32, tensor.F16} {
				gpu, err := metal.Open(metal.Options{DType: dtype, Notice: func(text string) { t.Log(text) }})
				if err != nil {
					t.Fatal(err)
				}
				got := drawSystem(t, gpu, f.Path(path), request, &want.latents)
				gpu.Close()
				if dtype == tensor.F32 {
					goldentest.Compare(t, "latents", got.latents.Data, want.latents.Data, bound)
					goldentest.Compare(t, "image", got.image.Data, want.image.Data, 1e-4)
					continue
				}
				psnr, err := imageio.PSNR(got.picture.Image, want.picture.Image)
				decoded, err2 := imageio.PSNR(levels(t, got.image), levels(t, want.image))
				t.Logf("float16: %.1f dB, decoded of the same latents %.1f dB", psnr, decoded)
				// Latents between two codes of a random codebook take the other for the least rounding.
				if err != nil || err2 != nil || decoded < 35 || psnr < 35 && !want.quantises {
					t.Errorf("float16: PSNR %.1f and %.1f dB (%v, %v), want at least 35", psnr, decoded, err, err2)
				}
			}
		})
	}
}

// levels is a decoder's output [1, 3, h, w] as a picture.
func levels(t *testing.T, a tensor.Array) *image.NRGBA {
	t.Helper()
	height, width := a.Shape[2], a.Shape[3]
	pixels := make([]float32, len(a.Data))
	for i, v := range a.Data {
		pixels[i%(height*width)*3+i/(height*width)] = v
	}
	m, err := imageio.FromFloats(pixels, height, width, imageio.HalfToEven)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// systemRequest is a small request for the model at path.
func systemRequest(t *testing.T, f *goldentest.Folder, path string) pipeline.Request {
	t.Helper()
	folder, err := openFolder(path)
	if err != nil {
		t.Fatal(err)
	}
	task, _ := pipeline.TaskOf(folder.Class)
	r := pipeline.Request{
		Prompt: "a photo of an astronaut", Class: 3, Boxes: []cond.Box{{Class: 3, Rect: cond.Rect{X0: 0.1, Y0: 0.2, X1: 0.5, Y1: 0.9}}},
		Width: 64, Height: 64, Steps: 4, Sampler: "ddim", GuidanceScale: 1, RNG: "torch", Seeds: []uint64{1}, BatchSize: 1, Strength: 1,
	}
	if task == pipeline.TextToImage || task == pipeline.ClassToImage {
		r.GuidanceScale = 3
	}
	read := func(name string) *imageio.Input {
		in, err := imageio.ReadFile(f.Path(name))
		if err != nil {
			t.Fatal(err)
		}
		r.Width, r.Height = in.Image.Rect.Dx(), in.Image.Rect.Dy()
		return in
	}
	switch {
	case task == pipeline.SemanticSynthesis:
		m := read("segmentation.png").Image
		for i := 0; i < len(m.Pix); i += 4 {
			r.LabelMap = append(r.LabelMap, m.Pix[i])
		}
	case task == pipeline.SuperResolution:
		r.Image = read("input_32x32.png").Image
	case task == pipeline.Inpainting:
		r.Image, r.Mask = read("image.png").Image, imageio.NewMask(read("image_mask.png").Image)
	case strings.Contains(folder.Class, "Inpaint"):
		r.Image, r.Mask = read("input.png").Image, imageio.NewMask(read("mask.png").Image)
	}
	return r
}

// drawSystem draws on a backend, and decodes latents, its own where they are nil.
func drawSystem(t *testing.T, backend tensor.Backend, path string, r pipeline.Request, latents *tensor.Array) drawn {
	t.Helper()
	folder, err := openFolder(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := pipeline.Load(backend, folder)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	d := drawn{quantises: p.Architecture().FirstStage.ClassName == firststage.VQ}
	r.OnTensor = func(name string, a tensor.Array) {
		kept := tensor.Array{Shape: slices.Clone(a.Shape), Data: slices.Clone(a.Data)}
		switch name {
		case "latents":
			d.latents = kept
		case "image":
			d.image = kept
		}
	}
	if _, err := p.Generate(context.Background(), r, func(made pipeline.Picture) error { d.picture = made; return nil }); err != nil {
		t.Fatalf("%s: %v", filepath.Base(path), err)
	}
	if latents != nil {
		if d.image.Data, err = p.DecodeFloats(context.Background(), *latents); err != nil {
			t.Fatal(err)
		}
	}
	return d
}
