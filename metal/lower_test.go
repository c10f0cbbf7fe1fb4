//go:build softmetal && linux && cgo

package metal_test

import (
	"fmt"
	"math"
	"testing"

	"ldm-mac/bridge"
	"ldm-mac/ldm/tensor"
	"ldm-mac/ldm/unet"
	"ldm-mac/metal"
)

// ramp is an array, and weight a parameter, of distinct values: sines, which for a weight are divided
// by the square root of its fan-in.
func ramp(shape ...int) tensor.Array {
	a := tensor.NewArray(shape...)
	for i := range a.Data {
		a.Data[i] = float32(math.Sin(float64(i + 1)))
	}
	return a
}

func weight(shape ...int) *tensor.Weight {
	values := ramp(shape...).Data
	fan := tensor.Shape(shape[1:]).Elements()
	for i := range values {
		values[i] /= float32(math.Sqrt(float64(fan)))
	}
	return tensor.WeightOf("w", values, shape...)
}

// block is a residual block and a transformer block, small.
func block(dtype tensor.DType) *tensor.Graph {
	const c = 32
	g := tensor.NewGraphOf(dtype)
	x, cond := g.Input("x", 2, 4, 4, c), g.Input("cond", 2, 5, 24)
	norm := func(x *tensor.Tensor) *tensor.Tensor { return tensor.GroupNorm(x, weight(c), weight(c), 8, 1e-5) }
	conv := func(x *tensor.Tensor) *tensor.Tensor {
		return tensor.Conv2D(x, weight(c, c, 3, 3), weight(c), 1, tensor.Same(3))
	}
	h := tensor.Add(conv(tensor.SiLU(norm(x))), tensor.Reshape(tensor.Linear(g.Input("time", 2, 16), weight(c, 16), weight(c)), 2, 1, 1, c))
	h = tensor.Add(x, conv(tensor.SiLU(norm(h))))
	tokens := tensor.Reshape(h, 2, 16, c)
	for i, context := range []*tensor.Tensor{nil, cond} {
		y := tensor.LayerNorm(tokens, weight(c), weight(c), 1e-5)
		if context == nil {
			context = y
		}
		width := context.Shape.Last()
		k, v := tensor.Linear(context, weight(c, width), nil), tensor.Linear(context, weight(c, width), nil)
		y = tensor.Attention(fmt.Sprint("attention", i), tensor.Linear(y, weight(c, c), nil), k, v, 4, 0.35, false)
		tokens = tensor.Add(tensor.Linear(y, weight(c, c), weight(c)), tokens)
	}
	y := tensor.Linear(tensor.LayerNorm(tokens, weight(c), weight(c), 1e-5), weight(8*c, c), weight(8*c))
	y = tensor.Mul(tensor.Slice(y, 2, 0, 4*c), tensor.GELU(tensor.Slice(y, 2, 4*c, 8*c)))
	tokens = tensor.Add(tensor.Linear(y, weight(c, 4*c), weight(c)), tokens)
	g.Output("y", tensor.Upsample(tensor.Reshape(tokens, 2, 4, 4, c)))
	return g
}

// uNet is a U-Net of Stable Diffusion's shape for a batch of two; its weights have no data.
func uNet(t *testing.T, size, heads, context int) *tensor.Graph {
	t.Helper()
	c := unet.DefaultConfig()
	c.CrossAttentionDim = []int{context}
	c.AttentionHeadDim = []int{heads} // the number of heads, in spite of its name
	u, err := unet.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	g := tensor.NewGraph()
	g.Output("out", u.Forward(unet.Inputs{X: g.Input("x", 2, size, size, 4), Sinusoids: g.Input("sinusoids", 2, 320), Cond: g.Input("cond", 2, 77, context)}))
	if err := g.Err(); err != nil {
		t.Fatal(err)
	}
	return g
}

// TestPlan holds the plans of published networks to the limits that the backend is built for.
func TestPlan(t *testing.T) {
	for _, c := range []struct {
		name             string
		size, d, context int
	}{
		{"txt2img-large at 32×32", 32, 8, 1280}, {"txt2img-large at 64×64", 64, 8, 1280}, {"SD 1.5 at 64×64", 64, 8, 768},
	} {
		for _, chip := range []string{"applegpu_g13g", "applegpu_g13s", "applegpu_g13d"} {
			once, g := uNet(t, c.size, c.d, c.context).Hoist("cond")
			info := bridge.Info{Architecture: chip, HeapAlignment: 256}
			p, err := metal.PlanOf(g, metal.Options{DType: tensor.F16}, info)
			if err != nil {
				t.Fatal(err)
			}
			before, err := metal.PlanOf(once, metal.Options{DType: tensor.F16}, info)
			if err != nil {
				t.Fatal(err)
			}
			flops, bytes := float64(p.FLOPs)/float64(p.NeededFLOPs), float64(p.Bytes)/float64(p.MinBytes)
			peak := float64(p.Peak) / float64(p.MinPeak)
			t.Logf("%s, %s: %d launches, %d graphs, %.1f GFLOP (%.3f of needed), %.0f MB moved (%.3f of least), peak %.1f MB (%.3f); before, %.1f GFLOP",
				c.name, chip, p.Launches, p.Graphs, float64(p.FLOPs)/1e9, flops, float64(p.Bytes)/1e6, bytes, float64(p.Peak)/1e6, peak, float64(before.FLOPs)/1e9)
			if flops > 1.05 || bytes > 1.5 || peak > 1.1 || p.CommandBuffers != 1 || p.Waits != 1 {
				t.Errorf("%s, %s: %+v", c.name, chip, p)
			}
		}
	}
}
