//go:build softmetal && linux && cgo

package metal_test

import (
	"testing"

	"ldm-mac/bridge/softmetal"
	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/cond"
	"ldm-mac/ldm/goldentest"
	"ldm-mac/ldm/tensor"
	"ldm-mac/metal"
)

// TestGoldenCLIP computes the fixtures' text encoders, whose attention has a causal mask, and
// compares with the references.
func TestGoldenCLIP(t *testing.T) {
	for seed, c := range []struct {
		fixture string
		dtype   tensor.DType
		bound   float64 // of the relative maximum error
	}{
		{"sd-tiny", tensor.F32, 1e-4}, // what the project asks of fp32
		{"sd2-v-tiny", tensor.F32, 1e-4},
		// About 50 results in a row are rounded to 2⁻¹¹ of themselves; independent roundings add up to
		// √50·2⁻¹² = 0.0017, the largest of the output's several thousand errors to 4 times that.
		{"sd-tiny", tensor.F16, 7e-3},
		{"sd2-v-tiny", tensor.F16, 7e-3},
	} {
		t.Run(c.fixture+"/"+c.dtype.String(), func(t *testing.T) {
			f := goldentest.Open(t, c.fixture, new(struct{}))
			g, in := textEncoder(t, f)
			want, _ := f.Floats("text/last_hidden_state")
			configure(t, func(s *softmetal.Settings) { s.Seed = seed + 1 })
			b := open(t, metal.Options{DType: c.dtype, Notice: func(text string) { t.Error(text) }})
			goldentest.Compare(t, "cond", run(t, compile(t, b, g), in), want, c.bound)
		})
	}
}

// textEncoder is a fixture's text encoder as a graph, and its prompts.
func textEncoder(t *testing.T, f *goldentest.Folder) (*tensor.Graph, map[string]tensor.Array) {
	t.Helper()
	folder, err := checkpoint.OpenFolder(f.Path("model"))
	if err != nil {
		t.Fatal(err)
	}
	config := cond.DefaultCLIPConfig()
	if err := folder.Config("text_encoder", &config); err != nil {
		t.Fatal(err)
	}
	c, err := cond.NewCLIP(&config)
	if err != nil {
		t.Fatal(err)
	}
	weights, err := folder.Weights("text_encoder")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { weights.Close() })
	if err := checkpoint.Bind(c, weights, "", cond.CLIPUnused...); err != nil {
		t.Fatal(err)
	}
	ids, shape := f.Ints("text/ids")
	tokens := tensor.NewArray(shape[0], shape[1], c.Width())
	for i := range shape[0] {
		row := make([]int32, shape[1])
		for j := range row {
			row[j] = int32(ids[i*shape[1]+j])
		}
		size := shape[1] * c.Width()
		if err := c.Embed(tokens.Data[i*size:][:size], row); err != nil {
			t.Fatal(err)
		}
	}
	g := tensor.NewGraph()
	g.Output("y", c.Forward(g.Input("tokens", tokens.Shape...), 0))
	return g, map[string]tensor.Array{"tokens": tokens}
}
