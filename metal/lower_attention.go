package metal

import (
	"fmt"
	"slices"

	"ldm-mac/bridge"
	"ldm-mac/ldm/tensor"
)

// This file lowers Attention: by one kernel up to MaxHeadSize, beyond that by products and a softmax
// for some queries at a time.

// attention emits the projections that are packed and the attention itself.
func (l *lowering) attention(t *tensor.Tensor) (*value, error) {
	dtype, c := dataType(t), t.Shape[2]
	heads, d := t.Attrs.Heads, c/t.Attrs.Heads
	ld := [3]int{c, c, c}
	var x [3]operand
	if parts := l.packed[t]; parts != nil {
		packed := l.linear(t, parts, residual{})
		for i := range parts {
			which := 3 - len(parts) + i
			x[which], ld[which] = operand{packed, i * c}, len(parts)*c
		}
	}
	for i, in := range t.Inputs {
		if x[i].value == nil {
			x[i] = l.operand(in, dtype)
		}
	}
	y := operand{value: l.activation(dtype, t.Shape.Elements())}
	n, queries, keys := t.Shape[0], t.Shape[1], t.Inputs[1].Shape[1]
	if d > MaxHeadSize {
		return y.value, l.chunkedAttention(t, x, y)
	}
	args := AttentionArgs{
		Queries: uint32(queries), Keys: uint32(keys), D: uint32(d),
		LdQ: uint32(ld[0]), LdK: uint32(ld[1]), LdV: uint32(ld[2]), LdY: uint32(c), Scale: t.Attrs.Scale,
	}
	l.emit(step{
		node: t, launch: args.Launch(dtype, n, heads, t.Attrs.Causal), operands: []operand{x[0], x[1], x[2], y},
		result: 3, over: -1, flops: t.Cost().FLOPs / int64(d) * int64(paddedHead(d)),
	})
	return y.value, nil
}

// paddedHead is the head size that the kernel computes with.
func paddedHead(d int) int {
	i, _ := slices.BinarySearch(headSizes, d)
	return headSizes[i]
}

// mostQueries is how many queries' scores are in memory at a time: few enough that those of a first
// stage's attention are no more than its images, and enough for whole tiles.
const mostQueries = 1024

// chunkedAttention emits, for some queries of every head at a time, scores in float32, their softmax
// and its product with the values. q, k and v are [n, l, heads·d].
func (l *lowering) chunkedAttention(t *tensor.Tensor, qkv [3]operand, y operand) error {
	const alignment = 16 // bytes, of the kernels' operands
	dtype, c := dataType(t), t.Shape[2]
	heads, d := t.Attrs.Heads, c/t.Attrs.Heads
	images, queries, keys := t.Shape[0], t.Shape[1], t.Inputs[1].Shape[1]
	if t.Attrs.Causal || heads > 1 && c*dtype.Size()%alignment != 0 {
		return fmt.Errorf("metal: %s: attention with heads of size %d is %w", t.Name, d, tensor.ErrUnsupported)
	}
	// A batch of products is either one head of all images or all heads of one image.
	batch, strideQ, strideK, rounds := images, queries*c, keys*c, 1
	if heads > 1 {
		batch, strideQ, strideK, rounds = heads, d, d, images
	}
	rows := min(queries, mostQueries)
	scores := operand{value: l.activation(bridge.Float32, batch*rows*keys)}
	probs := operand{value: l.activation(dtype, batch*rows*keys)}
	for image := range rounds {
		for first := 0; first < queries; first += rows {
			m := min(rows, queries-first)
			q, k, v, out := qkv[0], qkv[1], qkv[2], y
			q.at = image*queries*c + first*c
			k.at, v.at, out.at = image*keys*c, image*keys*c, q.at
			size := int64(dtype.Size())
			moved := func(elements int) int64 { return int64(batch) * int64(elements) * size }

			a := NewGEMM(m, keys, d, true)
			a.LdA, a.LdB, a.StrideA, a.StrideB = uint32(c), uint32(c), uint32(strideQ), uint32(strideK)
			a.Alpha = t.Attrs.Scale
			p := productOf(dtype, dtype, operand{}, operand{}, l.tuning.tile(m, keys, batch))
			p.Result = bridge.Float32
			l.emit(step{
				node: t, launch: a.Launch(p, batch, true), operands: []operand{q, k, scores}, result: 2,
				over: -1, flops: p.Tile.flops(m, keys, d, batch), bytes: moved(m*d+keys*d) + 4*int64(batch*m*keys),
			})
			softmax := SoftmaxArgs{uint32(batch * m), uint32(keys), 1}
			l.emit(step{
				node: t, launch: softmax.Launch(bridge.Float32, dtype), operands: []operand{scores, probs}, result: 1,
				over: -1, bytes: moved(m*keys) + 4*int64(batch*m*keys),
			})
			b := NewGEMM(m, d, keys, false)
			b.LdB, b.LdY, b.StrideB, b.StrideY = uint32(c), uint32(c), uint32(strideK), uint32(strideQ)
			p = productOf(dtype, dtype, operand{}, operand{}, l.tuning.tile(m, d, batch))
			l.emit(step{
				node: t, launch: b.Launch(p, batch, false), operands: []operand{probs, v, out}, result: 2,
				over: -1, flops: p.Tile.flops(m, d, keys, batch), bytes: moved(m*keys + keys*d + m*d),
			})
		}
	}
	return nil
}
