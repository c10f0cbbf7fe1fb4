package metal

import (
	"fmt"

	"ldm-mac/bridge"
	"ldm-mac/ldm/tensor"
)

// This file lowers element-wise operators and normalisations; the last operand is the result.

// elementwise emits an operator whose result may be written over its first operand.
func (l *lowering) elementwise(t *tensor.Tensor, operands []operand) error {
	var launch Launch
	switch n, dtype := uint32(t.Shape.Elements()), dataType(t); t.Op {
	case tensor.OpAdd, tensor.OpMul:
		shape, stride, how, ok := NewBroadcast(t.Shape, t.Inputs[1].Shape)
		if !ok {
			return fmt.Errorf("metal: %s: %s of %s and %s is %w", t.Name, t.Op, t.Shape, t.Inputs[1].Shape, tensor.ErrUnsupported)
		}
		if launch = (AddArgs{n, shape, stride}).Launch(dtype, how); t.Op == tensor.OpMul {
			launch = MulArgs{n, shape, stride}.Launch(dtype, how)
		}
	case tensor.OpAffine:
		launch = AffineArgs{n, t.Attrs.Scale, t.Attrs.Shift}.Launch(dtype)
	case tensor.OpSiLU:
		launch = SiLUArgs{n}.Launch(dtype)
	case tensor.OpGELU:
		launch = GELUArgs{n}.Launch(dtype)
	case tensor.OpQuickGELU:
		launch = QuickGELUArgs{n}.Launch(dtype)
	}
	l.emit(step{node: t, launch: launch, operands: operands, result: len(operands) - 1, over: 0})
	return nil
}

// gated emits GEGLU of h as the value of t.
func (l *lowering) gated(t, h *tensor.Tensor) *value {
	dtype, n, d := dataType(t), t.Shape.Elements(), t.Shape.Last()
	x, y := l.operand(h, dtype), operand{value: l.activation(dtype, n)}
	l.run(t, GEGLUArgs{uint32(n / d), uint32(d)}.Launch(dtype), x, y)
	return y.value
}

// normalise emits GroupNorm, LayerNorm or Softmax.
func (l *lowering) normalise(t *tensor.Tensor, operands []operand) {
	dtype, d := dataType(t), t.Shape.Last()
	rows := t.Shape.Elements() / d
	switch t.Op {
	case tensor.OpLayerNorm:
		l.run(t, LayerNormArgs{uint32(rows), uint32(d), t.Attrs.Eps}.Launch(dtype), operands...)
	case tensor.OpSoftmax:
		l.run(t, SoftmaxArgs{uint32(rows), uint32(d), 1}.Launch(dtype, dtype), operands...)
	default:
		l.groupNorm(t, operands)
	}
}

// groupNorm emits the measurement of chunks and the normalisation; operands are x, weight, bias and
// the result.
func (l *lowering) groupNorm(t *tensor.Tensor, operands []operand) {
	images, channels, dtype := t.Shape[0], t.Shape.Last(), dataType(t)
	stats, norm := NewGroupNorm(t.Shape.Elements()/images/channels, channels, t.Attrs.Groups, t.Attrs.Eps)
	partial := operand{value: l.activation(bridge.Float32, images*stats.Partial()/bridge.Float32.Size())}
	l.run(t, stats.Launch(dtype, images), operands[0], partial)
	l.run(t, norm.Launch(dtype, images, t.Attrs.Activation == tensor.OpSiLU),
		operands[0], partial, operands[1], operands[2], operands[3])
}
