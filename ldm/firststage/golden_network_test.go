package firststage

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"ldm-mac/ldm/cpu"
	"ldm-mac/ldm/goldentest"
	"ldm-mac/ldm/tensor"
)

// golden is the first stage of a fixture.
type golden struct {
	*goldentest.Folder `json:"-"`
	Pipeline           string            `json:"pipeline"`
	Errors             goldentest.Errors `json:"fp32_vs_float64"`

	config Config
	model  *FirstStage
}

func open(t *testing.T, name, component string) *golden {
	t.Helper()
	f := &golden{config: DefaultConfig()}
	f.Folder = goldentest.Open(t, name, f)
	f.Network(component, &f.config, func() (any, error) {
		var err error
		f.model, err = New(&f.config)
		return f.model, err
	})
	return f
}

func (f *golden) encode(t *testing.T, picture tensor.Array) []float32 {
	t.Helper()
	return run(t, picture, f.model.Encode)
}

func (f *golden) decode(t *testing.T, z tensor.Array) []float32 {
	t.Helper()
	return run(t, z, f.model.Decode)
}

func run(t *testing.T, in tensor.Array, build func(x *tensor.Tensor) *tensor.Tensor) []float32 {
	t.Helper()
	backend := cpu.New(0)
	t.Cleanup(func() { backend.Close() })
	return goldentest.Run(t, backend, map[string]tensor.Array{"in": in}, func(g *tensor.Graph) {
		g.Output("out", build(g.Input("in", in.Shape...)))
	})["out"].Data
}

func TestGoldenVAE(t *testing.T) {
	f := open(t, "text2img-tiny", "vqvae")
	compare := func(name, stage string, got []float32) {
		goldentest.Compare(t, name, got, f.Array(name).Data, f.Errors.Bound(t, name, stage))
	}
	moments := f.encode(t, f.Array("vae/image"))
	compare("vae/moments", "vae/moments", moments)
	mean, std := Moments(moments, f.config.Channels())
	compare("vae/mean", "vae/moments", mean)
	compare("vae/std", "vae/moments", std)
	sample := f.Array("vae/sample_noise")
	for i, z := range sample.Data {
		sample.Data[i] = mean[i] + std[i]*z
	}
	compare("vae/sample", "vae/moments", sample.Data)
	compare("vae/reconstruction", "vae/reconstruction", f.decode(t, tensor.Array{Shape: sample.Shape, Data: mean}))
	f.Count(5)
}

var vaeBlock = regexp.MustCompile(`^vae/(enc|dec)\.(.*)$`)

func TestGoldenVAEBlocks(t *testing.T) {
	f := open(t, "text2img-tiny", "vqvae")
	backend := cpu.New(0)
	defer backend.Close()
	in := map[string]tensor.Array{"x": f.Array("vae/image"), "z": f.Array("vae/mean")}
	nodes := goldentest.Observe(t, backend, in, func(g *tensor.Graph) {
		f.model.Encode(g.Input("x", in["x"].Shape...))
		f.model.Decode(g.Input("z", in["z"].Shape...))
	})
	halves := map[string]string{"enc": "encoder", "dec": "decoder"}
	stages := map[string]string{"enc": "vae/moments", "dec": "vae/reconstruction"}
	cases := 0
	for _, name := range f.Names() {
		m := vaeBlock.FindStringSubmatch(name)
		if m == nil {
			continue
		}
		module := strings.Replace(strings.Replace(m[2], "down", "down_blocks.", 1), "mid", "mid_block", 1)
		got, ok := goldentest.LastOf(nodes, halves[m[1]]+"."+module)
		if !ok {
			t.Errorf("no node is %q", name)
			continue
		}
		goldentest.Compare(t, name, got.Data, f.Array(name).Data, f.Errors.Bound(t, name, stages[m[1]]))
		cases++
	}
	f.Count(cases)
}

// The last latents of the runs of Stable Diffusion pipelines, decoded and clamped to 0..1.
func TestGoldenStableDiffusionDecoder(t *testing.T) {
	for _, name := range []string{"sd-tiny", "sd2-v-tiny", "sd-inpaint-tiny"} {
		t.Run(name, func(t *testing.T) {
			f := open(t, name, "vae")
			cases := 0
			for _, name := range f.Names() {
				run, ok := strings.CutSuffix(name, "/decoded01")
				if !ok {
					continue
				}
				image := f.decode(t, f.last(run, f.config.ScalingFactor))
				for i, v := range image {
					image[i] = min(max(v/2+0.5, 0), 1)
				}
				goldentest.Compare(t, name, image, f.Array(name).Data, f.Errors.Bound(t, name))
				cases++
			}
			f.Count(cases)
		})
	}
}

