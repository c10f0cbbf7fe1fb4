package arch

import (
	"math"
	"testing"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/cond"
	"ldm-mac/ldm/firststage"
	"ldm-mac/ldm/tensor"
	"ldm-mac/ldm/unet"
)

// unetGraph is one evaluation of the U-Net on 77 tokens.
func unetGraph(t testing.TB, c *unet.Config, batch, side int) *tensor.Graph {
	t.Helper()
	u, err := unet.New(c)
	if err != nil {
		t.Fatal(err)
	}
	g := tensor.NewGraph()
	x, s := g.Input("x", batch, side, side, c.InChannels), g.Input("sinusoids", batch, c.BlockOutChannels[0])
	g.Output("out", u.Forward(x, s, g.Input("cond", batch, 77, c.CrossAttentionDim[0])))
	if g.Err() != nil {
		t.Fatal(g.Err())
	}
	return g
}

// The operations of one evaluation, counted independently for the performance notes of this
// project: a multiply-add is two.
func TestCost(t *testing.T) {
	for _, c := range []struct {
		name  string
		side  int
		gflop float64
	}{{"txt2img-large", 32, 364.1}, {stableDiffusion, 64, 1606.5}} {
		networks, err := Find(c.name)
		if err != nil {
			t.Fatal(err)
		}
		got := float64(unetGraph(t, &networks.UNet, 2, c.side).Cost().FLOPs) / 1e9
		t.Logf("%s at %dx%d, batch 2: %.1f GFLOP", c.name, c.side, c.side, got)
		if math.Abs(got/c.gflop-1) > 0.01 {
			t.Errorf("%s at %dx%d, batch 2: %.1f GFLOP, want %.1f within 1 %%", c.name, c.side, c.side, got, c.gflop)
		}
	}
}

// Parameters of the published model (Rombach et al. 2022, table 15, and CompVis' own counts).
func TestParameters(t *testing.T) {
	a := txt2imgLarge()
	u, err1 := unet.New(&a.unet)
	v, err2 := firststage.New(&a.vae)
	b, err3 := cond.NewBERT(&a.bert)
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	for _, c := range []struct {
		name     string
		model    any
		millions float64
	}{{"U-Net", u, 872.30}, {"first stage", v, 83.65}, {"text encoder", b, 542.90}} {
		n := 0
		checkpoint.Walk(c.model, func(_ string, w *tensor.Weight) { n += w.Shape.Elements() })
		if got := float64(n) / 1e6; math.Abs(got-c.millions) > 0.01 {
			t.Errorf("%s: %.2f M parameters, want %.2f M", c.name, got, c.millions)
		}
	}
}
