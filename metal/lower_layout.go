package metal

import (
	"fmt"

	"ldm-mac/ldm/tensor"
)

// This file lowers the operators that move elements; the last operand is the result.

func (l *lowering) move(t *tensor.Tensor, operands []operand) error {
	dtype, x := dataType(t), t.Inputs[0].Shape
	switch t.Op {
	case tensor.OpPermute:
		args, ok := NewPermute(x, t.Attrs.Perm)
		if !ok {
			return fmt.Errorf("metal: %s: the order %v of the axes of %s is %w", t.Name, t.Attrs.Perm, x, tensor.ErrUnsupported)
		}
		l.run(t, args.Launch(dtype), operands...)
	case tensor.OpConcat:
		l.concat(t, operands)
	case tensor.OpSlice:
		outer, run := around(t.Shape, t.Attrs.Axis)
		_, width := around(x, t.Attrs.Axis)
		l.block(t, CopyArgs{
			Rows: uint32(outer), D: uint32(run),
			OffsetX: uint32(run / t.Shape[t.Attrs.Axis] * t.Attrs.Start), LdX: uint32(width), LdY: uint32(run),
		}, operands[0], operands[1])
	case tensor.OpRow:
		d := t.Shape.Elements()
		l.emit(step{
			node: t, launch: RowArgs{uint32(x[0]), uint32(d)}.Launch(dtype), operands: operands, result: 2, over: -1,
			bytes: 2*int64(d*dtype.Size()) + int64(operands[1].bytes()),
		})
	case tensor.OpPad:
		l.run(t, PadArgs{
			N: uint32(x[0]), H: uint32(x[1]), W: uint32(x[2]), C: uint32(x[3]),
			OutH: uint32(t.Shape[1]), OutW: uint32(t.Shape[2]),
			Top: uint32(t.Attrs.Padding.Top), Left: uint32(t.Attrs.Padding.Left),
		}.Launch(dtype), operands...)
	case tensor.OpUpsample:
		l.run(t, UpsampleArgs{uint32(x[0]), uint32(x[1]), uint32(x[2]), uint32(x[3])}.Launch(dtype), operands...)
	case tensor.OpAvgPool2D:
		l.run(t, AvgPool2DArgs{uint32(x[0]), uint32(x[1]), uint32(x[2]), uint32(x[3])}.Launch(dtype), operands...)
	default:
		return fmt.Errorf("metal: %s: operator %s is %w", t.Name, t.Op, tensor.ErrUnsupported)
	}
	return nil
}

// concat copies each part to its place.
func (l *lowering) concat(t *tensor.Tensor, operands []operand) {
	outer, width := around(t.Shape, t.Attrs.Axis)
	at := 0
	for i, in := range t.Inputs {
		_, run := around(in.Shape, t.Attrs.Axis)
		l.block(t, CopyArgs{
			Rows: uint32(outer), D: uint32(run), LdX: uint32(run), OffsetY: uint32(at), LdY: uint32(width),
		}, operands[i], operands[len(operands)-1])
		at += run
	}
}

// block emits a copy, whose operands are not used as a whole.
func (l *lowering) block(t *tensor.Tensor, a CopyArgs, x, y operand) {
	l.emit(step{
		node: t, launch: a.Launch(y.dtype), operands: []operand{x, y}, result: 1, over: -1,
		bytes: 2 * int64(a.Rows) * int64(a.D) * int64(y.dtype.Size()),
	})
}

// around divides a shape at an axis: elements along it and below lie together, outer times.
func around(s tensor.Shape, axis int) (outer, run int) {
	return s[:axis].Elements(), s[axis:].Elements()
}
