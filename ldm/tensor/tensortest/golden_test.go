package tensortest_test

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ldm-mac/ldm/cpu"
	"ldm-mac/ldm/goldentest"
	"ldm-mac/ldm/tensor"
	"ldm-mac/ldm/tensor/tensortest"
)

// goldenCase is one operation of the fixture. What is not an operand is told in words.
type goldenCase struct {
	Name   string
	Inputs []string
	Out    string
	What   string
	Error  goldentest.Error `json:"fp32_vs_float64"`
}

// elsewhere names the operations that no graph computes, and where they are tested.
var elsewhere = map[string]string{
	"timestep_embedding": "ldm/unet", "pillow": "ldm/imageio", "kl": "ldm/firststage", "vq": "ldm/firststage",
	"resample/bilinear_half": "ldm/cond", "resample/nearest_mask": "ldm/pipeline", "act/gelu_tanh": "no model here",
}

func TestGoldenOps(t *testing.T) {
	var fixture struct{ Cases []goldenCase }
	folder := goldentest.Open(t, "ops", &fixture)
	processor := cpu.New(0)
	defer processor.Close()
	computed := 0
	skipped := map[string]int{}
	for _, c := range fixture.Cases {
		kind, _, _ := strings.Cut(c.Name, "/")
		where, ok := elsewhere[kind]
		if !ok {
			where, ok = elsewhere[c.Name]
		}
		if ok {
			skipped[where]++
			continue
		}
		computed++
		for _, backend := range []tensor.Backend{tensortest.Reference(), processor} {
			t.Run(c.Name+"/"+backend.Name(), func(t *testing.T) { c.test(t, folder, backend) })
		}
	}
	t.Logf("cases that belong elsewhere: %v", skipped)
	folder.Count(computed)
}

// test computes the case; where its words leave the number of heads open, one has to fit.
func (c goldenCase) test(t *testing.T, folder *goldentest.Folder, backend tensor.Backend) {
	want, shape := folder.Floats(c.Out)
	best, least := []float32(nil), math.Inf(1)
	for _, heads := range c.heads(shape) {
		g, in := tensor.NewGraph(), map[string]tensor.Array{}
		var operands []*tensor.Tensor
		var weights []*tensor.Weight
		for _, name := range c.Inputs {
			values, shape := folder.Floats(name)
			if strings.HasSuffix(name, "_w") || strings.HasSuffix(name, "_b") {
				weights = append(weights, tensor.WeightOf(name, values, shape...))
				continue
			}
			in[name] = tensor.Array{Shape: shape, Data: values}
			operands = append(operands, g.Input(name, shape...))
		}
		g.Output("out", c.build(t, operands, weights, heads, shape))
		program, err := backend.Compile(g)
		if err != nil {
			t.Fatal(err)
		}
		out, err := program.Run(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		if !out["out"].Shape.Equal(shape) {
			t.Fatalf("shape %s, want %s", out["out"].Shape, shape)
		}
		if d := distance(out["out"].Data, want); d < least {
			best, least = slices.Clone(out["out"].Data), d
		}
		if err := program.Close(); err != nil {
			t.Fatal(err)
		}
	}
	goldentest.Compare(t, c.Name, best, want, goldentest.Bound(c.Error.Max))
}

// build is the operation between the layout of PyTorch and that of graphs.
func (c goldenCase) build(t *testing.T, x []*tensor.Tensor, w []*tensor.Weight, heads int, out tensor.Shape) *tensor.Tensor {
	toPixels := func() *tensor.Tensor { return tensor.Permute(x[0], 0, 2, 3, 1) }
	fromPixels := func(y *tensor.Tensor) *tensor.Tensor { return tensor.Permute(y, 0, 3, 1, 2) }
	kind, variant, _ := strings.Cut(c.Name, "/")
	switch kind {
	case "group_norm":
		groups := c.number(`(\d+) groups`, 1) // absent where the groups do not matter
		return fromPixels(tensor.GroupNorm(toPixels(), w[0], w[1], int(groups), float32(c.number(`eps ([0-9.e-]+)`, 1e-5))))
	case "layer_norm":
		return tensor.LayerNorm(x[0], w[0], w[1], float32(c.number(`eps ([0-9.e-]+)`, 1e-5)))
	case "conv":
		in := x[0].Shape
		stride, pad := (in[2]+out[2]-1)/out[2], tensor.Same(w[0].Shape[2])
		if strings.Contains(c.What, "pad right and bottom by one") {
			pad = tensor.Padding{Right: 1, Bottom: 1}
		}
		return fromPixels(tensor.Conv2D(toPixels(), w[0], w[1], stride, pad))
	case "attention":
		if len(x) == 1 { // q, k and v of each head side by side
			n, l, d := x[0].Shape[0], x[0].Shape[2], out[1]/heads
			parts := tensor.Reshape(tensor.Permute(x[0], 0, 2, 1), n, l, heads, 3*d)
			part := func(i int) *tensor.Tensor {
				return tensor.Reshape(tensor.Slice(parts, 3, i*d, (i+1)*d), n, l, heads*d)
			}
			return tensor.Permute(attend(part(0), part(1), part(2), heads), 0, 2, 1)
		}
		return attend(x[0], x[1], x[2], heads)
	}
	switch variant {
	case "silu":
		return tensor.SiLU(x[0])
	case "gelu_erf":
		return tensor.GELU(x[0])
	case "quick_gelu":
		return tensor.QuickGELU(x[0])
	case "geglu":
		h, d := tensor.Linear(x[0], w[0], w[1]), out.Last()
		return tensor.Mul(tensor.Slice(h, 2, 0, d), tensor.GELU(tensor.Slice(h, 2, d, 2*d)))
	case "nearest2":
		return fromPixels(tensor.Upsample(toPixels()))
	case "avg_pool2":
		return fromPixels(tensor.AvgPool2D(toPixels()))
	}
	t.Fatalf("the fixture has an unknown operation %q", c.Name)
	return nil
}

func attend(q, k, v *tensor.Tensor, heads int) *tensor.Tensor {
	scale := 1 / math.Sqrt(float64(q.Shape[2]/heads))
	return tensor.Attention("attention", q, k, v, heads, float32(scale), false)
}

// heads is the number of heads in the case's words, or every number that divides the width.
func (c goldenCase) heads(out tensor.Shape) []int {
	if n := c.number(`(\d+) heads of`, 0); n > 0 || !strings.HasPrefix(c.Name, "attention/") {
		return []int{int(n)}
	}
	var all []int
	for n := 1; n <= out.Last(); n++ {
		if out.Last()%n == 0 {
			all = append(all, n)
		}
	}
	return all
}

// number finds a number in the case's words.
func (c goldenCase) number(pattern string, otherwise float64) float64 {
	match := regexp.MustCompile(pattern).FindStringSubmatch(c.What)
	if match == nil {
		return otherwise
	}
	value, err := strconv.ParseFloat(match[1], 64)
	if err != nil {
		panic(fmt.Sprintf("%q: %v", c.What, err))
	}
	return value
}

func distance(a, b []float32) float64 {
	var worst float64
	for i := range b {
		worst = math.Max(worst, math.Abs(float64(a[i])-float64(b[i])))
	}
	return worst
}
