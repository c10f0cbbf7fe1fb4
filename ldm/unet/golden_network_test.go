package unet

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ldm-mac/ldm/cpu"
	"ldm-mac/ldm/goldentest"
	"ldm-mac/ldm/tensor"
)

// fixtures have a U-Net of diffusers, with outputs and results of blocks.
var fixtures = []string{"text2img-tiny", "uncond-tiny", "superres-tiny", "sd-tiny", "sd2-v-tiny", "sd-inpaint-tiny"}

// golden is the U-Net of a fixture and what it was evaluated on.
type golden struct {
	*goldentest.Folder `json:"-"`
	Timesteps          []float64         `json:"unet_t"`
	Mixed              []float64         `json:"unet_mixed_t"` // one for each image of a batch
	Errors             goldentest.Errors `json:"fp32_vs_float64"`

	config Config
	model  *UNet
	x      tensor.Array
	cond   tensor.Array // without data in a fixture without a condition
	out    string       // "unet/eps" or "unet/out"
}

func open(t *testing.T, name string) *golden {
	t.Helper()
	f := &golden{config: DefaultConfig()}
	f.Folder = goldentest.Open(t, name, f)
	f.Network("unet", &f.config, func() (any, error) {
		var err error
		f.model, err = New(&f.config)
		return f.model, err
	})
	input := "unet/latent"
	if f.config.ClassName == Unconditional {
		input = "unet/input"
	} else {
		f.cond = f.Array("unet/context")
	}
	f.x = f.Array(input)
	if f.out = "unet/eps"; !f.Has("unet/eps_t0") && f.Has("unet/out_t0") {
		f.out = "unet/out"
	}
	return f
}

// inputs are what an evaluation at the time steps reads.
func (f *golden) inputs(x, cond tensor.Array, timesteps []float64) map[string]tensor.Array {
	sinusoids := tensor.NewArray(len(timesteps), f.config.BlockOutChannels[0])
	TimestepEmbedding(sinusoids.Data, timesteps, sinusoids.Shape[1], f.config.FlipSinToCos, f.config.FreqShift)
	in := map[string]tensor.Array{"x": x, "sinusoids": sinusoids}
	if cond.Data != nil {
		in["cond"] = cond
	}
	return in
}

// build adds the network on inputs in to g.
func (f *golden) build(g *tensor.Graph, in map[string]tensor.Array) {
	inputs := Inputs{X: g.Input("x", in["x"].Shape...), Sinusoids: g.Input("sinusoids", in["sinusoids"].Shape...)}
	if cond, ok := in["cond"]; ok {
		inputs.Cond = g.Input("cond", cond.Shape...)
	}
	g.Output("out", f.model.Forward(inputs))
}

func TestGoldenUNet(t *testing.T) {
	backend := cpu.New(0)
	defer backend.Close()
	for _, name := range fixtures {
		t.Run(name, func(t *testing.T) {
			f := open(t, name)
			evaluate := func(timesteps []float64) []float32 {
				in := f.inputs(f.x, f.cond, timesteps)
				return goldentest.Run(t, backend, in, func(g *tensor.Graph) { f.build(g, in) })["out"].Data
			}
			cases := 0
			for _, timestep := range f.Timesteps {
				name := fmt.Sprintf("%s_t%g", f.out, timestep)
				got := evaluate(slices.Repeat([]float64{timestep}, f.x.Shape[0]))
				goldentest.Compare(t, name, got, f.Array(name).Data, f.Errors.Bound(t, name, f.out))
				if !slices.Equal(evaluate([]float64{timestep}), got) {
					t.Errorf("%s: one row of sinusoids for all images gives another result", name)
				}
				cases++
			}
			if f.Mixed != nil {
				name := f.out + "_mixed_t"
				goldentest.Compare(t, name, evaluate(f.Mixed), f.Array(name).Data, f.Errors.Bound(t, f.out))
				cases++
			}
			f.Count(cases)
		})
	}
}

var hook = regexp.MustCompile(`^unet(\d+)/(.*)$`)

// The results of blocks in one pass on the first image.
func TestGoldenUNetBlocks(t *testing.T) {
	backend := cpu.New(0)
	defer backend.Close()
	for _, name := range fixtures {
		t.Run(name, func(t *testing.T) {
			f := open(t, name)
			cond := f.cond
			if cond.Data != nil {
				cond = goldentest.First(cond)
			}
			cases, passes := 0, map[float64]map[string]tensor.Array{}
			for _, name := range f.Names() {
				m := hook.FindStringSubmatch(name)
				if m == nil {
					continue
				}
				var timestep float64
				fmt.Sscan(m[1], &timestep)
				nodes := passes[timestep]
				if nodes == nil {
					in := f.inputs(goldentest.First(f.x), cond, []float64{timestep})
					nodes = goldentest.Observe(t, backend, in, func(g *tensor.Graph) { f.build(g, in) })
					nodes["sinusoids"] = in["sinusoids"]
					passes[timestep] = nodes
				}
				got, ok := block(nodes, m[2])
				if !ok {
					t.Errorf("no node is %q", name)
					continue
				}
				goldentest.Compare(t, name, got.Data, f.Array(name).Data, f.Errors.Bound(t, name, f.out))
				cases++
			}
			f.Count(cases)
		})
	}
}

// block finds the node of a block that a fixture names, such as "down0.attn1.ff".
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
	return goldentest.LastOf(nodes, strings.Join(parts, "."))
}
