package verify

import (
	"context"
	"fmt"
	"math"

	"ldm-mac/ldm/tensor"
)

// rounding is the tolerance for results of size 1 to 10 of a few float32 roundings, of which each
// is at most 6e-8 of the value. Results that are small integers or dyadic fractions are exact.
const rounding = 2e-6

// operatorChecks compare operators computed on backend with published examples, and with
// arithmetic that a reader can do again by hand.
func operatorChecks(backend tensor.Backend) []Check {
	const (
		conv      = "onnx/onnx onnx/backend/test/case/node/conv.py "
		softmax   = "onnx/onnx onnx/backend/test/case/node/softmax.py "
		normal    = "Abramowitz and Stegun 1964, Handbook of Mathematical Functions, table 26.1; arXiv:1606.08415, section 2"
		attention = "arXiv:1706.03762, equation 1, by hand: "
		half      = "IEEE 754-2019, table 3.5 and section 4.3.1; https://en.wikipedia.org/wiki/Half-precision_floating-point_format, examples"
		brain     = "https://en.wikipedia.org/wiki/Bfloat16_floating-point_format, examples"
	)
	ln3 := float32(math.Log(3))
	ones := tensor.WeightOf("ones.weight", []float32{1, 1, 1, 1, 1, 1, 1, 1, 1}, 1, 1, 3, 3)
	return []Check{
		operator(backend, "conv2d 3x3, padded", conv+"test_basic_conv_with_padding", 0,
			func(x ...*tensor.Tensor) *tensor.Tensor { return tensor.Conv2D(x[0], ones, nil, 1, tensor.Same(3)) },
			[]float64{12, 21, 27, 33, 24, 33, 54, 63, 72, 51, 63, 99, 108, 117, 81, 93, 144, 153, 162, 111, 72, 111, 117, 123, 84},
			ramp(1, 5, 5, 1)),
		operator(backend, "conv2d 3x3, not padded", conv+"test_basic_conv_without_padding", 0,
			func(x ...*tensor.Tensor) *tensor.Tensor { return tensor.Conv2D(x[0], ones, nil, 1, tensor.Padding{}) },
			[]float64{54, 63, 72, 99, 108, 117, 144, 153, 162}, ramp(1, 5, 5, 1)),
		operator(backend, "conv2d 3x3, stride 2", conv+"test_conv_with_strides_padding", 0,
			func(x ...*tensor.Tensor) *tensor.Tensor { return tensor.Conv2D(x[0], ones, nil, 2, tensor.Same(3)) },
			[]float64{12, 27, 24, 63, 108, 81, 123, 198, 141, 112, 177, 124}, ramp(1, 7, 5, 1)),
		operator(backend, "conv2d 3x3, stride 2, padded above and below",
			conv+"test_conv_with_strides_and_asymmetric_padding", 0,
			func(x ...*tensor.Tensor) *tensor.Tensor {
				return tensor.Conv2D(x[0], ones, nil, 2, tensor.Padding{Top: 1, Bottom: 1})
			},
			[]float64{21, 33, 99, 117, 189, 207, 171, 183}, ramp(1, 7, 5, 1)),
		operator(backend, "conv2d 1x1 with bias", "by hand: (2a + 3b + 10, a - b - 1) of the channels a and b", 0,
			func(x ...*tensor.Tensor) *tensor.Tensor {
				w := tensor.WeightOf("conv.weight", []float32{2, 3, 1, -1}, 2, 2, 1, 1)
				return tensor.Conv2D(x[0], w, tensor.WeightOf("conv.bias", []float32{10, -1}, 2), 1, tensor.Padding{})
			},
			[]float64{13, -2, 23, -2, 33, -2, 43, -2}, ramp(1, 2, 2, 2)),
		operator(backend, "matmul", "by hand: [[1 2] [3 4]]·[[5 6] [7 8]]", 0,
			func(x ...*tensor.Tensor) *tensor.Tensor { return tensor.MatMul(x[0], x[1], false) },
			[]float64{19, 22, 43, 50}, values([]float32{1, 2, 3, 4}, 2, 2), values([]float32{5, 6, 7, 8}, 2, 2)),
		operator(backend, "matmul, transposed", "by hand: [[1 2] [3 4]]·[[5 7] [6 8]]", 0,
			func(x ...*tensor.Tensor) *tensor.Tensor { return tensor.MatMul(x[0], x[1], true) },
			[]float64{17, 23, 39, 53}, values([]float32{1, 2, 3, 4}, 2, 2), values([]float32{5, 6, 7, 8}, 2, 2)),
		operator(backend, "linear with bias", "by hand: a + 2b + 3c + 10 and 4a + 5b + 6c - 10 of (1, 2, 3)", 0,
			func(x ...*tensor.Tensor) *tensor.Tensor {
				w := tensor.WeightOf("linear.weight", []float32{1, 2, 3, 4, 5, 6}, 2, 3)
				return tensor.Linear(x[0], w, tensor.WeightOf("linear.bias", []float32{10, -10}, 2))
			},
			[]float64{24, 22}, values([]float32{1, 2, 3}, 1, 3)),
		operator(backend, "softmax", softmax+"test_softmax_example", rounding,
			func(x ...*tensor.Tensor) *tensor.Tensor { return tensor.Softmax(x[0]) },
			[]float64{0.09003058, 0.24472848, 0.66524094}, values([]float32{-1, 0, 1}, 1, 3)),
		operator(backend, "softmax of large numbers", softmax+"test_softmax_large_number", rounding,
			func(x ...*tensor.Tensor) *tensor.Tensor { return tensor.Softmax(x[0]) },
			[]float64{0.032058604, 0.08714432, 0.23688284, 0.6439143, 0.032058604, 0.08714432, 0.23688284, 0.6439143},
			values([]float32{0, 1, 2, 3, 10000, 10001, 10002, 10003}, 2, 4)),
		operator(backend, "gelu", normal, rounding,
			func(x ...*tensor.Tensor) *tensor.Tensor { return tensor.GELU(x[0]) },
			[]float64{
				-3 * (1 - 0.998650101968370), -(1 - 0.841344746068543), 0,
				0.5 * 0.691462461274013, 0.841344746068543, 2 * 0.977249868051821, 3 * 0.998650101968370,
			},
			values([]float32{-3, -1, 0, 0.5, 1, 2, 3}, 7)),
		operator(backend, "silu", "arXiv:1702.03118, by hand: σ(±ln 3) = 3/4 and 1/4", rounding,
			func(x ...*tensor.Tensor) *tensor.Tensor { return tensor.SiLU(x[0]) },
			[]float64{-math.Log(3) / 4, 0, math.Log(3) * 3 / 4}, values([]float32{-ln3, 0, ln3}, 3)),
		operator(backend, "quick_gelu", "arXiv:1606.08415, section 2, by hand: σ(±ln 3) = 3/4 and 1/4", rounding,
			func(x ...*tensor.Tensor) *tensor.Tensor { return tensor.QuickGELU(x[0]) },
			[]float64{-math.Log(3) / 1.702 / 4, 0, math.Log(3) / 1.702 * 3 / 4}, values([]float32{-ln3 / 1.702, 0, ln3 / 1.702}, 3)),
		operator(backend, "group_norm", "arXiv:1803.08494, equation 7, by hand: ±1 and ±5 + 7 by √(1 + 3) and √(25 + 11)", rounding,
			func(x ...*tensor.Tensor) *tensor.Tensor {
				weight := tensor.WeightOf("norm.weight", []float32{1, 2, 1, 3}, 4)
				return tensor.GroupNorm(x[0], weight, tensor.WeightOf("norm.bias", []float32{0, 0, 0, 10}, 4), 2, 3)
			},
			[]float64{0.5, -1, 5 / math.Sqrt(28), 10 - 15/math.Sqrt(28), -0.5, 1, -5 / math.Sqrt(28), 10 + 15/math.Sqrt(28)},
			values([]float32{1, -1, 12, 2, -1, 1, 2, 12}, 1, 1, 2, 4)),
		operator(backend, "layer_norm", "arXiv:1607.06450, equation 4, by hand: mean 5/2, variance 5/4 + 1", rounding,
			func(x ...*tensor.Tensor) *tensor.Tensor {
				weight := tensor.WeightOf("norm.weight", []float32{3, 3, 3, 6}, 4)
				return tensor.LayerNorm(x[0], weight, tensor.WeightOf("norm.bias", []float32{0, 1, 2, 3}, 4), 1)
			},
			[]float64{-3, 0, 3, 9}, values([]float32{1, 2, 3, 4}, 1, 4)),
		operator(backend, "attention", attention+"logits ln 3 and 0 give 3/4 and 1/4 of 4 and 8", rounding,
			func(x ...*tensor.Tensor) *tensor.Tensor {
				return tensor.Attention("attention", x[0], x[1], x[2], 1, ln3, false)
			},
			[]float64{5, 50, 7, 70}, values([]float32{1, 0, 0, 1}, 1, 2, 2), values([]float32{1, 0, 0, 1}, 1, 2, 2),
			values([]float32{4, 40, 8, 80}, 1, 2, 2)),
		operator(backend, "attention, two heads", attention+"the first head sees key 1 three times as much, the second key 2", rounding,
			func(x ...*tensor.Tensor) *tensor.Tensor {
				return tensor.Attention("attention", x[0], x[1], x[2], 2, ln3, false)
			},
			[]float64{5, 70}, values([]float32{1, 1}, 1, 1, 2), values([]float32{1, 0, 0, 1}, 1, 2, 2),
			values([]float32{4, 40, 8, 80}, 1, 2, 2)),
		operator(backend, "attention, causal", attention+"queries of zero take the mean of what they see", rounding,
			func(x ...*tensor.Tensor) *tensor.Tensor {
				return tensor.Attention("attention", x[0], x[1], x[1], 1, 1, true)
			},
			[]float64{2, 3, 4, 5}, tensor.NewArray(1, 4, 1), values([]float32{2, 4, 6, 8}, 1, 4, 1)),
		operator(backend, "upsample", "https://docs.pytorch.org/docs/stable/generated/torch.nn.Upsample.html, example with nearest", 0,
			func(x ...*tensor.Tensor) *tensor.Tensor { return tensor.Upsample(tensor.Affine(x[0], 1, 1)) },
			[]float64{1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4}, ramp(1, 2, 2, 1)),
		operator(backend, "avg_pool2d", "by hand: means of 0 1 4 5 and of 2 3 6 7", 0,
			func(x ...*tensor.Tensor) *tensor.Tensor { return tensor.AvgPool2D(x[0]) },
			[]float64{2.5, 4.5}, ramp(1, 2, 4, 1)),
		operator(backend, "cast to F16", half, 0,
			func(x ...*tensor.Tensor) *tensor.Tensor {
				return tensor.Cast(tensor.Cast(x[0], tensor.F16), tensor.F32)
			},
			[]float64{0.333251953125, 1, 1 + 1.0/1024, 65504, 1.0 / (1 << 24)},
			values([]float32{1.0 / 3, 1 + 1.0/2048, 1 + 1.0/1024, 65504, 1.0 / (1 << 24)}, 5)),
		operator(backend, "cast to BF16", brain, 0,
			func(x ...*tensor.Tensor) *tensor.Tensor {
				return tensor.Cast(tensor.Cast(x[0], tensor.BF16), tensor.F32)
			},
			[]float64{0.333984375, 3.140625}, values([]float32{1.0 / 3, math.Pi}, 2)),
	}
}

