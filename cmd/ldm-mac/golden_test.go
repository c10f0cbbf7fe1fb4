package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/goldentest"
	"ldm-mac/ldm/imageio"
	"ldm-mac/ldm/tensor"
)

// goldenRun is one picture of the fixture.
type goldenRun struct {
	Name          string
	Prompt        string
	Steps         int
	GuidanceScale float64 `json:"guidance_scale"`
	Eta           float64
	Seed          uint64
	Sampler       string
	File          string
}

// minPSNR in decibels is the mark that the fixtures set: a mean error of a quarter of a level.
const minPSNR = 60

// TestGoldenEmoji makes the reference pictures of the embedded model with the program as it is
// built for users.
func TestGoldenEmoji(t *testing.T) {
	var cases struct {
		Runs   []goldenRun
		Errors map[string]goldentest.Error `json:"fp32_vs_float64"`
	}
	f := goldentest.Open(t, "emoji", &cases)
	program := filepath.Join(t.TempDir(), "ldm-mac")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, run := range cases.Runs {
		t.Run(run.Name, func(t *testing.T) {
			checkTokens(t, f, program, run)
			tensors := checkPicture(t, f, program, run)
			for theirs, ours := range map[string]string{"text": "text", "latents": "latents", "decoded": "image"} {
				name := run.Name + "/" + theirs
				want, _ := f.Floats(name)
				goldentest.Compare(t, name, floats(t, tensors, ours), want, goldentest.Bound(cases.Errors[name].Max))
			}
		})
	}
	f.Count(len(cases.Runs))
}

func checkTokens(t *testing.T, f *goldentest.Folder, program string, run goldenRun) {
	out, err := exec.Command(program, "tokenize", "--json", "--prompt", run.Prompt).Output()
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ IDs []int64 }
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if want, _ := f.Ints(run.Name + "/ids"); !slices.Equal(got.IDs, want) {
		t.Errorf("tokens of %q are %v, want %v", run.Prompt, got.IDs, want)
	}
}

// checkPicture makes the picture of a run from its recorded noise, and returns the file of its
// tensors.
func checkPicture(t *testing.T, f *goldentest.Folder, program string, run goldenRun) (tensors string) {
	dir := t.TempDir()
	noise := filepath.Join(dir, "noise.safetensors")
	writeNoise(t, noise, f.Weight(run.Name+"/x_T"))
	picture, tensors := filepath.Join(dir, "picture.png"), filepath.Join(dir, "tensors.safetensors")
	float := func(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }
	out, err := exec.Command(program, "run", "--backend", "cpu", "--prompt", run.Prompt, "--steps", strconv.Itoa(run.Steps),
		"--guidance-scale", float(run.GuidanceScale), "--eta", float(run.Eta), "--sampler", run.Sampler,
		"--seed", strconv.FormatUint(run.Seed, 10), "--latents", noise, "--output", picture, "--save-latents", tensors).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got, err := imageio.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	want, err := imageio.ReadFile(f.Path(run.File))
	if err != nil {
		t.Fatal(err)
	}
	psnr, err := imageio.PSNR(got.Image, want.Image)
	if err != nil {
		t.Fatal(err)
	}
	if t.Logf("%q: %.1f dB", run.Prompt, psnr); psnr < minPSNR {
		t.Errorf("PSNR %.1f dB, want at least %d", psnr, minPSNR)
	}
	return tensors
}

// floats reads a tensor of a file of --save-latents.
func floats(t *testing.T, path, name string) []float32 {
	t.Helper()
	file, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w, ok := file.Weight(name)
	if !ok {
		t.Fatalf("%s has no tensor %q", path, name)
	}
	values, err := w.Floats(nil)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// writeNoise makes a file for --latents.
func writeNoise(t *testing.T, path string, w *tensor.Weight) {
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	source := checkpoint.SourceOf(w)
	source.Name = "noise"
	if err := checkpoint.WriteSafetensors(file, []checkpoint.Source{source}, nil); err != nil {
		t.Fatal(err)
	}
}
