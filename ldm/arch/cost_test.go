package arch

import (
	"math"
	"testing"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/firststage"
	"ldm-mac/ldm/tensor"
	"ldm-mac/ldm/unet"
)

// unetGraph is one evaluation of the U-Net.
func unetGraph(t testing.TB, n *Networks, batch, side int) *tensor.Graph {
	t.Helper()
	u, err := unet.New(&n.UNet)
	if err != nil {
		t.Fatal(err)
	}
	g, c := tensor.NewGraph(), &n.UNet
	in := unet.Inputs{X: g.Input("x", batch, side, side, c.InChannels), Sinusoids: g.Input("sinusoids", batch, c.BlockOutChannels[0])}
	if n.Tokens > 0 {
		in.Cond = g.Input("cond", batch, n.Tokens, c.CrossAttentionDim[0])
	}
	if c.NumClassEmbeds != nil {
		in.Label = g.Input("label", 1, 4*c.BlockOutChannels[0])
	}
	g.Output("out", u.Forward(in))
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
	}{{"txt2img-large", 32, 364.1}, {"stable-diffusion-1.5", 64, 1606.5}} {
		networks, err := Find(c.name)
		if err != nil {
			t.Fatal(err)
		}
		got := float64(unetGraph(t, &networks, 2, c.side).Cost().FLOPs) / 1e9
		t.Logf("%s at %dx%d, batch 2: %.1f GFLOP", c.name, c.side, c.side, got)
		if math.Abs(got/c.gflop-1) > 0.01 {
			t.Errorf("%s at %dx%d, batch 2: %.1f GFLOP, want %.1f within 1 %%", c.name, c.side, c.side, got, c.gflop)
		}
	}
}

// compare checks a number of parameters against one in millions.
func compare(t *testing.T, name string, parameters int, want float64) {
	t.Helper()
	got := float64(parameters) / 1e6
	t.Logf("%-40s %8.2f M parameters, want %8.2f M", name, got, want)
	if math.Abs(got-want) > 1e-3*want {
		t.Errorf("%s: %.2f M parameters, want %.2f M within 0.1 %%", name, got, want)
	}
}

// Parameters of the published first stages, counted from CompVis' constructors without this
// project's code.
func TestFirstStageParameters(t *testing.T) {
	want := map[string]float64{
		"kl-f4": 55.31, "kl-f8": 83.65, "kl-f16": 69.61, "kl-f32": 103.88, "vq-f4": 55.32,
		"vq-f4-noattn": 53.22, "vq-f8": 67.72, "vq-f8-n256": 67.65, "vq-f16": 69.59,
	}
	for _, a := range autoencoders {
		c := a.config()
		stage, err := firststage.New(&c)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		checkpoint.Walk(stage, func(_ string, w *tensor.Weight) { n += w.Shape.Elements() })
		compare(t, a.name, n, want[a.name])
	}
}

// Parameters of the published systems, counted from CompVis' constructors without this project's
// code; Rombach et al. 2022, tables 12 to 15, has some of them in whole millions. Those of Stable
// Diffusion are what its own programs report.
func TestParameters(t *testing.T) {
	const classes, rescaler = 0.512, 0.000546
	want := map[string]struct{ unet, condition, firstStage float64 }{
		"txt2img-large": {872.30, 542.90, 83.65}, "text2img256": {403.62, 166.59, 55.32},
		"cin256": {394.98, classes, 67.72}, "cin256-v2": {400.92, classes, 55.32},
		"celeba256": {274.06, 0, 55.32}, "ffhq256": {274.06, 0, 55.32}, "lsun_beds256": {274.06, 0, 55.32}, "lsun_churches256": {294.97, 0, 83.65},
		"bsr_sr": {113.62, 0, 55.32}, "inpainting_big": {387.25, 0, 53.22}, "layout2img-openimages256": {246.28, 54.66, 55.32},
		"semantic_synthesis256": {215.23, rescaler, 55.32}, "semantic_synthesis512": {215.23, rescaler, 55.32},
		"stable-diffusion-1.5": {859.52, 123.06, 83.65}, "stable-diffusion-2.1": {865.91, 340.39, 83.65},
		"stable-diffusion-inpainting": {859.54, 123.06, 83.65}, "stable-diffusion-x4-upscaler": {473.40, 340.39, 55.33},
	}
	for _, name := range Names() {
		got, err := CountParameters(name)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, name+", U-Net", got.UNet, want[name].unet)
		compare(t, name+", condition", got.Condition, want[name].condition)
		compare(t, name+", first stage", got.FirstStage, want[name].firstStage)
	}
}

// Every architecture's networks fit together, and to the size that they were trained at.
func TestNetworks(t *testing.T) {
	for _, a := range architectures() {
		n := &a.networks
		side := n.UNet.SampleSize
		if side%n.UNet.Multiple() != 0 {
			t.Errorf("%s: size %d is no multiple of %d", a.name, side, n.UNet.Multiple())
		}
		unetGraph(t, n, 1, side)
		if out, z := n.UNet.OutChannels, n.FirstStage.Channels(); out != z {
			t.Errorf("%s: the U-Net gives %d channels, latents have %d", a.name, out, z)
		}
		if a.bert != nil && (a.bert.Width != n.UNet.CrossAttentionDim[0] || a.bert.MaxPositions != n.Tokens) {
			t.Errorf("%s: %d tokens of width %d are encoded, %d of width %d read", a.name,
				a.bert.MaxPositions, a.bert.Width, n.Tokens, n.UNet.CrossAttentionDim[0])
		}
		if a.clip != nil && (a.clip.Width != n.UNet.CrossAttentionDim[0] || a.clip.MaxPositions != n.Tokens) {
			t.Errorf("%s: %d tokens of width %d are encoded, %d of width %d read", a.name,
				a.clip.MaxPositions, a.clip.Width, n.Tokens, n.UNet.CrossAttentionDim[0])
		}
		if a.classes != nil && (a.classes.EmbedDim != n.UNet.CrossAttentionDim[0] || n.Tokens != 1) {
			t.Errorf("%s: a class is one token of width %d, %d of width %d are read", a.name, a.classes.EmbedDim, n.Tokens, n.UNet.CrossAttentionDim[0])
		}
		if a.rescaler != nil && n.UNet.InChannels != n.UNet.OutChannels+a.rescaler.OutChannels {
			t.Errorf("%s: %d channels in, %d of them of latents and %d of the label map", a.name, n.UNet.InChannels, n.UNet.OutChannels, a.rescaler.OutChannels)
		}
		if a.about == "" || a.betas[0] == 0 {
			t.Errorf("%s is not described", a.name)
		}
	}
}
