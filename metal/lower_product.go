package metal

import (
	"ldm-mac/bridge"
	"ldm-mac/ldm/tensor"
)

// This file lowers Linear, Conv2D and MatMul.

// product emits r.product, a Linear or Conv2D, with the addition of r if there is one, as the value
// of t.
func (l *lowering) product(t *tensor.Tensor, r residual) *value {
	p := r.product
	if pointwise(p) {
		return l.linear(t, []*tensor.Tensor{p}, r)
	}
	return l.conv2D(t, r)
}

// linear emits the products of one operand with the weights of all parts, side by side, as one, in
// the type of t.
func (l *lowering) linear(t *tensor.Tensor, parts []*tensor.Tensor, r residual) *value {
	first := parts[0]
	n, k := 0, first.Inputs[1].Shape[1]
	for _, p := range parts {
		n += p.Shape.Last()
	}
	m := first.Shape.Elements() / first.Shape.Last()
	dtype := dataType(t)
	x, y := l.operand(first.Inputs[0], dtype), operand{value: l.activation(dtype, m*n)}
	if !l.tuning.productByKernel(m, n, k, r.added != nil) {
		w, bias, wtype := l.graphWeights(parts)
		l.emit(step{
			node: t, operands: []operand{x, w, bias, y}, result: 3, over: -1, flops: 2 * int64(m) * int64(n) * int64(k),
			matMul: &bridge.MatMulDesc{
				Batch: 1, M: m, N: n, K: k, A: dtype, B: wtype, TransposeB: true,
				Bias: bias.value != nil,
			},
		})
		return y.value
	}
	w, bias, wtype := l.kernelWeights(parts, asStored)
	args := NewGEMM(m, n, k, true)
	tile := l.tuning.tile(m, n, 1)
	added := l.added(r, dtype, &args.ResidualRows)
	l.emit(step{
		node:     t,
		launch:   args.Launch(productOf(dtype, wtype, bias, added, tile), 1, true),
		operands: []operand{x, w, y, bias, added}, result: 2, over: 4, flops: tile.flops(m, n, k, 1),
	})
	return y.value
}

// productOf describes a kernel's product of a type by weights of another.
func productOf(dtype, weights bridge.DataType, bias, added operand, tile Tile) Product {
	return Product{
		Type: dtype, Weights: weights, Result: dtype, Bias: bias.value != nil, Residual: added.value != nil, Tile: tile,
	}
}

// added is the operand that a kernel adds, and sets how many rows add the same of its rows.
func (l *lowering) added(r residual, dtype bridge.DataType, rows *uint32) operand {
	if r.added == nil {
		return operand{}
	}
	*rows = uint32(r.rows)
	return l.operand(r.added, dtype)
}

// flops counts whole tiles.
func (tile Tile) flops(m, n, k, batch int) int64 {
	return 2 * int64(alignUp(m, tile.Rows)) * int64(alignUp(n, tile.Columns)) * int64(k) * int64(batch)
}

func (l *lowering) conv2D(t *tensor.Tensor, r residual) *value {
	p := r.product
	dtype, w, pad := dataType(t), p.Inputs[1].Shape, p.Attrs.Padding
	source := p.Inputs[0]
	if l.upsample[p] {
		source = source.Inputs[0]
	}
	in, out := source.Shape, p.Shape
	x, y := l.operand(source, dtype), operand{value: l.activation(dtype, out.Elements())}
	m, k := out.Elements()/w[0], w[1:].Elements()
	if !l.tuning.byKernel(p, l.upsample[p], r.added != nil) {
		weights, bias, wtype := l.graphWeights([]*tensor.Tensor{p})
		l.emit(step{
			node: t, operands: []operand{x, weights, bias, y}, result: 3, over: -1, flops: 2 * int64(m) * int64(w[0]) * int64(k),
			conv: &bridge.Conv2DDesc{
				N: in[0], H: in[1], W: in[2], C: in[3], Out: w[0], KernelH: w[2], KernelW: w[3], Stride: p.Attrs.Stride,
				Top: pad.Top, Bottom: pad.Bottom, Left: pad.Left, Right: pad.Right,
				Data: dtype, Weights: wtype, Bias: bias.value != nil,
			},
		})
		return y.value
	}
	weights, bias, wtype := l.kernelWeights([]*tensor.Tensor{p}, channelsLast)
	args := Conv2DArgs{
		N: uint32(in[0]), H: uint32(in[1]), W: uint32(in[2]), C: uint32(in[3]),
		Out: uint32(w[0]), OutH: uint32(out[1]), OutW: uint32(out[2]), KernelH: uint32(w[2]), KernelW: uint32(w[3]),
		Stride: uint32(p.Attrs.Stride), Top: uint32(pad.Top), Left: uint32(pad.Left), ResidualRows: 1,
	}
	tile := l.tuning.tile(m, w[0], 1)
	if w[0] <= TileNarrow.Columns {
		tile = TileNarrow
	}
	added := l.added(r, dtype, &args.ResidualRows)
	l.emit(step{
		node:     t,
		launch:   args.Launch(productOf(dtype, wtype, bias, added, tile), l.upsample[p]),
		operands: []operand{x, weights, y, bias, added}, result: 2, over: 4, flops: tile.flops(m, w[0], k, 1),
	})
	return y.value
}

// matMul emits a batched product; operands are a, b and the result.
func (l *lowering) matMul(t *tensor.Tensor, operands []operand) {
	a, last := t.Inputs[0].Shape, len(t.Shape)-1
	m, n, k := t.Shape[last-1], t.Shape[last], a[last]
	batch, dtype, transpose := t.Shape[:last-1].Elements(), dataType(t), t.Attrs.TransposeB
	if !l.tuning.productByKernel(m, n, k, false) {
		l.emit(step{
			node: t, operands: []operand{operands[0], operands[1], {}, operands[2]}, result: 3, over: -1,
			flops: 2 * int64(batch) * int64(m) * int64(n) * int64(k),
			matMul: &bridge.MatMulDesc{
				Batch: batch, M: m, N: n, K: k, A: dtype, B: dtype, TransposeB: transpose,
			},
		})
		return
	}
	tile := l.tuning.tile(m, n, batch)
	l.emit(step{
		node:     t,
		launch:   NewGEMM(m, n, k, transpose).Launch(productOf(dtype, dtype, operand{}, operand{}, tile), batch, transpose),
		operands: operands, result: 2, over: -1, flops: tile.flops(m, n, k, batch),
	})
}

func alignUp(n, alignment int) int { return divUp(n, alignment) * alignment }
