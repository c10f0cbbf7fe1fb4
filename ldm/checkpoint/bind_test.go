package checkpoint_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/tensor"
)

type layer struct {
	Weight *tensor.Weight `weight:"weight"`
	Bias   *tensor.Weight `weight:"bias,optional"`
}

type named interface{ name() string }

func (*layer) name() string { return "layer" }

type block struct {
	layer           // its weights belong to the block
	Plain  layer    // likewise: no tag
	Other  *block   // no tag on a pointer: not a part of the model
	Layers []*layer `weight:"layers"`
	Skip   *layer   `weight:"skip,optional"`
	Any    named    `weight:"any"`
}

func newLayer(out, in int) *layer {
	return &layer{tensor.NewWeight(out, in), tensor.NewWeight(out)}
}

// newBlock has two nameless layers, which share the names of their weights.
func newBlock() *block {
	b := &block{Layers: []*layer{newLayer(2, 3), nil, newLayer(4, 2)}, Skip: newLayer(1, 1), Any: newLayer(1, 2)}
	b.layer, b.Plain, b.Other = *newLayer(1, 3), *newLayer(1, 3), &block{layer: *newLayer(5, 5)}
	return b
}

func open(t *testing.T, weights ...*tensor.Weight) *checkpoint.File {
	t.Helper()
	file, err := checkpoint.OpenBytes("memory", write(t, nil, weights...))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func zeros(name string, shape ...int) *tensor.Weight {
	return tensor.WeightOf(name, make([]float32, tensor.Shape(shape).Elements()), shape...)
}

func TestWalk(t *testing.T) {
	var got []string
	checkpoint.Walk(newBlock(), func(name string, w *tensor.Weight) { got = append(got, name+w.Shape.String()) })
	want := []string{
		"weight[1, 3]", "bias[1]", "weight[1, 3]", "bias[1]",
		"layers.0.weight[2, 3]", "layers.0.bias[2]", "layers.2.weight[4, 2]", "layers.2.bias[4]",
		"skip.weight[1, 1]", "skip.bias[1]", "any.weight[1, 2]", "any.bias[1]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("walked %q\nwant %q", got, want)
	}
}

func TestBind(t *testing.T) {
	file := open(t, zeros("net.weight", 1, 3), zeros("net.bias", 1), zeros("net.layers.0.weight", 2, 3, 1, 1),
		zeros("net.layers.2.weight", 4, 2), zeros("net.layers.2.bias", 4), zeros("net.any.weight", 1, 2, 1),
		zeros("network.weight", 9), zeros("net.loss.a", 1), zeros("net.ids", 1))
	model := newBlock()
	if err := checkpoint.Bind(model, file, "net", "loss.", "ids"); err != nil {
		t.Fatal(err)
	}
	if model.Skip != nil || model.Layers[0].Bias != nil || model.Layers[2].Bias == nil {
		t.Errorf("optional parts: skip %v, biases %v and %v, want nil, nil and not nil",
			model.Skip, model.Layers[0].Bias, model.Layers[2].Bias)
	}
	checkpoint.Walk(model, func(name string, w *tensor.Weight) {
		if w.Name != "net."+name || len(w.Data) != 4*w.Shape.Elements() {
			t.Errorf("%q is bound to %q with %d bytes", name, w.Name, len(w.Data))
		}
	})
	if shape := model.Layers[0].Weight.Shape; !shape.Equal(tensor.Shape{2, 3}) {
		t.Errorf("the kernel of a 1x1 convolution became %s, want the model's [2, 3]", shape)
	}
}

func TestBindConvolution(t *testing.T) {
	model := &layer{Weight: tensor.NewWeight(4, 2, 1, 1)}
	if err := checkpoint.Bind(model, open(t, zeros("weight", 4, 2)), ""); err != nil {
		t.Error(err)
	}
	model = &layer{Weight: tensor.NewWeight(4, 2, 1, 1)}
	if err := checkpoint.Bind(model, open(t, zeros("weight", 4, 2, 3, 3)), ""); err == nil {
		t.Error("a 3x3 convolution was bound to a 1x1")
	}
	vector := &layer{Weight: tensor.NewWeight(4)}
	if err := checkpoint.Bind(vector, open(t, zeros("weight", 4, 1)), ""); err == nil {
		t.Error("a matrix was bound to a vector")
	}
}

func TestBindOldAttention(t *testing.T) {
	type attention struct {
		Q   *layer `weight:"to_q"`
		K   *layer `weight:"to_k"`
		V   *layer `weight:"to_v"`
		Out *layer `weight:"to_out.0"`
	}
	type stage struct {
		Attentions []*attention `weight:"mid_block.attentions"`
	}
	for _, kernel := range [][]int{{2, 2}, {2, 2, 1, 1}} {
		model := &stage{[]*attention{{newLayer(2, 2), newLayer(2, 2), newLayer(2, 2), newLayer(2, 2)}}}
		var weights []*tensor.Weight
		for _, old := range []string{"query", "key", "value", "proj_attn"} {
			name := "decoder.mid_block.attentions.0." + old
			weights = append(weights, zeros(name+".weight", kernel...), zeros(name+".bias", 2))
		}
		if err := checkpoint.Bind(model, open(t, weights...), "decoder"); err != nil {
			t.Error(err)
		}
		a := model.Attentions[0]
		for old, l := range map[string]*layer{"query": a.Q, "key": a.K, "value": a.V, "proj_attn": a.Out} {
			if l.Bias == nil || !strings.HasSuffix(l.Weight.Name, old+".weight") {
				t.Errorf("%q was bound to %q with bias %v", old, l.Weight.Name, l.Bias)
			}
		}
	}
}

func TestBindErrors(t *testing.T) {
	ints := &tensor.Weight{Name: "layers.2.weight", Shape: tensor.Shape{4, 2}, DType: tensor.I8, Data: make([]byte, 8)}
	weights := []*tensor.Weight{zeros("weight", 3, 1), ints}
	for i := range 25 {
		weights = append(weights, zeros(fmt.Sprintf("rest.%02d", i), 2))
	}
	err := checkpoint.Bind(newBlock(), open(t, weights...), "")
	var model *checkpoint.Error
	if !errors.As(err, &model) || model.Path != "memory" {
		t.Fatalf("%v, want a *checkpoint.Error of the file", err)
	}
	for _, want := range []string{
		"missing (2)", `"any.weight" [1, 2]`, `"layers.0.weight" [2, 3]`,
		"of another shape (1)", `"weight" is [3, 1], want [1, 3]`,
		"numbers (1)", `"layers.2.weight" is I8`,
		"not used by the model (25)", `"rest.00" [2]`, `"rest.19" [2]`, "and 5 more",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nlacks %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "rest.20") || strings.Contains(err.Error(), "skip") {
		t.Errorf("%v\nnames more than it should", err)
	}
}

func TestCheckFinite(t *testing.T) {
	type model struct {
		Weights []*tensor.Weight `weight:"w"`
	}
	quiet, infinity := math.NaN(), math.Inf(-1)
	for _, dtype := range []tensor.DType{tensor.F16, tensor.BF16, tensor.F32, tensor.F64} {
		for _, at := range []int{-1, 0, 1, 31, 63, 64, 127, 200} {
			m := model{[]*tensor.Weight{zeros("sound", 3), number(dtype, 201, at, quiet), number(dtype, 201, at, infinity)}}
			m.Weights[1].Name = "first"
			err := checkpoint.CheckFinite("model", &m)
			if at < 0 {
				if err != nil {
					t.Errorf("%s: %v, want no error", dtype, err)
				}
				continue
			}
			if want := fmt.Sprintf("%q holds NaN or an infinity at element %d ", "first", at); err == nil ||
				!strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", dtype, err, want)
			}
		}
	}
}

// number is a weight of the type's largest numbers of either sign but for one value.
func number(dtype tensor.DType, n, at int, value float64) *tensor.Weight {
	w := &tensor.Weight{Name: "second", Shape: tensor.Shape{n}, DType: dtype}
	largest := map[tensor.DType]float64{
		tensor.F16: 65504, tensor.BF16: 0x1.fep127, tensor.F32: math.MaxFloat32, tensor.F64: math.MaxFloat64,
	}[dtype]
	for i := range n {
		x := largest
		if i%2 == 1 {
			x = -x
		}
		if i == at {
			x = value
		}
		if dtype == tensor.F64 {
			bits := math.Float64bits(x)
			for shift := 0; shift < 64; shift += 8 {
				w.Data = append(w.Data, byte(bits>>shift))
			}
			continue
		}
		w.Data = tensor.EncodeFloats(w.Data, []float32{float32(x)}, dtype)
	}
	return w
}
