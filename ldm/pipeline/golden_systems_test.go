package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/compvis"
	"ldm-mac/ldm/cpu"
	"ldm-mac/ldm/goldentest"
	"ldm-mac/ldm/imageio"
	"ldm-mac/ldm/rng"
	"ldm-mac/ldm/sampler"
	"ldm-mac/ldm/tensor"
)

// fixture is the case.json of a pipeline, of diffusers or of CompVis.
type fixture struct {
	*goldentest.Folder `json:"-"`
	Files              []struct{ File string }
	Runs               []fixtureRun
	Errors             goldentest.Errors `json:"fp32_vs_float64"`
	Info               struct {
		Prompts []string
		Classes []int
		Layout  []struct{ Tokens []int32 }
	}
}

type fixtureRun struct {
	Name            string
	Batch           int
	Eta             float64
	Steps           int             // of diffusers
	S               int             // of CompVis
	Sampler         string          // of CompVis: ddim or plms
	Guidance        float64         // of CompVis
	GuidanceScale   float64         `json:"guidance_scale"` // of latent diffusion in diffusers
	Prompts         []string        // the same
	Height, Width   int             // the same
	Input           string          // of super-resolution
	Scheduler       json.RawMessage // a class's name, or a configuration
	SchedulerConfig *sampler.Config `json:"scheduler_config"`
	SchedulerClass  string          `json:"scheduler_class"`
	Arguments       struct {
		Prompt, NegativePrompt string
		Negative               *string `json:"negative_prompt"`
		GuidanceScale          float64 `json:"guidance_scale"`
		GuidanceRescale        float64 `json:"guidance_rescale"`
		Steps                  int     `json:"num_inference_steps"`
		Images                 int     `json:"num_images_per_prompt"`
		ClipSkip               int     `json:"clip_skip"`
		Eta                    float64
		Image                  string
		Mask                   string `json:"mask_image"`
		Strength               float64
		Height, Width          int
	}
}

// openFixture loads a fixture's model: its folder, or its original checkpoint.
func openFixture(t *testing.T, name string) (*Pipeline, *fixture) {
	t.Helper()
	f := &fixture{}
	f.Folder = goldentest.Open(t, name, f)
	path := f.Path("model")
	open := checkpoint.OpenFolder
	if len(f.Files) > 0 {
		path = f.Path(f.Files[0].File)
		open = func(path string) (*checkpoint.Folder, error) { return compvis.Open(path, compvis.Options{}) }
	}
	folder, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Load(cpu.New(0), folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(); p.backend.Close() })
	return p, f
}

// schedule is the sampler's configuration of a run, of the model where the run names none.
func (r *fixtureRun) schedule(t *testing.T, own sampler.Config) sampler.Config {
	t.Helper()
	if r.SchedulerConfig != nil {
		if err := json.Unmarshal(r.Scheduler, &r.SchedulerConfig.ClassName); err != nil {
			t.Fatal(err)
		}
		return *r.SchedulerConfig
	}
	class, ok := map[string]string{"ddim": "DDIMScheduler", "zsnr": "DDIMScheduler", "euler": "EulerDiscreteScheduler"}[r.SchedulerClass]
	if !ok {
		return own
	}
	config := sampler.Config{ClassName: class}
	if err := json.Unmarshal(r.Scheduler, &config); err != nil {
		t.Fatal(err)
	}
	return config
}

// recorded is a generator that gives a picture's part of what a run drew.
type recorded struct {
	t     *testing.T
	draws [][]float32
}

func (r *recorded) Normal(dst []float32) {
	if len(r.draws) == 0 {
		clear(dst) // CompVis draws without use at eta 0, which is not recorded
		return
	}
	if len(r.draws[0]) != len(dst) {
		r.t.Fatalf("a draw of %d numbers, recorded are %d", len(dst), len(r.draws[0]))
	}
	copy(dst, r.draws[0])
	r.draws = r.draws[1:]
}

