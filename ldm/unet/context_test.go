package unet

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/cpu"
	"ldm-mac/ldm/tensor"
)

// evaluate gives the network's output on the CPU for a condition of the given length, with random
// weights from the seeds: shared, and those of the layers to which other applies.
func evaluate(t *testing.T, length int, other func(name string) bool, seed uint64) []float32 {
	t.Helper()
	c := tiny()
	// Heads of four scale scores by 1/2, which rounds nothing: kernels that fuse the product with the
	// difference from the largest score take 1 for its exponential too.
	c.AttentionHeadDim = PerLevel{c.BlockOutChannels[0] / 4, c.BlockOutChannels[1] / 4}
	u, err := New(&c)
	if err != nil {
		t.Fatal(err)
	}
	shared, different := rand.New(rand.NewPCG(1, 0)), rand.New(rand.NewPCG(2, seed))
	fill := func(n int, random *rand.Rand) []float32 {
		values := make([]float32, n)
		for i := range values {
			values[i] = float32(random.NormFloat64()) / 2
		}
		return values
	}
	checkpoint.Walk(u, func(name string, w *tensor.Weight) {
		values := fill(w.Shape.Elements(), shared)
		if other(name) {
			values = fill(len(values), different)
		}
		*w = *tensor.WeightOf(name, values, w.Shape...)
	})
	g := tensor.NewGraph()
	in := map[string]tensor.Array{}
	input := func(name string, shape ...int) *tensor.Tensor {
		a := tensor.NewArray(shape...)
		copy(a.Data, fill(len(a.Data), shared))
		in[name] = a
		return g.Input(name, shape...)
	}
	x, sinusoids := input("x", 2, 8, 8, c.InChannels), input("sinusoids", 2, c.BlockOutChannels[0])
	g.Output("out", u.Forward(Inputs{X: x, Sinusoids: sinusoids, Cond: input("cond", 2, length, c.CrossAttentionDim[0])}))
	backend := cpu.New(0)
	defer backend.Close()
	program, err := backend.Compile(g)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	out, err := program.Run(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out["out"].Data
}

// With one token of condition, as of a class, the softmax is over one number: every pixel takes all
// of the token's value, whatever the queries and the keys. Bit for bit, as 1 times a number is that
// number. With two tokens they matter, and so do the values always.
func TestContextOfOneToken(t *testing.T) {
	ends := func(parts ...string) func(string) bool {
		return func(name string) bool {
			for _, part := range parts {
				if strings.HasSuffix(name, part) {
					return true
				}
			}
			return false
		}
	}
	queriesAndKeys, values := ends("attn2.to_q.weight", "attn2.to_k.weight"), ends("attn2.to_v.weight")
	for _, c := range []struct {
		name   string
		length int
		other  func(string) bool
		same   bool
	}{
		{"queries and keys, one token", 1, queriesAndKeys, true},
		{"queries and keys, two tokens", 2, queriesAndKeys, false},
		{"values, one token", 1, values, false},
	} {
		before, after := evaluate(t, c.length, c.other, 1), evaluate(t, c.length, c.other, 2)
		differ := 0
		for i, v := range before {
			if v != v || math.IsInf(float64(v), 0) {
				t.Fatalf("%s: value %d is %g", c.name, i, v)
			}
			if math.Float32bits(v) != math.Float32bits(after[i]) {
				differ++
			}
		}
		if same := differ == 0; same != c.same {
			t.Errorf("%s: %d of %d values differ", c.name, differ, len(before))
		}
	}
}
