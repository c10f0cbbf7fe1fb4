// Package tensortest tests backends: it computes graphs in float64 from the definitions of their
// operators, and compares what a backend makes of a table of small graphs with that. Bounds come
// from the rounding of float32 (Higham 2002, Accuracy and Stability of Numerical Algorithms,
// chapters 3 and 4), so that a wrong constant fails and another order of summation does not.
package tensortest

import (
	"fmt"
	"math"

	"ldm-mac/ldm/tensor"
)

// Evaluate computes the outputs of g, by their names and in row-major order, from one array per
// input. All arithmetic is in float64 and in the order of the definitions; only Cast rounds. It
// returns the graph's own error and that of CheckInputs, and fails on a weight without data.
func Evaluate(g *tensor.Graph, in map[string]tensor.Array) (map[string][]float64, error) {
	return evaluate(g, in, compute)
}

// operator computes the values of node t from those of its operands.
type operator func(t *tensor.Tensor, args [][]float64) []float64

func evaluate(g *tensor.Graph, in map[string]tensor.Array, op operator) (map[string][]float64, error) {
	if err := g.Err(); err != nil {
		return nil, err
	}
	if err := g.CheckInputs(in, func(string) bool { return false }); err != nil {
		return nil, err
	}
	values := make([][]float64, len(g.Nodes()))
	for i, t := range g.Nodes() {
		switch t.Op {
		case tensor.OpInput:
			values[i] = widen(in[t.Name].Data)
		case tensor.OpParam:
			w, err := t.Weight.Floats(nil)
			if err != nil {
				return nil, err
			}
			values[i] = widen(w)
		default:
			args := make([][]float64, len(t.Inputs))
			for j, operand := range t.Inputs {
				args[j] = values[operand.Index()]
			}
			values[i] = op(t, args)
		}
	}
	outputs := map[string][]float64{}
	for _, o := range g.Outputs() {
		outputs[o.Name] = values[o.Value.Index()]
	}
	return outputs, nil
}

func widen(values []float32) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		out[i] = float64(v)
	}
	return out
}

// compute is the operator of every backend, as it is defined in package tensor.
func compute(t *tensor.Tensor, args [][]float64) []float64 {
	x := args[0]
	switch t.Op {
	case tensor.OpAdd:
		return broadcast(t, args, func(a, b float64) float64 { return a + b })
	case tensor.OpMul:
		return broadcast(t, args, func(a, b float64) float64 { return a * b })
	case tensor.OpAffine:
		scale, shift := float64(t.Attrs.Scale), float64(t.Attrs.Shift)
		return each(x, func(x float64) float64 { return scale*x + shift })
	case tensor.OpSiLU:
		return each(x, silu)
	case tensor.OpGELU: // Φ(x) = erfc(-x/√2)/2 keeps its digits for negative x
		return each(x, func(x float64) float64 { return x * math.Erfc(-x/math.Sqrt2) / 2 })
	case tensor.OpQuickGELU:
		return each(x, func(x float64) float64 { return x / (1 + math.Exp(-1.702*x)) })
	case tensor.OpGroupNorm:
		return groupNorm(t, args)
	case tensor.OpLayerNorm:
		return layerNorm(t, args)
	case tensor.OpSoftmax:
		out := make([]float64, 0, len(x))
		for d := t.Shape.Last(); len(x) > 0; x = x[d:] {
			out = append(out, softmax(x[:d])...)
		}
		return out
	case tensor.OpMatMul:
		return matMul(t, args)
	case tensor.OpLinear:
		return linear(t, args)
	case tensor.OpConv2D:
		return conv2D(t, args)
	case tensor.OpAttention:
		return attention(t, args)
	case tensor.OpReshape:
		return x
	case tensor.OpCast:
		return each(x, func(x float64) float64 { return round(x, t.DType) })
	case tensor.OpPermute, tensor.OpConcat, tensor.OpSlice, tensor.OpRow, tensor.OpPad, tensor.OpUpsample, tensor.OpAvgPool2D:
		return layout(t, args)
	}
	panic(fmt.Sprintf("tensortest: operator %s has no definition here", t.Op))
}

func each(x []float64, f func(float64) float64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = f(v)
	}
	return out
}

func silu(x float64) float64 { return x / (1 + math.Exp(-x)) }

// round gives x as dtype stores it; F32 stands for all of float64 here.
func round(x float64, dtype tensor.DType) float64 {
	switch dtype {
	case tensor.F16:
		return float64(tensor.F16ToF32(tensor.F32ToF16(float32(x))))
	case tensor.BF16:
		return float64(tensor.BF16ToF32(tensor.F32ToBF16(float32(x))))
	}
	return x
}

func broadcast(t *tensor.Tensor, args [][]float64, f func(a, b float64) float64) []float64 {
	shape := t.Inputs[1].Shape
	lead := len(t.Shape) - len(shape)
	from := make([]int, len(shape))
	out := make([]float64, t.Shape.Elements())
	walk(t.Shape, func(i int, at []int) {
		for axis, size := range shape {
			from[axis] = at[lead+axis] % size // 0 where size is 1
		}
		out[i] = f(args[0][i], args[1][offset(shape, from)])
	})
	return out
}

// normalise subtracts the mean of the values at the given places of x and divides by the root of
// their variance plus eps, in two passes.
func normalise(out, x []float64, places []int, eps float64) {
	var mean, variance float64
	for _, i := range places {
		mean += x[i] / float64(len(places))
	}
	for _, i := range places {
		variance += (x[i] - mean) * (x[i] - mean) / float64(len(places))
	}
	for _, i := range places {
		out[i] = (x[i] - mean) / math.Sqrt(variance+eps)
	}
}

func groupNorm(t *tensor.Tensor, args [][]float64) []float64 {
	x, weight, bias := args[0], args[1], args[2]
	images, channels := t.Shape[0], t.Shape.Last()
	perGroup := channels / t.Attrs.Groups
	members := make([][]int, images*t.Attrs.Groups)
	for i := range x {
		image, channel := i/(len(x)/images), i%channels
		group := image*t.Attrs.Groups + channel/perGroup
		members[group] = append(members[group], i)
	}
	out := make([]float64, len(x))
	for _, places := range members {
		normalise(out, x, places, float64(t.Attrs.Eps))
	}
	for i := range out {
		out[i] = out[i]*weight[i%channels] + bias[i%channels]
		if t.Attrs.Activation == tensor.OpSiLU {
			out[i] = silu(out[i])
		}
	}
	return out
}

func layerNorm(t *tensor.Tensor, args [][]float64) []float64 {
	x, weight, bias := args[0], args[1], args[2]
	d := t.Shape.Last()
	out, places := make([]float64, len(x)), make([]int, d)
	for row := 0; row < len(x); row += d {
		for i := range places {
			places[i] = row + i
		}
		normalise(out, x, places, float64(t.Attrs.Eps))
	}
	for i := range out {
		out[i] = out[i]*weight[i%d] + bias[i%d]
	}
	return out
}

func softmax(x []float64) []float64 {
	highest, sum := math.Inf(-1), 0.0
	for _, v := range x {
		highest = math.Max(highest, v)
	}
	for _, v := range x {
		sum += math.Exp(v - highest)
	}
	return each(x, func(v float64) float64 { return math.Exp(v-highest) / sum })
}