func (r *recorded) Uniform([]float32) { r.t.Fatal("a uniform draw") }

// draws are those of picture i of a run with n pictures.
func (f *fixture) draws(run string, i, n int) [][]float32 {
	part := func(values []float32) []float32 { size := len(values) / n; return values[i*size:][:size] }
	var all [][]float32
	for k := 0; f.Has(fmt.Sprint(run, "/draw", k)); k++ {
		values, _ := f.Floats(fmt.Sprint(run, "/draw", k))
		all = append(all, part(values))
	}
	if all != nil {
		return all
	}
	start, _ := f.Floats(run + "/x_T")
	all = append(all, part(start))
	if f.Has(run + "/noise") {
		noise, shape := f.Floats(run + "/noise") // [steps, n, c, h, w]
		for step := range slices.Chunk(noise, len(noise)/shape[0]) {
			all = append(all, part(step))
		}
	}
	return all
}

// request is that of picture i of a run.
func (f *fixture) request(t *testing.T, p *Pipeline, run *fixtureRun, i, n int) Request {
	a := &run.Arguments
	r := Request{
		Prompt: a.Prompt, Steps: max(run.Steps, run.S, a.Steps), Eta: max(run.Eta, a.Eta), ClipSkip: a.ClipSkip,
		GuidanceScale: max(run.Guidance, run.GuidanceScale, a.GuidanceScale), GuidanceRescale: a.GuidanceRescale,
		RNG: "torch", Seeds: []uint64{0}, BatchSize: 1, Strength: a.Strength,
		Width: max(a.Width, run.Width), Height: max(a.Height, run.Height),
		generator: func(int) (rng.Generator, error) { return &recorded{t, f.draws(run.Name, i, n)}, nil },
	}
	if run.Sampler == "plms" {
		r.Sampler = "plms"
	}
	if r.GuidanceScale == 0 {
		r.GuidanceScale = 1
	}
	if a.Negative != nil {
		r.NegativePrompt = *a.Negative
	}
	switch p.Task() {
	case TextToImage:
		if prompts := slices.Concat(run.Prompts, f.Info.Prompts); prompts != nil {
			r.Prompt = prompts[i]
		}
	case ClassToImage:
		r.Class = f.Info.Classes[i]
	case LayoutToImage:
		r.tokens = f.Info.Layout[i].Tokens
	case SemanticSynthesis:
		m := f.read(t, "segmentation.png")
		r.Width, r.Height = m.Rect.Dx(), m.Rect.Dy()
		for i := 0; i < len(m.Pix); i += 4 {
			r.LabelMap = append(r.LabelMap, m.Pix[i])
		}
	case SuperResolution:
		r.Image = f.fitted(t, run.Input, 32) // LDMSuperResolutionPipeline
	case Inpainting:
		r.Image, r.KeepUnmasked = f.read(t, "image.png"), true
		r.Mask = imageio.NewMask(f.read(t, "image_mask.png")).Binary() // scripts/inpaint.py
	}
	if a.Image != "" {
		r.Image = f.fitted(t, a.Image, 8) // VaeImageProcessor
	}
	if a.Mask != "" {
		r.Mask = imageio.NewMask(f.read(t, a.Mask))
	}
	if r.Image != nil {
		r.Width, r.Height = r.Image.Rect.Dx(), r.Image.Rect.Dy()
	}
	if r.Width == 0 {
		_, shape := f.Floats(run.Name + "/x_T")
		r.Width, r.Height = shape[3]*p.Factor(), shape[2]*p.Factor()
	}
	return r
}

func (f *fixture) read(t *testing.T, name string) *image.NRGBA {
	t.Helper()
	in, err := imageio.ReadFile(f.Path(name))
	if err != nil {
		t.Fatal(err)
	}
	return in.Image
}

