package tensor

import "slices"

// Fused is the graph as backends compute it: a SiLU that alone reads a GroupNorm becomes its
// Activation, and nodes on which no output depends are left out. The nodes are new; a joined
// pair has the name of its SiLU.
func (g *Graph) Fused() *Graph {
	f := NewGraphOf(g.dtype)
	if f.err = g.err; f.err != nil {
		return f
	}
	needed, readers := g.uses()
	absorbed := make([]bool, len(g.nodes))
	for _, t := range g.nodes {
		if t.Op != OpSiLU || !needed[t.index] {
			continue
		}
		norm := t.Inputs[0]
		if norm.Op == OpGroupNorm && norm.Attrs.Activation == OpInput && readers[norm.index] == 1 {
			absorbed[norm.index] = true
		}
	}
	copies := make([]*Tensor, len(g.nodes))
	for _, t := range g.nodes {
		if !needed[t.index] || absorbed[t.index] {
			continue
		}
		c, inputs := *t, t.Inputs
		if t.Op == OpSiLU && absorbed[inputs[0].index] {
			norm := inputs[0]
			c.Op, c.Attrs, inputs = norm.Op, norm.Attrs, norm.Inputs
			c.Attrs.Activation = OpSiLU
		}
		c.Inputs = make([]*Tensor, len(inputs))
		for i, in := range inputs {
			c.Inputs[i] = copies[in.index]
		}
		c.graph, c.index = f, len(f.nodes)
		f.nodes = append(f.nodes, &c)
		copies[t.index] = &c
	}
	for _, o := range g.outputs {
		o.Value = copies[o.Value.index]
		f.outputs = append(f.outputs, o)
	}
	return f
}

// uses tells which nodes some output depends on, inputs among them in any case, and how many
// needed nodes and outputs read each.
func (g *Graph) uses() (needed []bool, readers []int) {
	needed, readers = make([]bool, len(g.nodes)), make([]int, len(g.nodes))
	for _, o := range g.outputs {
		needed[o.Value.index] = true
		readers[o.Value.index]++
	}
	for i := len(g.nodes) - 1; i >= 0; i-- {
		t := g.nodes[i]
		needed[i] = needed[i] || t.Op == OpInput
		if !needed[i] {
			continue
		}
		for _, in := range t.Inputs {
			needed[in.index] = true
			readers[in.index]++
		}
	}
	return needed, readers
}

// Indices tells by node whether the index of a Row is computed from it without being rounded on the
// way. Backends keep these as F32: half the bits do not hold larger whole numbers.
func (g *Graph) Indices() []bool {
	index := make([]bool, len(g.nodes))
	for i, t := range slices.Backward(g.nodes) {
		index[i] = index[i] && (t.Op != OpCast || t.DType == F32)
		if t.Op == OpRow {
			index[t.Inputs[1].index] = true
		}
		for _, in := range t.Inputs {
			index[in.index] = index[in.index] || index[i]
		}
	}
	return index
}

// Observed is the graph with every computed node as an output under its own name, for comparing
// backends node by node.
func (g *Graph) Observed() *Graph {
	o := *g
	o.outputs = nil
	for _, t := range g.nodes {
		if t.Op != OpParam && t.Op != OpInput {
			o.outputs = append(o.outputs, Output{Name: t.Name, Value: t})
		}
	}
	return &o
}
