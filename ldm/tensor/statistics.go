package tensor

import "fmt"

// Measured is g with what its group norms measure as further outputs, for images that are parts of a
// larger one. For a norm named N of an operand [n, h, w, c] these are N.mean and N.squares [n, 2, 2·c],
// sums of the operand, and of its square, over the pixels, each times a weight of its row and one of its
// column: of both there are two, in the inputs RowWeights(h) [n, 2, h] and ColumnWeights(h, w)
// [n·h, 2, w]. The first c sums of the first row have the first weights of both, the last c of the second
// row the second. The nodes are new.
func (g *Graph) Measured() *Graph {
	return g.rewritten(func(m *Graph, norm *Tensor, inputs []*Tensor) *Tensor {
		x := inputs[0]
		n, h, w, c := x.Shape[0], x.Shape[1], x.Shape[2], x.Shape[3]
		columns, rows := m.weights(ColumnWeights(h, w), n*h, 2, w), m.weights(RowWeights(h), n, 2, h)
		for _, sum := range []struct {
			name  string
			value *Tensor
		}{{norm.Name + ".mean", x}, {norm.Name + ".squares", Mul(x, x)}} {
			lines := MatMul(columns, Reshape(sum.value, n*h, w, c), false)
			m.Output(sum.name, MatMul(rows, Reshape(lines, n, h, 2*c), false))
		}
		copied := *norm
		copied.Inputs = inputs
		return m.append(&copied)
	})
}

// RowWeights is the name of the weights of rows, see Measured.
func RowWeights(height int) string { return fmt.Sprint("rows.", height) }

// ColumnWeights is the name of the weights of columns, see Measured.
func ColumnWeights(height, width int) string { return fmt.Sprint("columns.", height, "x", width) }

// Corrected is g with the result of each group norm corrected: for a norm named N of an operand
// [n, h, w, c] it is multiplied by the input N.scale [n, 1, 1, c], and the input N.shift is added. The
// nodes are new.
func (g *Graph) Corrected() *Graph {
	return g.rewritten(func(m *Graph, norm *Tensor, inputs []*Tensor) *Tensor {
		shape := Shape{norm.Shape[0], 1, 1, norm.Shape.Last()}
		scale, shift := m.Input(norm.Name+".scale", shape...), m.Input(norm.Name+".shift", shape...)
		plain := *norm
		plain.Inputs, plain.Attrs.Activation = inputs, OpInput
		y := Add(Mul(m.append(&plain), scale), shift)
		if norm.Attrs.Activation == OpSiLU {
			y = SiLU(y)
		}
		return y
	})
}

// Norms are the group norms of g.
func (g *Graph) Norms() (norms []*Tensor) {
	for _, t := range g.nodes {
		if t.Op == OpGroupNorm {
			norms = append(norms, t)
		}
	}
	return norms
}

// weights is the input of that name, declared if there is none.
func (g *Graph) weights(name string, shape ...int) *Tensor {
	for _, t := range g.nodes {
		if t.Op == OpInput && t.Name == name {
			return t
		}
	}
	return g.Input(name, shape...)
}

// rewritten is a copy of g in which build makes what takes the place of each group norm, given the
// copies of its operands.
func (g *Graph) rewritten(build func(m *Graph, norm *Tensor, inputs []*Tensor) *Tensor) *Graph {
	m := NewGraphOf(g.dtype)
	if m.err = g.err; m.err != nil {
		return m
	}
	copies := make([]*Tensor, len(g.nodes))
	for _, t := range g.nodes {
		inputs := make([]*Tensor, len(t.Inputs))
		for i, in := range t.Inputs {
			inputs[i] = copies[in.index]
		}
		if t.Op == OpGroupNorm {
			copies[t.index] = build(m, t, inputs)
			continue
		}
		n := *t
		n.Inputs = inputs
		copies[t.index] = m.append(&n)
		if t.Op == OpParam {
			m.params[t.Weight] = copies[t.index]
		}
	}
	for _, o := range g.outputs {
		o.Value = copies[o.Value.index]
		m.outputs = append(m.outputs, o)
	}
	return m
}

// append adds a node as it is.
func (g *Graph) append(n *Tensor) *Tensor {
	n.graph, n.index = g, len(g.nodes)
	g.nodes = append(g.nodes, n)
	g.names[n.Name] = 1
	return n
}
