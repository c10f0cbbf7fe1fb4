package tensor_test

import (
	"fmt"
	"testing"

	"ldm-mac/ldm/tensor"
)

// uNet is the shape of a diffusion U-Net: residual blocks with attention, halved and doubled
// sizes, and a skip connection from every block to its mirror.
func uNet(size, channels, levels, blocks int) *tensor.Graph {
	g := tensor.NewGraph()
	time := g.Input("time", 1, 4*channels)
	context := g.Input("context", 1, 77, 64)
	conv := func(x *tensor.Tensor, out, stride int) *tensor.Tensor {
		return tensor.Conv2D(x, weight(out, x.Shape[3], 3, 3), weight(out), stride, tensor.Same(3))
	}
	norm := func(x *tensor.Tensor) *tensor.Tensor {
		c := x.Shape.Last()
		return tensor.GroupNorm(x, weight(c), weight(c), 8, 1e-5)
	}
	block := func(x *tensor.Tensor, out int) *tensor.Tensor {
		h := conv(tensor.SiLU(norm(x)), out, 1)
		h = tensor.Add(h, tensor.Reshape(tensor.Linear(tensor.SiLU(time), weight(out, 4*channels), weight(out)), 1, 1, 1, out))
		h = conv(tensor.SiLU(norm(h)), out, 1)
		if x.Shape[3] != out {
			x = tensor.Conv2D(x, weight(out, x.Shape[3], 1, 1), nil, 1, tensor.Padding{})
		}
		x = tensor.Add(x, h)
		tokens := tensor.Reshape(norm(x), 1, x.Shape[1]*x.Shape[2], out)
		for i, c := range []*tensor.Tensor{nil, context} {
			y := tensor.LayerNorm(tokens, weight(out), weight(out), 1e-5)
			if c == nil {
				c = y
			}
			k, v := tensor.Linear(c, weight(out, c.Shape[2]), nil), tensor.Linear(c, weight(out, c.Shape[2]), nil)
			y = tensor.Attention(fmt.Sprint("a", i), tensor.Linear(y, weight(out, out), nil), k, v, 4, 1, false)
			tokens = tensor.Add(tensor.Linear(y, weight(out, out), weight(out)), tokens)
		}
		y := tensor.Linear(tensor.LayerNorm(tokens, weight(out), weight(out), 1e-5), weight(8*out, out), weight(8*out))
		y = tensor.Mul(tensor.Slice(y, 2, 0, 4*out), tensor.GELU(tensor.Slice(y, 2, 4*out, 8*out)))
		tokens = tensor.Add(tensor.Linear(y, weight(out, 4*out), weight(out)), tokens)
		return tensor.Add(tensor.Reshape(tokens, x.Shape...), x)
	}
	h := conv(g.Input("x", 1, size, size, 4), channels, 1)
	skips := []*tensor.Tensor{h}
	for level := range levels {
		for range blocks {
			h = block(h, channels<<level)
			skips = append(skips, h)
		}
		if level < levels-1 {
			h = conv(h, channels<<level, 2)
			skips = append(skips, h)
		}
	}
	h = block(h, h.Shape[3])
	for level := levels - 1; level >= 0; level-- {
		for range blocks + 1 {
			h = block(tensor.Concat(3, h, skips[len(skips)-1]), channels<<level)
			skips = skips[:len(skips)-1]
		}
		if level > 0 {
			h = conv(tensor.Upsample(h), h.Shape[3], 1)
		}
	}
	g.Output("y", conv(tensor.SiLU(norm(h)), 4, 1))
	return g
}

func TestPlanOfUNet(t *testing.T) {
	for _, c := range []struct{ size, channels, levels, blocks int }{
		{8, 16, 2, 1}, {16, 16, 3, 2}, {32, 32, 4, 2}, {24, 24, 3, 3},
	} {
		g := uNet(c.size, c.channels, c.levels, c.blocks)
		if err := g.Err(); err != nil {
			t.Fatal(err)
		}
		f := g.Fused()
		p := tensor.NewPlan(f)
		var all int64
		for _, node := range f.Nodes() {
			if node.Op != tensor.OpParam {
				all += int64(node.Shape.Elements() * node.DType.Size())
			}
		}
		t.Logf("%+v: %d nodes, size %d, bound %d (%.3f), %.1f times less than all values", c, len(f.Nodes()), p.Size, p.Bound,
			float64(p.Size)/float64(p.Bound), float64(all)/float64(p.Size))
		if float64(p.Size) > 1.1*float64(p.Bound) {
			t.Errorf("%+v: size %d is %.2f times the bound", c, p.Size, float64(p.Size)/float64(p.Bound))
		}
		if err := checkPlan(f, p); err != nil {
			t.Error(err)
		}
	}
}