// last are the latents at the end of a run as the encoder makes them.
func (f *golden) last(run string, scale float64) tensor.Array {
	values, shape := f.Floats(run + "/x") // [steps, n, c, h, w]
	shape = shape[1:]
	z := goldentest.ChannelsLast(values[len(values)-shape.Elements():], shape)
	for i := range z.Data {
		z.Data[i] /= float32(scale)
	}
	return z
}

// nearTie is the gap below which another computation in float32 may take the neighbouring code
// (the fixtures' README).
const nearTie = 1e-4

// quantize compares the codes of latents, and their gaps, with those recorded under a name.
func (f *golden) quantize(t *testing.T, name string, latents []float32) {
	t.Helper()
	book, err := f.model.Codebook()
	if err != nil {
		t.Fatal(err)
	}
	codes, gaps, err := book.Quantize(latents)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := f.Ints(name + "/code_indices")
	wantGaps, _ := f.Floats(name + "/code_gap")
	if len(codes) != len(want) {
		t.Fatalf("%s: %d codes, want %d", name, len(codes), len(want))
	}
	for i, gap := range wantGaps {
		if int64(codes[i]) != want[i] && gap >= nearTie {
			t.Errorf("%s: code %d is %d, want %d with a gap of %g", name, i, codes[i], want[i], gap)
		}
		// Latents that differ by the bound on their error move a gap by little more.
		if diff := gaps[i] - wantGaps[i]; max(diff, -diff) > 1e-2*wantGaps[i]+nearTie {
			t.Errorf("%s: gap %d is %g, want %g", name, i, gaps[i], gap)
		}
	}
}

func TestGoldenVQ(t *testing.T) {
	for _, name := range []string{"uncond-tiny", "superres-tiny"} {
		t.Run(name, func(t *testing.T) {
			f := open(t, name, "vqvae")
			compare := func(name, stage string, got []float32) {
				t.Helper()
				goldentest.Compare(t, name, got, f.Array(name).Data, f.Errors.Bound(t, name, stage))
			}
			latents := f.encode(t, f.Array("vq/image"))
			compare("vq/latents", "vq/latents", latents)
			f.quantize(t, "vq", latents)
			compare("vq/decoded_not_quantized", "vq/decoded", f.decode(t, f.Array("vq/latents")))
			quantized := f.lookup(t, "vq")
			// It was computed as z + (code - z), which rounds.
			goldentest.Compare(t, "vq/quantized", quantized.Data, f.Array("vq/quantized").Data, goldentest.Bound(0))
			cases := 4
			for _, name := range f.Names() {
				run, ok := strings.CutSuffix(name, "/code_indices")
				if !ok {
					continue
				}
				if run != "vq" {
					scale := 1.0 // what a pipeline divides by: of these two only this one does
					if f.Pipeline == "LDMPipeline" {
						scale = f.config.ScalingFactor
					}
					f.quantize(t, run, f.last(run, scale).Data)
				}
				if f.Has(run + "/decoded") {
					compare(run+"/decoded", run+"/decoded", f.decode(t, f.lookup(t, run)))
				}
				cases++
			}
			f.Count(cases)
		})
	}
}

// lookup are the latents of the recorded codes.
func (f *golden) lookup(t *testing.T, name string) tensor.Array {
	t.Helper()
	indices, shape := f.Ints(name + "/code_indices") // [n, h, w]
	codes := make([]int32, len(indices))
	for i, c := range indices {
		codes[i] = int32(c)
	}
	book, err := f.model.Codebook()
	if err != nil {
		t.Fatal(err)
	}
	z := tensor.NewArray(shape[0], shape[1], shape[2], f.config.Channels())
	if err := book.Lookup(z.Data, codes); err != nil {
		t.Fatal(err)
	}
	return z
}

// Two codes of the table are equal.
func TestGoldenVQTies(t *testing.T) {
	var fixture struct {
		Cases []json.RawMessage `json:"cases"`
	}
	f := goldentest.Open(t, "ops", &fixture)
	values, shape := f.Floats("vq/in_codebook")
	book, err := (&FirstStage{Codes: tensor.WeightOf("codebook", values, shape...)}).Codebook()
	if err != nil {
		t.Fatal(err)
	}
	z, _ := f.Floats("vq/in_z")
	codes, gaps, err := book.Quantize(z)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := f.Ints("vq/out")
	for i, code := range want {
		if int64(codes[i]) != code {
			t.Errorf("pixel %d has code %d, want %d", i, codes[i], code)
		}
	}
	if codes[20] != 4 || gaps[20] != 0 {
		t.Errorf("the vector of codes 4 and 9 has code %d and a gap of %g, want the first and 0", codes[20], gaps[20])
	}
	f.Count(len(want))
}
