//go:build softmetal && linux && cgo

package metal_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"ldm-mac/bridge/softmetal"
	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/cpu"
	"ldm-mac/ldm/firststage"
	"ldm-mac/ldm/goldentest"
	"ldm-mac/ldm/tensor"
	"ldm-mac/ldm/unet"
	"ldm-mac/metal"
)

// small are networks with few layers of every kind that the published systems have.
func small(t *testing.T) map[string]func(*tensor.Graph) *tensor.Tensor {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	fill := func(model any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		checkpoint.Walk(model, func(name string, w *tensor.Weight) {
			values, std := make([]float32, w.Shape.Elements()), 1.0
			if len(w.Shape) > 1 {
				std = 1 / math.Sqrt(float64(w.Shape[1:].Elements()))
			}
			for i := range values {
				values[i] = float32(std * random.NormFloat64())
			}
			*w = *tensor.WeightOf(name, values, w.Shape...)
		})
	}
	nets := map[string]func(*tensor.Graph) *tensor.Tensor{}
	uNet := func(name, class string, side, tokens int, change func(c *unet.Config)) {
		c := unet.DefaultConfigOf(class)
		c.LayersPerBlock, c.NormNumGroups = unet.PerLevel{1}, 8
		change(&c)
		u, err := unet.New(&c)
		fill(u, err)
		nets[name] = func(g *tensor.Graph) *tensor.Tensor {
			in := unet.Inputs{X: g.Input("x", 2, side, side, c.InChannels), Sinusoids: g.Input("sinusoids", 1, c.BlockOutChannels[0])}
			if c.NumClassEmbeds != nil {
				in.Label = g.Input("label", 2, 4*c.BlockOutChannels[0])
			}
			if tokens > 0 {
				in.Cond = g.Input("cond", 2, tokens, c.CrossAttentionDim[0])
			}
			return u.Forward(in)
		}
	}
	uNet("U-Net with 2 heads of 24, 48 and 96, sizes changed in residual blocks", unet.Unconditional, 8, 0, func(c *unet.Config) {
		c.BlockOutChannels, c.NumAttentionHeads = []int{48, 96, 192}, unet.PerLevel{2}
		c.DownBlockTypes = []string{"AttnDownBlock2D", "AttnDownBlock2D", "ResnetDownsampleBlock2D"}
		c.UpBlockTypes = []string{"ResnetUpsampleBlock2D", "AttnUpBlock2D", "AttnUpBlock2D"}
		c.DownsampleType, c.UpsampleType, c.ResnetTimeScaleShift = "resnet", "resnet", "scale_shift"
	})
	uNet("U-Net with heads of 8 on 7x7", unet.Unconditional, 7, 0, func(c *unet.Config) {
		c.BlockOutChannels = []int{16, 32}
		c.DownBlockTypes, c.UpBlockTypes = []string{"DownBlock2D", "AttnDownBlock2D"}, []string{"AttnUpBlock2D", "UpBlock2D"}
	})
	uNet("U-Net with one head of 192 and of 384, condition of one token", unet.Conditional, 4, 1, func(c *unet.Config) {
		c.BlockOutChannels, c.AttentionHeadDim, c.CrossAttentionDim = []int{192, 384}, unet.PerLevel{1}, unet.PerLevel{40}
		c.DownBlockTypes, c.UpBlockTypes = []string{"CrossAttnDownBlock2D", "DownBlock2D"}, []string{"UpBlock2D", "CrossAttnUpBlock2D"}
	})
	uNet("U-Net with classes, whose attention is to the condition only", unet.Conditional, 8, 77, func(c *unet.Config) {
		classes := 10
		c.BlockOutChannels, c.CrossAttentionDim, c.AttentionHeadDim = []int{32, 64}, unet.PerLevel{40}, unet.PerLevel{4}
		c.DownBlockTypes, c.UpBlockTypes = []string{"CrossAttnDownBlock2D", "DownBlock2D"}, []string{"UpBlock2D", "CrossAttnUpBlock2D"}
		c.OnlyCrossAttention, c.NumClassEmbeds = unet.FlagPerLevel{true, false}, &classes
	})
	c := firststage.DefaultConfigOf(firststage.VQ)
	c.BlockOutChannels, c.NormNumGroups = []int{16, 24, 64}, 8
	c.DownBlockTypes = []string{"DownEncoderBlock2D", "DownEncoderBlock2D", "AttnDownEncoderBlock2D"}
	c.UpBlockTypes = []string{"AttnUpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"}
	stage, err := firststage.New(&c)
	fill(stage, err)
	nets["encoder of a VQ model"] = func(g *tensor.Graph) *tensor.Tensor { return stage.Encode(g.Input("x", 1, 16, 24, 3)) }
	nets["decoder of a VQ model"] = func(g *tensor.Graph) *tensor.Tensor { return stage.Decode(g.Input("z", 1, 4, 6, 3)) }
	return nets
}

// TestNetworks compares networks with the CPU. The bounds of the relative maximum error are those of
// TestGoldenUNet.
func TestNetworks(t *testing.T) {
	configure(t, func(s *softmetal.Settings) { s.Seed = 3 })
	oracle := cpu.New(1)
	defer oracle.Close()
	devices := map[float64]*metal.Backend{
		1e-4: open(t, metal.Options{DType: tensor.F32, Notice: func(text string) { t.Error(text) }}),
		1e-2: open(t, metal.Options{DType: tensor.F16, Notice: func(text string) { t.Error(text) }}),
	}
	for name, build := range small(t) {
		t.Run(name, func(t *testing.T) {
			g := tensor.NewGraph()
			g.Output("y", build(g))
			if g.Err() != nil {
				t.Fatal(g.Err())
			}
			random, in := rand.New(rand.NewPCG(3, 4)), map[string]tensor.Array{}
			for _, node := range g.Nodes() {
				if node.Op == tensor.OpInput {
					a := tensor.NewArray(node.Shape...)
					for i := range a.Data {
						a.Data[i] = float32(random.NormFloat64())
					}
					in[node.Name] = a
				}
			}
			want := run(t, compile(t, oracle, g), in)
			for bound, b := range devices {
				goldentest.Compare(t, "y", run(t, compile(t, b, g), in), want, bound)
			}
		})
	}
}