// fitted is a picture with its sides cut to multiples, as diffusers does it.
func (f *fixture) fitted(t *testing.T, name string, multiple int) *image.NRGBA {
	t.Helper()
	m := f.read(t, name)
	size := m.Rect.Size()
	m, err := imageio.Resize(m, size.X/multiple*multiple, size.Y/multiple*multiple, imageio.Lanczos)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestGoldenSystems repeats the runs of every fixture with a pipeline from what they drew.
func TestGoldenSystems(t *testing.T) {
	fixtures, err := filepath.Glob(filepath.Join(goldentest.Root(), "*", "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range fixtures {
		name := filepath.Base(filepath.Dir(path))
		if data, err := os.ReadFile(path); err != nil || !strings.Contains(string(data), `"runs"`) || name == "emoji" {
			continue // emoji has no model: it is that of the program
		}
		t.Run(name, func(t *testing.T) {
			p, f := openFixture(t, name)
			own := p.schedule
			for _, run := range f.Runs {
				t.Run(run.Name, func(t *testing.T) {
					p.schedule = run.schedule(t, own)
					n := max(run.Batch, run.Arguments.Images, len(run.Prompts), 1)
					for i := range n {
						f.repeat(t, p, &run, i, n)
					}
				})
			}
			f.Count(len(f.Runs))
		})
	}
}

// repeat compares every step, the decoded picture and the file of picture i of a run.
func (f *fixture) repeat(t *testing.T, p *Pipeline, run *fixtureRun, i, n int) {
	steps, shape := f.Floats(run.Name + "/x") // [steps, n, c, h, w]
	size := shape[2:].Elements()
	r := f.request(t, p, run, i, n)
	s, err := p.check(&r)
	if err != nil {
		t.Fatal(err)
	}
	offset := len(s.Timesteps()) - shape[0] // CompVis records no x inside of the first step of PLMS
	var latents []float32
	var decoded tensor.Array
	r.OnTensor = func(name string, x tensor.Array) {
		var step int
		switch _, err := fmt.Sscanf(name, "step.%d", &step); {
		case err == nil && step >= offset:
			want := steps[((step-offset)*n+i)*size:][:size]
			goldentest.Compare(t, fmt.Sprintf("picture %d, x after evaluation %d", i, step), x.Data, want, f.bound(t, run.Name, "x"))
		case name == "latents":
			latents = slices.Clone(x.Data)
		case name == "image":
			decoded = tensor.Array{Shape: x.Shape, Data: slices.Clone(x.Data)}
		}
	}
	var picture Picture
	if _, err := p.Generate(context.Background(), r, func(made Picture) error { picture = made; return nil }); err != nil {
		t.Fatal(err)
	}
	f.epsilons(t, p, run.Name, s.Timesteps(), i, n)
	if !f.sameCodes(t, p, run.Name, latents, i, n) {
		return
	}
	if f.Has(run.Name + "/decoded") {
		want, _ := f.Floats(run.Name + "/decoded")
		size := len(want) / n
		goldentest.Compare(t, "decoded", decoded.Data, want[i*size:][:size], f.bound(t, run.Name, "decoded"))
	}
	if f.Has(run.Name + "/decoded01") {
		want, _ := f.Floats(run.Name + "/decoded01")
		for j, v := range decoded.Data {
			decoded.Data[j] = min(max(v/2+0.5, 0), 1)
		}
		goldentest.Compare(t, "decoded01", decoded.Data, want, f.bound(t, run.Name, "decoded01"))
	}
	file := run.Name + ".png"
	if _, err := os.Stat(f.Path(file)); err != nil {
		file = fmt.Sprintf("%s_%d.png", run.Name, i)
	}
	want := f.read(t, file)
	if r.KeepUnmasked {
		f.keep(t, want, &r)
	}
	psnr, err := imageio.PSNR(picture.Image, want)
	if err != nil || psnr < 60 {
		t.Errorf("%s: PSNR %.1f dB (%v), want at least 60", file, psnr, err)
	}
}

// epsilons compares the network's outputs at each of the recorded latents, with the conditions that the
// run has left.
func (f *fixture) epsilons(t *testing.T, p *Pipeline, run string, times []float64, i, n int) {
	if !f.Has(run + "/eps") {
		return
	}
	eps, shape := f.Floats(run + "/eps") // [steps, n, c, h, w]
	steps, _ := f.Floats(run + "/x")
	size := shape[2:].Elements()
	first := run + "/x_T"
	if f.Has(run + "/x_start") {
		first = run + "/x_start"
	}
	start, _ := f.Floats(first)
	for step, at := range times {
		x := start[i*size:][:size]
		if step > 0 {
			x = steps[((step-1)*n+i)*size:][:size]
		}
		out := make([]float32, size)
		if err := p.denoiser.evaluate(context.Background(), x, at, 1, out); err != nil {
			t.Fatal(err)
		}
		goldentest.Compare(t, fmt.Sprintf("picture %d, output of evaluation %d", i, step), out, eps[(step*n+i)*size:][:size],
			f.Errors.Bound(t, run+"/eps", "unet/eps", run+"/x"))
	}
}

// keep puts the input's pixels back into a picture of scripts/inpaint.py, which takes them through
// float32 and cuts them off: some come out one level lower.
func (f *fixture) keep(t *testing.T, made *image.NRGBA, r *Request) {
	for i, m := range r.Mask.Level {
		if m != 0 {
			continue
		}
		for c := range 3 {
			level := &made.Pix[4*i+c]
			if d := int(r.Image.Pix[4*i+c]) - int(*level); d != 0 && d != 1 {
				t.Fatalf("the fixture's kept pixel %d is %d levels off its input", i, d)
			}
			*level = r.Image.Pix[4*i+c]
		}
	}
}

// bound is the tolerance of a quantity of a run. What was not measured of a run of super-resolution
// with another sampler is that of DDIM.
func (f *fixture) bound(t *testing.T, run, quantity string) float64 {
	return f.Errors.Bound(t, run+"/"+quantity, "eta1/"+quantity)
}

// sameCodes compares the codes of latents with the recorded ones, of which those may differ that are
// nearly as far from another code; the decoder is then checked from the recorded ones.
func (f *fixture) sameCodes(t *testing.T, p *Pipeline, run string, latents []float32, i, n int) bool {
	if !f.Has(run + "/code_indices") {
		return true
	}
	recorded, shape := f.Ints(run + "/code_indices") // [n, h, w]
	gaps, _ := f.Floats(run + "/code_gap")
	size := len(recorded) / n
	recorded, gaps = recorded[i*size:][:size], gaps[i*size:][:size]
	z := p.LatentChannels()
	book, err := p.loadCodebook()
	if err != nil {
		t.Fatal(err)
	}
	values := channelsLast(scaled(latents, float32(1/p.latentScale(p.Convention()))), z)
	codes, _, err := book.Quantize(values)
	if err != nil {
		t.Fatal(err)
	}
	same, wanted := true, make([]int32, size)
	for j, code := range codes {
		wanted[j] = int32(recorded[j])
		if code == wanted[j] {
			continue
		}
		if same = false; gaps[j] >= 1e-4 {
			t.Errorf("picture %d, code %d of pixel %d, want %d: its gap is %g", i, code, j, wanted[j], gaps[j])
		}
	}
	if same || !f.Has(run+"/decoded") {
		return same
	}
	if err := book.Lookup(values, wanted); err != nil {
		t.Fatal(err)
	}
	got, err := p.decodeCodes(context.Background(), channelsFirst(values, z), shape[1], shape[2], Tiles{})
	if err != nil {
		t.Fatal(err)
	}
	want, _ := f.Floats(run + "/decoded")
	goldentest.Compare(t, "decoded from the recorded codes", got, want[i*len(got):][:len(got)], f.bound(t, run, "decoded"))
	return false
}
