//go:build softmetal && linux && cgo

package metal_test

import (
	"context"
	"maps"
	"testing"

	"ldm-mac/bridge/softmetal"
	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/cpu"
	"ldm-mac/ldm/goldentest"
	"ldm-mac/ldm/tensor"
	"ldm-mac/ldm/tensor/tensortest"
	"ldm-mac/ldm/unet"
	"ldm-mac/metal"
)

// golden is the tiny U-Net of the fixture as a graph, and inputs for it.
func golden(t *testing.T) (*tensor.Graph, map[string]tensor.Array) {
	t.Helper()
	var fixture struct {
		Timesteps []float64 `json:"unet_t"`
	}
	f := goldentest.Open(t, "text2img-tiny", &fixture)
	folder, err := checkpoint.OpenFolder(f.Path("model"))
	if err != nil {
		t.Fatal(err)
	}
	c := unet.DefaultConfig()
	if err := folder.Config("unet", &c); err != nil {
		t.Fatal(err)
	}
	u, err := unet.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	weights, err := folder.Weights("unet")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { weights.Close() })
	if err := checkpoint.Bind(u, weights, ""); err != nil {
		t.Fatal(err)
	}
	values, s := f.Floats("unet/latent") // [n, c, h, w]
	latent := tensor.NewArray(s[0], s[2], s[3], s[1])
	pixels := s[2] * s[3]
	for i := range latent.Data {
		n, pixel, channel := i/(pixels*s[1]), i/s[1]%pixels, i%s[1]
		latent.Data[i] = values[(n*s[1]+channel)*pixels+pixel]
	}
	cond := tensor.Array{}
	cond.Data, cond.Shape = f.Floats("unet/context")
	sinusoids := tensor.NewArray(s[0], c.BlockOutChannels[0])
	timesteps := make([]float64, s[0])
	for i := range timesteps {
		timesteps[i] = fixture.Timesteps[0]
	}
	unet.TimestepEmbedding(sinusoids.Data, timesteps, sinusoids.Shape[1], c.FlipSinToCos, c.FreqShift)
	g := tensor.NewGraph()
	g.Output("y", u.Forward(unet.Inputs{X: g.Input("x", latent.Shape...), Sinusoids: g.Input("sinusoids", sinusoids.Shape...), Cond: g.Input("cond", cond.Shape...)}))
	return g, map[string]tensor.Array{"x": latent, "sinusoids": sinusoids, "cond": cond}
}

// TestGoldenUNet computes the fixture's U-Net as one program, and as two of which the second is bound
// to the first, and compares with the CPU.
func TestGoldenUNet(t *testing.T) {
	g, in := golden(t)
	oracle := cpu.New(1)
	defer oracle.Close()
	want := run(t, compile(t, oracle, g), in)
	for seed, c := range []struct {
		dtype tensor.DType
		bound float64 // of the relative maximum error
	}{
		{tensor.F32, 1e-4}, // what the project asks of fp32
		// About 200 results in a row are rounded to 2⁻¹¹ of themselves; independent roundings add up to
		// √200·2⁻¹² = 0.0035, the largest of the output's few hundred errors to 3 times that.
		{tensor.F16, 1e-2},
	} {
		t.Run(c.dtype.String(), func(t *testing.T) {
			configure(t, func(s *softmetal.Settings) { s.Seed = seed + 1 })
			b := open(t, metal.Options{DType: c.dtype, Notice: func(text string) { t.Error(text) }})
			whole := run(t, compile(t, b, g), in)
			goldentest.Compare(t, "y", whole, want, c.bound)
			if t.Failed() {
				node, nmse, err := tensortest.Diverge(context.Background(), b, oracle, g, in, c.bound*c.bound)
				t.Logf("the first node that differs is %q, with an error of %g (%v)", node, nmse, err)
			}

			once, rest := g.Hoist("cond")
			first, second := compile(t, b, once), compile(t, b, rest)
			if _, err := first.Run(context.Background(), map[string]tensor.Array{"cond": in["cond"]}); err != nil {
				t.Fatal(err)
			}
			for _, o := range once.Outputs() {
				if err := second.Bind(o.Name, first, o.Name); err != nil {
					t.Fatal(err)
				}
			}
			own := maps.Clone(in)
			delete(own, "cond")
			for range 2 {
				goldentest.Compare(t, "y of the bound program", run(t, second, own), want, c.bound)
			}
		})
	}
}