// operator is the check that apply gives want of the inputs, element by element.
func operator(backend tensor.Backend, name, source string, tolerance float64,
	apply func(x ...*tensor.Tensor) *tensor.Tensor, want []float64, inputs ...tensor.Array) Check {
	run := func() (float64, float64, error) {
		g := tensor.NewGraph()
		var operands []*tensor.Tensor
		arrays := map[string]tensor.Array{}
		for i, a := range inputs {
			input := fmt.Sprint("x", i)
			operands = append(operands, g.Input(input, a.Shape...))
			arrays[input] = a
		}
		g.Output("y", apply(operands...))
		program, err := backend.Compile(g)
		if err != nil {
			return 0, 0, err
		}
		defer program.Close()
		out, err := program.Run(context.Background(), arrays)
		if err != nil {
			return 0, 0, err
		}
		got := out["y"].Data
		if len(got) != len(want) {
			return 0, 0, fmt.Errorf("verify: %s gives %d values, want %d", name, len(got), len(want))
		}
		difference := 0.0
		for i, v := range got { // math.Max keeps a NaN
			difference = math.Max(difference, math.Abs(float64(v)-want[i]))
		}
		size := 1.0
		for _, w := range want {
			size = math.Max(size, math.Abs(w))
		}
		return difference, tolerance * size, nil
	}
	return Check{Group: "operator", Name: name, Source: source, Run: run}
}

func values(data []float32, shape ...int) tensor.Array {
	return tensor.Array{Shape: shape, Data: data}
}

// ramp is 0, 1, 2 and so on.
func ramp(shape ...int) tensor.Array {
	a := tensor.NewArray(shape...)
	for i := range a.Data {
		a.Data[i] = float32(i)
	}
	return a
}
