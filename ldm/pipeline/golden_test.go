package pipeline

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/cpu"
	"ldm-mac/ldm/goldentest"
	"ldm-mac/ldm/imageio"
	"ldm-mac/ldm/sampler"
	"ldm-mac/ldm/tensor"
	"ldm-mac/ldm/unet"
)

// text2img is the case.json of the fixture of the text-to-image pipeline.
type text2img struct {
	Prompts         []string                    `json:"prompts"`
	TextPromptIndex []int                       `json:"text_prompt_index"`
	UNetTimesteps   []float64                   `json:"unet_t"`
	UNetMixed       []float64                   `json:"unet_mixed_t"`
	ScalingFactor   float64                     `json:"scaling_factor"`
	VAEInput        string                      `json:"vae_input"`
	Runs            []text2imgRun               `json:"runs"`
	Errors          map[string]goldentest.Error `json:"fp32_vs_float64"`
}

type text2imgRun struct {
	Name          string    `json:"name"`
	Eta           float64   `json:"eta"`
	GuidanceScale float64   `json:"guidance_scale"`
	Prompts       []string  `json:"prompts"`
	Steps         int       `json:"steps"`
	Timesteps     []float64 `json:"timesteps"`
	Height        int       `json:"height"`
	Width         int       `json:"width"`
}

// bound is the tolerance of a quantity, or of its stage where it has no entry of its own.
func (c *text2img) bound(t *testing.T, names ...string) float64 {
	t.Helper()
	for _, name := range names {
		if e, ok := c.Errors[name]; ok {
			return goldentest.Bound(e.Max)
		}
	}
	t.Fatalf("no measured error for %q", names)
	return 0
}

