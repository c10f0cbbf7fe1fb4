package cpu

import (
	"context"
	"fmt"
	"testing"

	"ldm-mac/ldm/tensor"
)

// random fills values with numbers in [-1, 1), the same ones at each call.
func random(values []float32) {
	state := uint32(1)
	for i := range values {
		state = state*1664525 + 1013904223 // Numerical Recipes' generator
		values[i] = float32(int32(state)) / (1 << 31)
	}
}

// weight is a weight of random numbers of about 1/√k, which keep a layer's result as large as its
// operand.
func weight(shape ...int) *tensor.Weight {
	n := tensor.Shape(shape).Elements()
	values := make([]float32, n)
	random(values)
	for i := range values {
		values[i] *= float32(shape[0]) / float32(n)
	}
	return tensor.WeightOf("", values, shape...)
}

// network builds the parts of a latent diffusion model's U-Net (Rombach et al. 2022,
// arXiv:2112.10752, appendix E).
type network struct {
	*tensor.Graph
	time, context *tensor.Tensor
}

func conv(x *tensor.Tensor, out, stride int) *tensor.Tensor {
	return tensor.Conv2D(x, weight(out, x.Shape[3], 3, 3), weight(out), stride, tensor.Same(3))
}

func linear(x *tensor.Tensor, out int) *tensor.Tensor {
	return tensor.Linear(x, weight(out, x.Shape.Last()), weight(out))
}

func norm(x *tensor.Tensor) *tensor.Tensor {
	c := x.Shape.Last()
	return tensor.GroupNorm(x, weight(c), weight(c), 32, 1e-5)
}

func (n network) resBlock(x *tensor.Tensor, out int) *tensor.Tensor {
	h := conv(tensor.SiLU(norm(x)), out, 1)
	h = tensor.Add(h, tensor.Reshape(linear(tensor.SiLU(n.time), out), x.Shape[0], 1, 1, out))
	h = conv(tensor.SiLU(norm(h)), out, 1)
	if x.Shape[3] != out {
		x = tensor.Conv2D(x, weight(out, x.Shape[3], 1, 1), weight(out), 1, tensor.Padding{})
	}
	return tensor.Add(h, x)
}

func (n network) transformer(x *tensor.Tensor) *tensor.Tensor {
	const heads = 8
	s, c := x.Shape, x.Shape[3]
	scale := float32(1) / float32(c/heads)
	attend := func(h, context *tensor.Tensor) *tensor.Tensor {
		o := tensor.Attention("attention", linear(h, c), linear(context, c), linear(context, c), heads, scale, false)
		return linear(o, c)
	}
	layerNorm := func(h *tensor.Tensor) *tensor.Tensor { return tensor.LayerNorm(h, weight(c), weight(c), 1e-5) }
	h := tensor.Reshape(linear(norm(x), c), s[0], s[1]*s[2], c)
	y := layerNorm(h)
	h = tensor.Add(h, attend(y, y))
	h = tensor.Add(h, attend(layerNorm(h), n.context))
	gate := linear(layerNorm(h), 8*c)
	y = tensor.Mul(tensor.Slice(gate, 2, 0, 4*c), tensor.GELU(tensor.Slice(gate, 2, 4*c, 8*c)))
	h = tensor.Add(h, linear(y, c))
	return tensor.Add(x, tensor.Reshape(linear(h, c), s...))
}

// unet is a U-Net with attention at all levels but the last.
func unet(images, size, width int, levels []int) *tensor.Graph {
	g := tensor.NewGraph()
	n := network{g, g.Input("time", images, 4*width), g.Input("context", images, 77, 4*width)}
	h := conv(g.Input("x", images, size, size, 4), width, 1)
	skips := []*tensor.Tensor{h}
	last := len(levels) - 1
	for i, m := range levels {
		for range 2 {
			h = n.resBlock(h, m*width)
			if i < last {
				h = n.transformer(h)
			}
			skips = append(skips, h)
		}
		if i < last {
			h = conv(h, m*width, 2)
			skips = append(skips, h)
		}
	}
	h = n.resBlock(n.transformer(n.resBlock(h, h.Shape[3])), h.Shape[3])
	for i := last; i >= 0; i-- {
		for j := range 3 {
			skip := skips[len(skips)-1]
			skips = skips[:len(skips)-1]
			h = n.resBlock(tensor.Concat(3, h, skip), levels[i]*width)
			if i < last {
				h = n.transformer(h)
			}
			if i > 0 && j == 2 {
				h = conv(tensor.Upsample(h), h.Shape[3], 1)
			}
		}
	}
	g.Output("eps", conv(tensor.SiLU(norm(h)), 4, 1))
	return g
}

