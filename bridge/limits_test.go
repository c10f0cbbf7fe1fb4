package bridge

import (
	"strings"
	"testing"
)

func TestMatMulSizes(t *testing.T) {
	ok := MatMulDesc{Batch: 2, M: 3, N: 5, K: 7, B: Float16, Bias: true}
	operands, result, err := ok.sizes()
	if err != nil || len(operands) != 3 || operands[0] != 2*3*7*4 || operands[1] != 2*7*5*2 || operands[2] != 5*2 || result != 2*3*5*4 {
		t.Errorf("sizes of %v are %v and %d (%v)", ok, operands, result, err)
	}
	for want, desc := range map[string]MatMulDesc{
		"size 0":                    {Batch: 1, M: 1, N: 0, K: 1},
		"size -1":                   {Batch: 1, M: -1, N: 1, K: 1},
		"size 32769":                {Batch: 1, M: 32769, N: 1, K: 1},
		"[0 1 1] has no elements":   {Batch: 0, M: 1, N: 1, K: 1},
		"more than 2147483647":      {Batch: 32, M: 16384, N: 16384, K: 1},
		"DataType(2) is no storage": {Batch: 1, M: 1, N: 1, K: 1, B: 2},
	} {
		if _, _, err := desc.sizes(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), desc.String()) {
			t.Errorf("%+v: the error is %v, want %q", desc, err, want)
		}
	}
}

func TestConv2DSizes(t *testing.T) {
	ok := Conv2DDesc{N: 1, H: 8, W: 9, C: 2, Out: 3, KernelH: 3, KernelW: 3, Stride: 2, Bottom: 1, Right: 1, Weights: Float16, Bias: true}
	operands, result, err := ok.sizes()
	if err != nil || len(operands) != 3 || operands[0] != 8*9*2*4 || operands[1] != 3*2*9*2 || operands[2] != 3*2 || result != 4*4*3*4 {
		t.Errorf("sizes of %v are %v and %d (%v)", ok, operands, result, err)
	}
	for want, change := range map[string]func(*Conv2DDesc){
		"size 0":                    func(d *Conv2DDesc) { d.Stride = 0 },
		"size 65537":                func(d *Conv2DDesc) { d.Out = 65537 },
		"padding 0, 1, -1, 1":       func(d *Conv2DDesc) { d.Left = -1 },
		"leaves less":               func(d *Conv2DDesc) { d.KernelH = 10 },
		"[1 8 200000000 2]":         func(d *Conv2DDesc) { d.W = 200000000 },
		"[60000 2 20000 3]":         func(d *Conv2DDesc) { d.Out, d.KernelH, d.H = 60000, 20000, 20000 },
		"[1 20000 4 60000]":         func(d *Conv2DDesc) { d.H, d.Out, d.Stride, d.KernelW = 40000, 60000, 2, 3 },
		"DataType(9) is no storage": func(d *Conv2DDesc) { d.Data = 9 },
	} {
		desc := ok
		change(&desc)
		if _, _, err := desc.sizes(); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), desc.String()) {
			t.Errorf("%+v: the error is %v, want %q", desc, err, want)
		}
	}
}

func TestDispatchable(t *testing.T) {
	one := Size{1, 1, 1}
	if err := dispatchable("op", maxArgs, maxBindings, 1024, Size{1 << 20, 7, 9}, Size{32, 32, 1}, 32); err != nil {
		t.Error(err)
	}
	for want, err := range map[string]error{
		"4096 bytes of arguments": dispatchable("op", 4096, 0, 1024, one, one, 0),
		"31 bindings":             dispatchable("op", 0, 31, 1024, one, one, 0),
		"32 × 33 × 1 threads":     dispatchable("op", 0, 0, 1024, one, Size{32, 33, 1}, 0),
		"513 × 1 × 2 threads":     dispatchable("op", 0, 0, 1024, one, Size{513, 1, 2}, 0),
		"768":                     dispatchable("op", 0, 0, 768, one, Size{1024, 1, 1}, 0),
		"size 0":                  dispatchable("op", 0, 0, 1024, Size{1, 0, 1}, one, 0),
		"8 bytes of threadgroup":  dispatchable("op", 0, 0, 1024, one, one, 8),
		"-16 bytes":               dispatchable("op", 0, 0, 1024, one, one, -16),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %q", err, want)
		}
	}
}

func TestDataType(t *testing.T) {
	if Float32.String() != "f32" || Float16.String() != "f16" || Float32.Size() != 4 || Float16.Size() != 2 {
		t.Errorf("%v of %d bytes, %v of %d", Float32, Float32.Size(), Float16, Float16.Size())
	}
}
