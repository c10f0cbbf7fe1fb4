package pipeline

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"ldm-mac/ldm/firststage"
	"ldm-mac/ldm/goldentest"
	"ldm-mac/ldm/imageio"
	"ldm-mac/ldm/tensor"
)

func TestGoldenVAE(t *testing.T) {
	p, f, c := openText2Img(t)
	picture := golden(f, "vae/image")
	run := func(in tensor.Array, build func(x *tensor.Tensor) *tensor.Tensor) tensor.Array {
		program, err := p.compile(&p.vae.component, func(g *tensor.Graph) { g.Output("out", build(g.Input("in", in.Shape...))) })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { program.Close() })
		out, err := program.Run(context.Background(), map[string]tensor.Array{"in": in})
		if err != nil {
			t.Fatal(err)
		}
		return out["out"]
	}
	compare := func(name, stage string, got []float32) {
		goldentest.Compare(t, name, got, golden(f, name).Data, c.bound(t, name, stage))
	}
	moments := run(picture, p.vae.model.Encode)
	compare("vae/moments", "vae/moments", moments.Data)
	mean, std := firststage.Moments(moments.Data, p.vae.config.LatentChannels)
	compare("vae/mean", "vae/moments", mean)
	compare("vae/std", "vae/moments", std)
	sample := golden(f, "vae/sample_noise")
	for i, z := range sample.Data {
		sample.Data[i] = mean[i] + std[i]*z
	}
	compare("vae/sample", "vae/moments", sample.Data)
	z := tensor.Array{Shape: sample.Shape, Data: mean}
	compare("vae/reconstruction", "vae/reconstruction", run(z, p.vae.model.Decode).Data)
	f.Count(5)
}

var vaeBlock = regexp.MustCompile(`^vae/(enc|dec)\.(.*)$`)

func TestGoldenVAEBlocks(t *testing.T) {
	p, f, c := openText2Img(t)
	picture, z := golden(f, "vae/image"), golden(f, "vae/mean")
	nodes := observe(t, p, &p.vae.component, map[string]tensor.Array{"x": picture, "z": z}, func(g *tensor.Graph) {
		p.vae.model.Encode(g.Input("x", picture.Shape...))
		p.vae.model.Decode(g.Input("z", z.Shape...))
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
		got, ok := lastOf(nodes, halves[m[1]]+"."+module)
		if !ok {
			t.Errorf("no node is %q", name)
			continue
		}
		goldentest.Compare(t, name, got.Data, golden(f, name).Data, c.bound(t, name, stages[m[1]]))
		cases++
	}
	f.Count(cases)
}

// The fixture's picture goes in as it was encoded: the reader of pictures agrees with Pillow.
func TestGoldenVAEInput(t *testing.T) {
	_, f, c := openText2Img(t)
	picture, err := imageio.DecodeFile(f.Path(c.VAEInput))
	if err != nil {
		t.Fatal(err)
	}
	want := golden(f, "vae/image")
	got := make([]float32, 0, len(want.Data))
	b := picture.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			red, green, blue, _ := picture.At(x, y).RGBA()
			for _, v := range []uint32{red, green, blue} {
				got = append(got, 2*float32(v>>8)/255-1)
			}
		}
	}
	goldentest.Compare(t, "vae/image", got, want.Data, goldentest.Bound(0))
}
