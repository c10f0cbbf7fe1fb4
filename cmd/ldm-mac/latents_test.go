package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/imageio"
	"ldm-mac/ldm/tensor"
)

// TestSavedLatents checks the tensors of --save-latents: their names and shapes, that the steps
// lead from the noise to the latents, and that the picture is the decoder's output.
func TestSavedLatents(t *testing.T) {
	dir := t.TempDir()
	const steps, pictures, height, width = 3, 3, 48, 64
	cmd := exec.Command("ldm-mac", "run", "a cat", "--model", tinyModel(t), "--seed", "1",
		"--steps", fmt.Sprint(steps), "--count", fmt.Sprint(pictures), "--batch-size", "2",
		"--size", fmt.Sprintf("%dx%d", width, height), "-o", "{index}.png", "--save-latents", "all.safetensors")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file, err := checkpoint.Open(filepath.Join(dir, "all.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	folder, err := openFolder(tinyModel(t))
	if err != nil {
		t.Fatal(err)
	}
	m, err := openModel(nil, folder, tinyModel(t))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	latent := tensor.Shape{pictures, 4, height / m.Factor(), width / m.Factor()}
	want := map[string]tensor.Shape{
		"text":  {pictures, m.TextLength(), m.Architecture().Text.Width()},
		"noise": latent, "step.000": latent, "step.001": latent, "step.002": latent, "latents": latent,
		"image": {pictures, 3, height, width},
	}
	if len(file.Names()) != len(want) {
		t.Errorf("tensors %q, want %d of them", file.Names(), len(want))
	}
	for name, shape := range want {
		w, ok := file.Weight(name)
		if !ok || !w.Shape.Equal(shape) || w.DType != tensor.F32 {
			t.Fatalf("%s is %+v, want shape %s in F32", name, w, shape)
		}
	}
	data := func(name string) []byte { w, _ := file.Weight(name); return w.Data }
	if !bytes.Equal(data("step.002"), data("latents")) || bytes.Equal(data("step.001"), data("latents")) {
		t.Error("the last step, and only that, should leave the latents")
	}
	checkImages(t, dir, file)
}

// checkImages compares the tensor image with the pictures.
func checkImages(t *testing.T, dir string, file *checkpoint.File) {
	t.Helper()
	w, _ := file.Weight("image")
	values, err := w.Floats(nil)
	if err != nil {
		t.Fatal(err)
	}
	n, h, width := w.Shape[0], w.Shape[2], w.Shape[3]
	for i := range n {
		picture, err := imageio.ReadFile(filepath.Join(dir, fmt.Sprintf("%04d.png", i)))
		if err != nil {
			t.Fatal(err)
		}
		planes := values[i*3*h*width:][:3*h*width]
		last := make([]float32, len(planes)) // [h, w, 3]
		for j := range last {
			last[j] = planes[j%3*h*width+j/3]
		}
		want, err := imageio.FromFloats(last, h, width, imageio.HalfToEven)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(picture.Image.Pix, want.Pix) {
			t.Errorf("picture %d is not the decoder's output", i)
		}
	}
}
