package tensortest

import (
	"fmt"
	"hash/fnv"
	"math"

	"ldm-mac/ldm/tensor"
)

// testCase is a small graph with inputs. Its name is that of the operator, a slash, and what is
// particular.
type testCase struct {
	name string
	// gain is how much rounding errors grow on the way to the outputs: mean over standard
	// deviation before a normalisation, the size of computed logits before a softmax. 0 means 1.
	gain  float64
	build func(b *builder)
}

// builder makes the graph of a case, and inputs and weights that depend only on the case's name
// and on how many were made before.
type builder struct {
	*tensor.Graph
	name   string
	inputs map[string]tensor.Array
	made   int
	dtype  tensor.DType
}

// graph makes the case's graph with activations stored as dtype.
func (c testCase) graph(dtype tensor.DType) (*tensor.Graph, map[string]tensor.Array) {
	b := &builder{Graph: tensor.NewGraphOf(dtype), name: c.name, inputs: map[string]tensor.Array{}, dtype: dtype}
	c.build(b)
	return b.Graph, b.inputs
}

// normal is an input of independent normal values, as exact as the graph's storage type.
func (b *builder) normal(mean, std float64, shape ...int) *tensor.Tensor {
	name := fmt.Sprintf("x%d", b.made)
	a := tensor.Array{Shape: shape, Data: b.values(mean, std, tensor.Shape(shape).Elements())}
	for i, v := range a.Data {
		a.Data[i] = float32(round(float64(v), b.dtype))
	}
	b.inputs[name] = a
	return b.Input(name, shape...)
}

// input is an input of standard normal values.
func (b *builder) input(shape ...int) *tensor.Tensor { return b.normal(0, 1, shape...) }

// index is an input [1] of a whole number, which no storage type rounds.
func (b *builder) index(value float32) *tensor.Tensor {
	name := fmt.Sprintf("x%d", b.made)
	b.made++
	b.inputs[name] = tensor.Array{Shape: tensor.Shape{1}, Data: []float32{value}}
	return b.Input(name, 1)
}

// weight is a parameter of normal values that keeps the size of what it is applied to: its
// standard deviation is 1/√fan-in for a matrix or kernel and 1 for a vector.
func (b *builder) weight(dtype tensor.DType, shape ...int) *tensor.Weight {
	std := 1.0
	if len(shape) > 1 {
		std = 1 / math.Sqrt(float64(tensor.Shape(shape[1:]).Elements()))
	}
	w := &tensor.Weight{Name: fmt.Sprintf("layer%d.weight", b.made), Shape: shape, DType: dtype}
	w.Data = tensor.EncodeFloats(nil, b.values(0, std, w.Shape.Elements()), dtype)
	return w
}

func (b *builder) values(mean, std float64, n int) []float32 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d", b.name, b.made)
	b.made++
	r, values := generator(h.Sum64()), make([]float32, n)
	for i := range values {
		values[i] = float32(mean + std*r.normal())
	}
	return values
}

// generator is SplitMix64 (Steele, Lea and Flood 2014, Fast splittable pseudorandom number
// generators, figure 16), here so that the cases never change.
type generator uint64

func (r *generator) uniform() float64 { // in (0, 1)
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return (float64((z^z>>31)>>11) + 0.5) / (1 << 53)
}

func (r *generator) normal() float64 { // Box and Muller 1958
	return math.Sqrt(-2*math.Log(r.uniform())) * math.Cos(2*math.Pi*r.uniform())
}

// cases is the table of all cases.
func cases() []testCase {
	var all []testCase
	for _, group := range [][]testCase{
		unaryCases(), binaryCases(), normCases(), matMulCases(), linearCases(), convCases(),
		attentionCases(), layoutCases(), netCases(),
	} {
		all = append(all, group...)
	}
	return all
}

// one is a case whose only output is what f returns.
func one(name string, f func(b *builder) *tensor.Tensor) testCase {
	return testCase{name: name, build: func(b *builder) { b.Output("y", f(b)) }}
}

// label writes a shape as 2x8x8x32.
func label(shape ...int) string {
	if len(shape) == 0 {
		return "scalar"
	}
	s := fmt.Sprint(shape[0])
	for _, d := range shape[1:] {
		s += fmt.Sprint("x", d)
	}
	return s
}
