package tensor

// Cost is the work of a node or a graph: floating-point operations of its contractions (a
// multiply-add counts two; element-wise work is free), and the fewest bytes that have to move:
// each stored weight once, each contraction's operands and result once at their storage type.
type Cost struct{ FLOPs, MinBytes int64 }

// Cost is the work of one node. The bytes of a weight are counted at its leaf.
func (t *Tensor) Cost() Cost {
	var flops int64
	switch t.Op {
	case OpParam:
		return Cost{MinBytes: t.bytes()}
	case OpMatMul:
		a := t.Inputs[0].Shape
		flops = 2 * int64(t.Shape.Elements()) * int64(a.Last())
	case OpLinear:
		flops = 2 * int64(t.Shape.Elements()) * int64(t.Inputs[1].Shape[1])
	case OpConv2D:
		w := t.Inputs[1].Shape
		flops = 2 * int64(t.Shape.Elements()) * int64(w[1]*w[2]*w[3])
	case OpAttention:
		flops = 4 * int64(t.Shape.Elements()) * int64(t.Inputs[1].Shape[1])
	default:
		return Cost{}
	}
	bytes := t.bytes()
	for _, in := range t.Inputs {
		if in.Op != OpParam {
			bytes += in.bytes()
		}
	}
	return Cost{FLOPs: flops, MinBytes: bytes}
}

func (t *Tensor) bytes() int64 { return int64(t.Shape.Elements()) * int64(t.DType.Size()) }

// Cost is the work of all nodes.
func (g *Graph) Cost() Cost {
	var total Cost
	for _, t := range g.nodes {
		c := t.Cost()
		total.FLOPs += c.FLOPs
		total.MinBytes += c.MinBytes
	}
	return total
}