func openText2Img(t *testing.T) (*Pipeline, *goldentest.Folder, *text2img) {
	t.Helper()
	c := new(text2img)
	f := goldentest.Open(t, "text2img-tiny", c)
	folder, err := checkpoint.OpenFolder(f.Path("model"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := Load(cpu.New(0), folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(); p.backend.Close() })
	return p, f, c
}

// last is a tensor in PyTorch's layout, [n, c, h, w] or [n, l, d], as the graphs have it.
func last(values []float32, shape tensor.Shape) tensor.Array {
	if len(shape) != 4 {
		return tensor.Array{Shape: shape, Data: values}
	}
	out := tensor.NewArray(shape[0], shape[2], shape[3], shape[1])
	size := len(values) / shape[0]
	for i := range shape[0] {
		toChannelsLast(out.Data[i*size:][:size], values[i*size:][:size], shape[1])
	}
	return out
}

// golden is a tensor of the fixture as the graphs have it.
func golden(f *goldentest.Folder, name string) tensor.Array { return last(f.Floats(name)) }

func TestGoldenText(t *testing.T) {
	p, f, c := openText2Img(t)
	want, shape := f.Floats("text/embedding")
	for i, index := range c.TextPromptIndex {
		got, err := p.encode(context.Background(), []string{c.Prompts[index]}, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		size := shape[1] * shape[2]
		goldentest.Compare(t, fmt.Sprintf("text of %.30q", c.Prompts[index]), got.Data, want[i*size:][:size],
			c.bound(t, "text/embedding"))
	}
	f.Count(len(c.TextPromptIndex))
}

// observe runs a network of the pipeline on in and returns every node by name.
func observe(t *testing.T, p *Pipeline, c *component, in map[string]tensor.Array, build func(*tensor.Graph)) map[string]tensor.Array {
	t.Helper()
	if err := c.bind(p.folder); err != nil {
		t.Fatal(err)
	}
	g := tensor.NewGraph()
	build(g)
	program, err := p.backend.Compile(g.Observed())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	out, err := program.Run(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestGoldenTextLayers(t *testing.T) {
	p, f, c := openText2Img(t)
	width, length := p.text.config.Width, p.text.config.MaxPositions
	ids, shape := f.Ints("text/ids")
	tokens := tensor.NewArray(1, length, width)
	row := make([]int32, shape[1]) // prompt 1
	for i := range row {
		row[i] = int32(ids[shape[1]+i])
	}
	if err := p.text.model.Embed(tokens.Data, row); err != nil {
		t.Fatal(err)
	}
	nodes := observe(t, p, &p.text.component, map[string]tensor.Array{"tokens": tokens}, func(g *tensor.Graph) {
		p.text.model.Forward(g.Input("tokens", tokens.Shape...))
	})
	cases := 0
	for ; f.Has(fmt.Sprintf("text/layer%d", cases)); cases++ {
		name := fmt.Sprintf("text/layer%d", cases)
		goldentest.Compare(t, name, nodes[fmt.Sprintf("model.layers.%d", cases)].Data, golden(f, name).Data,
			c.bound(t, "text/embedding"))
	}
	f.Count(cases)
}

func TestGoldenUNet(t *testing.T) {
	p, f, c := openText2Img(t)
	latent, cond := golden(f, "unet/latent"), golden(f, "unet/context")
	rows := latent.Shape[0]
	evaluate := func(timesteps []float64) tensor.Array {
		sinusoids := tensor.NewArray(rows, p.unet.config.BlockOutChannels[0])
		unet.TimestepEmbedding(sinusoids.Data, timesteps, sinusoids.Shape[1], p.unet.config.FlipSinToCos, p.unet.config.FreqShift)
		program, err := p.compile(&p.unet.component, func(g *tensor.Graph) {
			g.Output("out", p.unet.model.Forward(g.Input("x", latent.Shape...),
				g.Input("sinusoids", sinusoids.Shape...), g.Input("cond", cond.Shape...)))
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { program.Close() })
		out, err := program.Run(context.Background(), map[string]tensor.Array{"x": latent, "sinusoids": sinusoids, "cond": cond})
		if err != nil {
			t.Fatal(err)
		}
		return out["out"]
	}
	for _, timestep := range c.UNetTimesteps {
		name := fmt.Sprintf("unet/eps_t%g", timestep)
		goldentest.Compare(t, name, evaluate(slices.Repeat([]float64{timestep}, rows)).Data, golden(f, name).Data,
			c.bound(t, name, "unet/eps"))
	}
	goldentest.Compare(t, "unet/eps_mixed_t", evaluate(c.UNetMixed).Data, golden(f, "unet/eps_mixed_t").Data,
		c.bound(t, "unet/eps"))
	f.Count(len(c.UNetTimesteps) + 1)
}

var hook = regexp.MustCompile(`^unet(\d+)/(.*)$`)

func TestGoldenUNetBlocks(t *testing.T) {
	p, f, c := openText2Img(t)
	f.Tensors("expect.safetensors")
	cases := 0
	outputs := map[float64]map[string]tensor.Array{}
	for _, name := range f.Names() {
		m := hook.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		var timestep float64
		fmt.Sscan(m[1], &timestep)
		nodes := outputs[timestep]
		if nodes == nil {
			nodes = observeUNet(t, p, f, timestep)
			outputs[timestep] = nodes
		}
		got, ok := block(nodes, m[2])
		if !ok {
			t.Errorf("no node is %q", name)
			continue
		}
		goldentest.Compare(t, name, got.Data, golden(f, name).Data, c.bound(t, name, "unet/eps"))
		cases++
	}
	f.Count(cases)
}

// block finds the node of a block that the fixture names, such as "down0.attn1.ff".
func block(nodes map[string]tensor.Array, name string) (tensor.Array, bool) {
	switch name {
	case "time_proj":
		name = "sinusoids"
	case "time_embedding":
		name = "time_embedding.linear_2"
	}
	parts := strings.Split(name, ".")
	for i, kind := range []string{"down", "up", "res", "attn"} {
		long := []string{"down_blocks.", "up_blocks.", "resnets.", "attentions."}[i]
		if number, ok := strings.CutPrefix(parts[i/2%len(parts)], kind); ok && len(parts) > i/2 {
			parts[i/2] = long + number
		}
	}
	if len(parts) == 3 { // inside a transformer
		parts = append(parts[:2], "transformer_blocks.0", map[string]string{"attn1": "attn1.to_out.0",
			"attn2": "attn2.to_out.0", "ff": "ff.net.2"}[parts[2]])
	}
	return lastOf(nodes, strings.Join(parts, "."))
}

// lastOf is the result of a module: its own, or that of its resampling, or of its last layer.
func lastOf(nodes map[string]tensor.Array, module string) (a tensor.Array, ok bool) {
	for _, name := range []string{module, module + ".downsamplers.0.conv", module + ".upsamplers.0.conv"} {
		if a, ok := nodes[name]; ok {
			return a, true
		}
	}
	for i := 0; ; i++ {
		layer, found := nodes[fmt.Sprint(module, ".resnets.", i)]
		if !found {
			return a, ok
		}
		a, ok = layer, true
		if attention, found := nodes[fmt.Sprint(module, ".attentions.", i)]; found && !strings.HasSuffix(module, "mid_block") {
			a = attention
		}
	}
}

// observeUNet is one pass on the first latent and the first condition of the fixture.
func observeUNet(t *testing.T, p *Pipeline, f *goldentest.Folder, timestep float64) map[string]tensor.Array {
	first := func(a tensor.Array) tensor.Array {
		shape := append(tensor.Shape{1}, a.Shape[1:]...)
		return tensor.Array{Shape: shape, Data: a.Data[:shape.Elements()]}
	}
	x, cond := first(golden(f, "unet/latent")), first(golden(f, "unet/context"))
	sinusoids := tensor.NewArray(1, p.unet.config.BlockOutChannels[0])
	unet.TimestepEmbedding(sinusoids.Data, []float64{timestep}, sinusoids.Shape[1], p.unet.config.FlipSinToCos, p.unet.config.FreqShift)
	in := map[string]tensor.Array{"x": x, "sinusoids": sinusoids, "cond": cond}
	nodes := observe(t, p, &p.unet.component, in, func(g *tensor.Graph) {
		p.unet.model.Forward(g.Input("x", x.Shape...), g.Input("sinusoids", sinusoids.Shape...), g.Input("cond", cond.Shape...))
	})
	nodes["sinusoids"] = sinusoids
	return nodes
}

func TestGoldenRuns(t *testing.T) {
	p, f, c := openText2Img(t)
	for _, run := range c.Runs {
		t.Run(run.Name, func(t *testing.T) { goldenRun(t, p, f, c, &run) })
	}
	f.Count(len(c.Runs))
}

// goldenRun repeats a run from its recorded noise.
func goldenRun(t *testing.T, p *Pipeline, f *goldentest.Folder, c *text2img, run *text2imgRun) {
	ctx, name, images := context.Background(), run.Name, len(run.Prompts)
	s, err := sampler.New("", p.schedule, sampler.Options{Steps: run.Steps, Eta: run.Eta})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.Timesteps(), run.Timesteps) {
		t.Errorf("time steps %v, want %v", s.Timesteps(), run.Timesteps)
	}
	wantX, shape := f.Floats(name + "/x")
	size := len(wantX) / shape[0]
	step := 0
	req := &Request{GuidanceScale: run.GuidanceScale, OnTensor: func(_ string, x tensor.Array) {
		goldentest.Compare(t, fmt.Sprintf("x after step %d", step), x.Data, wantX[step*size:][:size], c.bound(t, name+"/x"))
		step++
	}}
	r := &runState{Pipeline: p, req: req, sampler: s, timings: Timings{}}
	d, err := p.newDenoiser(images, run.Height/p.Factor(), run.Width/p.Factor(), run.GuidanceScale != 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, prompt := range run.Prompts {
		texts, err := p.encode(ctx, []string{prompt, ""}, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		half := len(texts.Data) / 2
		d.condition(i, texts.Data[:half], texts.Data[half:], run.GuidanceScale)
	}
	if err := d.prepare(ctx); err != nil {
		t.Fatal(err)
	}
	start, shape := f.Floats(name + "/x_T")
	wantEps, _ := f.Floats(name + "/eps")
	for i, timestep := range run.Timesteps {
		x, eps := start, make([]float32, size)
		if i > 0 {
			x = wantX[(i-1)*size:][:size]
		}
		if err := d.evaluate(ctx, x, timestep, eps); err != nil {
			t.Fatal(err)
		}
		goldentest.Compare(t, fmt.Sprintf("eps of step %d", i), eps, wantEps[i*size:][:size], c.bound(t, name+"/eps", "unet/eps"))
	}
	latents := tensor.Array{Shape: shape, Data: slices.Clone(start)}
	var noise []float32
	if f.Has(name + "/noise") {
		noise, _ = f.Floats(name + "/noise")
	}
	draw := func(z []float32) {
		copy(z, noise[:len(z)])
		noise = noise[len(z):]
	}
	if err := r.sample(ctx, d, latents, draw); err != nil {
		t.Fatal(err)
	}
	if step != run.Steps {
		t.Errorf("%d steps, want %d", step, run.Steps)
	}
	goldenDecode(t, p, f, c, name, latents)
}

// goldenDecode compares the decoded latents of a run and their pictures.
func goldenDecode(t *testing.T, p *Pipeline, f *goldentest.Folder, c *text2img, name string, latents tensor.Array) {
	d, err := p.newDecoder(latents.Shape[2], latents.Shape[3])
	if err != nil {
		t.Fatal(err)
	}
	want := golden(f, name+"/decoded")
	size, pixels := len(latents.Data)/latents.Shape[0], len(want.Data)/latents.Shape[0]
	for i := range latents.Shape[0] {
		got, err := d.decode(context.Background(), latents.Data[i*size:][:size])
		if err != nil {
			t.Fatal(err)
		}
		goldentest.Compare(t, "decoded", got.Data, want.Data[i*pixels:][:pixels], c.bound(t, name+"/decoded"))
		picture, err := imageio.FromFloats(got.Data, got.Shape[1], got.Shape[2])
		if err != nil {
			t.Fatal(err)
		}
		file := name + ".png"
		if latents.Shape[0] > 1 {
			file = fmt.Sprintf("%s_%d.png", name, i)
		}
		reference, err := imageio.DecodeFile(f.Path(file))
		if err != nil {
			t.Fatal(err)
		}
		if psnr, err := imageio.PSNR(picture, reference); err != nil || psnr < 60 {
			t.Errorf("%s: PSNR %.1f dB (%v), want at least 60", file, psnr, err)
		}
	}
}
