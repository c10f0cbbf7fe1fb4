package tensortest

import (
	"fmt"
	"math"

	"ldm-mac/ldm/tensor"
)

// unit is the unit roundoff: the largest relative error of one rounding to dtype.
func unit(dtype tensor.DType) float64 {
	switch dtype {
	case tensor.F16:
		return 1.0 / (1 << 11)
	case tensor.BF16:
		return 1.0 / (1 << 8)
	}
	return 1.0 / (1 << 24)
}

// tolerance bounds the relative root-mean-square error of the outputs of g: the errors of its
// nodes, which add up, each that of arithmetic in float32 and of rounding to the node's storage
// type, times gain. Graphs that only move elements are exact: their tolerance is 0.
func tolerance(g *tensor.Graph, gain float64) float64 {
	var total float64
	for _, t := range g.Nodes() {
		if t.Op == tensor.OpCast && total > 0 {
			total += 2 * unit(t.DType) // an operand off by little may round to the neighbour
		}
		if roundings := arithmetic(t); roundings > 0 {
			total += roundings*unit(tensor.F32) + unit(t.DType)
		}
	}
	return total * math.Max(1, gain)
}

// arithmetic is the error of one node's float32 arithmetic in units of roundoff, relative to its
// result. Errors of a sum of k terms in any order grow as √k when they are independent; 2√k leaves
// room for blocked and transformed algorithms.
func arithmetic(t *tensor.Tensor) float64 {
	terms := func(k int) float64 { return 2 * math.Sqrt(float64(k)) }
	const function = 8 // exp and erf by polynomials, to a few units in the last place
	switch t.Op {
	case tensor.OpAdd, tensor.OpMul:
		return 1
	case tensor.OpAffine:
		return 2
	case tensor.OpAvgPool2D:
		return 3 // additions; dividing by 4 is exact
	case tensor.OpSiLU, tensor.OpGELU, tensor.OpQuickGELU:
		return function
	case tensor.OpSoftmax:
		return function + terms(t.Shape.Last())
	case tensor.OpGroupNorm:
		// Mean and variance are sums; root, division, scale, shift and perhaps SiLU follow.
		return 2*function + terms(t.Shape.Elements()/t.Shape[0]/t.Attrs.Groups)
	case tensor.OpLayerNorm:
		return function + terms(t.Shape.Last())
	case tensor.OpMatMul:
		return terms(t.Inputs[0].Shape.Last())
	case tensor.OpLinear:
		return terms(t.Inputs[0].Shape.Last()) + 1 // the bias
	case tensor.OpConv2D:
		return terms(t.Inputs[1].Shape[1:].Elements()) + 1
	case tensor.OpAttention:
		return function + terms(t.Shape[2]/t.Attrs.Heads) + terms(t.Inputs[1].Shape[1])
	}
	return 0 // leaves and operators that move elements
}

// outlier is how many times its root mean square the largest of many errors may be: for normal
// errors 4 is passed once in 16,000, and few cases have as many values.
const outlier = 4

// compare returns an error when got is not want within tolerance, and the part of the tolerance
// that the errors take.
func compare(got []float32, want []float64, tolerance float64) (used float64, err error) {
	if len(got) != len(want) {
		return 0, fmt.Errorf("%d values, want %d", len(got), len(want))
	}
	nmse, largest := errorsOf(got, want)
	if nmse > 0 {
		used = math.Max(math.Sqrt(nmse), largest/outlier) / tolerance
	}
	if !(nmse <= tolerance*tolerance) || !(largest <= outlier*tolerance) {
		return used, fmt.Errorf("normalised mean square error %.3g, want at most %.3g; relative maximum error %.3g, want at most %.3g",
			nmse, tolerance*tolerance, largest, outlier*tolerance)
	}
	return used, nil
}

// errorsOf returns Σ(a-b)²/Σb² and max|a-b|/max|b|. Where b is all zero the denominators are 1;
// a NaN on either side makes both infinite.
func errorsOf[T float32 | float64](a []float32, b []T) (nmse, largest float64) {
	var squares, power, worst, peak float64
	for i := range b {
		want := float64(b[i])
		difference := math.Abs(float64(a[i]) - want)
		if math.IsNaN(difference) {
			return math.Inf(1), math.Inf(1)
		}
		squares += difference * difference
		power += want * want
		worst, peak = math.Max(worst, difference), math.Max(peak, math.Abs(want))
	}
	if power == 0 {
		power, peak = 1, 1
	}
	return squares / power, worst / peak
}
