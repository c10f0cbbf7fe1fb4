//go:build darwin || softmetal

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"ldm-mac/ldm/goldentest"
	"ldm-mac/ldm/imageio"
	"ldm-mac/ldm/tensor"
)

// metalRun is a run of the text-to-image fixture.
type metalRun struct {
	Name          string   `json:"name"`
	Eta           float64  `json:"eta"`
	GuidanceScale float64  `json:"guidance_scale"`
	Prompts       []string `json:"prompts"`
	Steps         int      `json:"steps"`
}

// TestGoldenMetal makes the fixture's deterministic pictures with the program on the GPU: in
// float32 within 1e-4 of the reference, in float16 at most 3 dB worse than PyTorch's own float16
// (ldm/testdata/peer/fp16.json, measured by the script beside it).
func TestGoldenMetal(t *testing.T) {
	var cases struct{ Runs []metalRun }
	f := goldentest.Open(t, "text2img-tiny", &cases)
	program, half := metalProgram(t), halfPSNR(t)
	count := 0
	for _, run := range cases.Runs {
		if run.Eta > 0 || len(run.Prompts) > 1 {
			continue // their noise was not drawn by a generator for each picture
		}
		count++
		t.Run(run.Name, func(t *testing.T) {
			picture, tensors := runMetal(t, f, program, run, "f32")
			want, _ := f.Floats(run.Name + "/decoded")
			goldentest.Compare(t, "decoded", floats(t, tensors, "image"), want, 1e-4)
			if psnr := picturePSNR(t, picture, f.Path(run.Name+".png")); psnr < 60 {
				t.Errorf("f32: PSNR %.1f dB, want at least 60", psnr)
			}
			picture, _ = runMetal(t, f, program, run, "f16")
			psnr := picturePSNR(t, picture, f.Path(run.Name+".png"))
			theirs, measured := half[run.Name]
			if t.Logf("f16: PSNR %.1f dB, PyTorch's %.1f dB", psnr, theirs); measured && psnr < theirs-3 {
				t.Errorf("f16: PSNR %.1f dB, want at least %.1f", psnr, theirs-3)
			}
		})
	}
	f.Count(count)
}

// metalProgram builds the program with Metal, on Linux with the software Metal.
func metalProgram(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "ldm-mac")
	if out, err := exec.Command("go", "build", "-tags", "softmetal", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// TestMetalDevice runs what users of a Mac run to prove their chip: the suite, tiny networks, and
// the built-in model's picture in 20 steps, in float16, against the CPU.
func TestMetalDevice(t *testing.T) {
	out, err := exec.Command(metalProgram(t), "verify", "--device", "--json").Output()
	var report verification
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, c := range report.Checks {
		if !c.Passed {
			t.Errorf("%s %s: difference %g, tolerance %g, error %q", c.Group, c.Name, c.Difference, c.Tolerance, c.Error)
		}
	}
	if err != nil || report.Device == nil || report.Passed < 200 {
		t.Errorf("%v: %d checks passed on %+v, want more than 200", err, report.Passed, report.Device)
	}
	t.Logf("%d checks on %+v", report.Passed, report.Device)
}

// halfPSNR is the PSNR of PyTorch's float16 pictures by run.
func halfPSNR(t *testing.T) map[string]float64 {
	data, err := os.ReadFile(filepath.Join("..", "..", "ldm", "testdata", "peer", "fp16.json"))
	if err != nil {
		t.Fatal(err)
	}
	var measured struct {
		PSNR map[string]float64 `json:"psnr_db"`
	}
	if err := json.Unmarshal(data, &measured); err != nil {
		t.Fatal(err)
	}
	return measured.PSNR
}

func runMetal(t *testing.T, f *goldentest.Folder, program string, run metalRun, dtype string) (picture, tensors string) {
	t.Helper()
	dir := t.TempDir()
	noise := filepath.Join(dir, "noise.safetensors")
	picture, tensors = filepath.Join(dir, "picture.png"), filepath.Join(dir, "tensors.safetensors")
	values, shape := f.Floats(run.Name + "/x_T")
	writeNoise(t, noise, tensor.WeightOf("noise", values, shape...))
	out, err := exec.Command(program, "run", "--backend", "metal", "--dtype", dtype, "--model", f.Path("model"),
		"--prompt", run.Prompts[0], "--steps", strconv.Itoa(run.Steps),
		"--guidance-scale", strconv.FormatFloat(run.GuidanceScale, 'g', -1, 64), "--latents", noise, "--seed", "0",
		"--output", picture, "--save-latents", tensors).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return picture, tensors
}

func picturePSNR(t *testing.T, a, b string) float64 {
	t.Helper()
	x, err := imageio.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := imageio.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	psnr, err := imageio.PSNR(x.Image, y.Image)
	if err != nil {
		t.Fatal(err)
	}
	return psnr
}
