package compvis_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/compvis"
	"ldm-mac/ldm/cpu"
	"ldm-mac/ldm/firststage"
	"ldm-mac/ldm/goldentest"
	"ldm-mac/ldm/tensor"
	"ldm-mac/ldm/unet"
)

// fixture is an original checkpoint with CompVis' own results.
type fixture struct {
	*goldentest.Folder `json:"-"`
	Files              []struct{ File string }
	Timesteps          []float64         `json:"unet_t"`
	Conditioning       string            `json:"conditioning"`
	Errors             goldentest.Errors `json:"fp32_vs_float64"`

	model *checkpoint.Folder
}

func open(t *testing.T, name string, o compvis.Options) *fixture {
	t.Helper()
	f := &fixture{}
	f.Folder = goldentest.Open(t, name, f)
	var err error
	if f.model, err = compvis.Open(filepath.Join(f.Dir, f.Files[0].File), o); err != nil {
		t.Fatal(err)
	}
	return f
}

// bind gives model its weights, which are valid until the test ends.
func (f *fixture) bind(t *testing.T, component string, model any) {
	t.Helper()
	file, err := f.model.Weights(component)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	if err := checkpoint.Bind(model, file, ""); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) unet(t *testing.T) (unet.Config, *unet.UNet) {
	t.Helper()
	config := unet.DefaultConfig()
	if err := f.model.Config("unet", &config); err != nil {
		t.Fatal(err)
	}
	model, err := unet.New(&config)
	if err != nil {
		t.Fatal(err)
	}
	f.bind(t, "unet", model)
	return config, model
}

// eps evaluates the U-Net on the fixture's latents and condition.
func (f *fixture) eps(t *testing.T, backend tensor.Backend, timestep float64) []float32 {
	t.Helper()
	config, model := f.unet(t)
	sinusoids := tensor.NewArray(1, config.BlockOutChannels[0])
	unet.TimestepEmbedding(sinusoids.Data, []float64{timestep}, sinusoids.Shape[1], config.FlipSinToCos, config.FreqShift)
	in := map[string]tensor.Array{"x": f.Array("unet/latent"), "sinusoids": sinusoids}
	if f.Conditioning != "none" {
		in["cond"] = f.Array("cond/c")
	}
	concat := strings.HasPrefix(f.Conditioning, "concatenated")
	return goldentest.Run(t, backend, in, func(g *tensor.Graph) {
		inputs := unet.Inputs{X: g.Input("x", in["x"].Shape...), Sinusoids: g.Input("sinusoids", sinusoids.Shape...)}
		if cond, ok := in["cond"]; ok {
			inputs.Cond = g.Input("cond", cond.Shape...)
		}
		if concat {
			inputs.X, inputs.Cond = tensor.Concat(3, inputs.X, inputs.Cond), nil
		}
		g.Output("out", model.Forward(inputs))
	})["out"].Data
}

func TestGoldenUNet(t *testing.T) {
	backend := cpu.New(0)
	defer backend.Close()
	for _, name := range []string{"compvis-churches", "compvis-class", "compvis-inpaint", "compvis-layout", "compvis-semantic", "compvis-txt2img"} {
		t.Run(name, func(t *testing.T) {
			f := open(t, name, compvis.Options{})
			for _, timestep := range f.Timesteps {
				want := fmt.Sprintf("unet/eps_t%g", timestep)
				goldentest.Compare(t, want, f.eps(t, backend, timestep), f.Array(want).Data, f.Errors.Bound(t, "unet/eps"))
			}
			if raw := "unet/eps_t501_of_raw_weights"; f.Has(raw) {
				r := open(t, name, compvis.Options{RawWeights: true})
				goldentest.Compare(t, raw, r.eps(t, backend, 501), r.Array(raw).Data, r.Errors.Bound(t, "unet/eps"))
			}
			f.Count(len(f.Timesteps))
		})
	}
}

// TestGoldenFirstStage decodes the codes that CompVis chose.
func TestGoldenFirstStage(t *testing.T) {
	backend := cpu.New(0)
	defer backend.Close()
	for _, name := range []string{"compvis-class", "compvis-inpaint", "compvis-layout", "compvis-semantic"} {
		t.Run(name, func(t *testing.T) {
			f := open(t, name, compvis.Options{})
			config := firststage.DefaultConfig()
			if err := f.model.Config("vqvae", &config); err != nil {
				t.Fatal(err)
			}
			model, err := firststage.New(&config)
			if err != nil {
				t.Fatal(err)
			}
			f.bind(t, "vqvae", model)
			book, err := model.Codebook()
			if err != nil {
				t.Fatal(err)
			}
			z := f.Array("first_stage/latent")
			indices, _ := f.Ints("first_stage/code_indices")
			codes := make([]int32, len(indices))
			for i, index := range indices {
				codes[i] = int32(index)
			}
			if err := book.Lookup(z.Data, codes); err != nil {
				t.Fatal(err)
			}
			got := goldentest.Run(t, backend, map[string]tensor.Array{"z": z}, func(g *tensor.Graph) {
				g.Output("out", model.Decode(g.Input("z", z.Shape...)))
			})["out"].Data
			const want = "first_stage/reconstruction"
			goldentest.Compare(t, want, got, f.Array(want).Data, f.Errors.Bound(t, want))
			f.Count(1)
		})
	}
}