// inputs are random arrays for all inputs of g.
func inputs(g *tensor.Graph) map[string]tensor.Array {
	in := map[string]tensor.Array{}
	for _, t := range g.Nodes() {
		if t.Op == tensor.OpInput {
			a := tensor.NewArray(t.Shape...)
			random(a.Data)
			in[t.Name] = a
		}
	}
	return in
}

// measure runs g and reports the rate of its contractions, or of its output's bytes if it has
// none.
func measure(b *testing.B, g *tensor.Graph) {
	p, err := backend(b, 0).Compile(g)
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	in := inputs(g)
	for b.Loop() {
		if _, err := p.Run(context.Background(), in); err != nil {
			b.Fatal(err)
		}
	}
	seconds := b.Elapsed().Seconds() / float64(b.N)
	if flops := g.Cost().FLOPs; flops > 0 {
		b.ReportMetric(float64(flops)/seconds/1e9, "GFLOP/s")
	} else {
		b.ReportMetric(4*float64(g.Outputs()[0].Value.Shape.Elements())/seconds/1e9, "GB/s")
	}
}

// BenchmarkOps measures single operators at the sizes of the text-to-image model.
func BenchmarkOps(b *testing.B) {
	for _, size := range []struct{ n, h, c int }{{2, 32, 320}, {2, 16, 640}, {2, 8, 1280}, {2, 4, 1280}} {
		shape := []int{size.n, size.h, size.h, size.c}
		tokens := []int{size.n, size.h * size.h, size.c}
		ops := map[string]func(g *tensor.Graph) *tensor.Tensor{
			"Conv2D":    func(g *tensor.Graph) *tensor.Tensor { return conv(g.Input("x", shape...), size.c, 1) },
			"Linear":    func(g *tensor.Graph) *tensor.Tensor { return linear(g.Input("x", tokens...), 8*size.c) },
			"Square":    func(g *tensor.Graph) *tensor.Tensor { return linear(g.Input("x", tokens...), size.c) },
			"Embedding": func(g *tensor.Graph) *tensor.Tensor { return linear(g.Input("x", size.n, 1280), size.c) },
			"Attention": func(g *tensor.Graph) *tensor.Tensor {
				x := g.Input("x", tokens...)
				return tensor.Attention("a", x, x, x, 8, 0.1, false)
			},
			"GroupNorm": func(g *tensor.Graph) *tensor.Tensor { return tensor.SiLU(norm(g.Input("x", shape...))) },
			"LayerNorm": func(g *tensor.Graph) *tensor.Tensor {
				return tensor.LayerNorm(g.Input("x", tokens...), weight(size.c), weight(size.c), 1e-5)
			},
			"GELU":   func(g *tensor.Graph) *tensor.Tensor { return tensor.GELU(g.Input("x", tokens...)) },
			"Add":    func(g *tensor.Graph) *tensor.Tensor { x := g.Input("x", shape...); return tensor.Add(x, x) },
			"Concat": func(g *tensor.Graph) *tensor.Tensor { x := g.Input("x", shape...); return tensor.Concat(3, x, x) },
		}
		for name, op := range ops {
			b.Run(fmt.Sprintf("%s/%dx%dx%db%d", name, size.h, size.h, size.c, size.n), func(b *testing.B) {
				g := tensor.NewGraph()
				g.Keep("y", op(g))
				measure(b, g)
			})
		}
	}
}

// BenchmarkAttention measures one head of 512 channels over an image of 64×64 and of 128×128, as
// in decoders.
func BenchmarkAttention(b *testing.B) {
	for _, tokens := range []int{4096, 16384} {
		b.Run(fmt.Sprintf("1x512x%d", tokens), func(b *testing.B) {
			g := tensor.NewGraph()
			x := g.Input("x", 1, tokens, 512)
			g.Keep("y", tensor.Attention("a", x, x, x, 1, 0.04, false))
			measure(b, g)
		})
	}
}

// BenchmarkBlock is a residual block and a transformer block.
func BenchmarkBlock(b *testing.B) {
	g := tensor.NewGraph()
	n := network{g, g.Input("time", 2, 1280), g.Input("context", 2, 77, 1280)}
	g.Output("y", n.transformer(n.resBlock(g.Input("x", 2, 32, 32, 320), 320)))
	measure(b, g)
}

// BenchmarkUNet is one evaluation of a small U-Net for two images, where the cost of starting steps
// shows. The full-size one is in package arch.
func BenchmarkUNet(b *testing.B) { measure(b, unet(2, 16, 64, []int{1, 2, 4})) }
