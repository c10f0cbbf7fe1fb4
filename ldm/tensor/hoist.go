package tensor

// Hoist divides g into what depends on nothing but the given inputs, and the rest, so that what is
// the same in every evaluation, such as the keys and values of a condition, is computed once. once
// has the given inputs and keeps (see Keep), under their own names, the values that rest reads; rest
// has the outputs of g, its other inputs, and an input for each kept value, to be bound to it (see
// Program.Bind). The nodes are new. An error of g is that of both.
func (g *Graph) Hoist(inputs ...string) (once, rest *Graph) {
	once, rest = NewGraphOf(g.dtype), NewGraphOf(g.dtype)
	if once.err, rest.err = g.err, g.err; g.err != nil {
		return once, rest
	}
	given := map[string]bool{}
	for _, name := range inputs {
		given[name] = true
	}
	needed, _ := g.uses()
	// early has the copies in once of what is hoisted, late the copies in rest.
	early, late := newCopies(once, len(g.nodes)), newCopies(rest, len(g.nodes))
	receive := func(t *Tensor) {
		if t.Op != OpParam && early.of[t.index] != nil && late.of[t.index] == nil {
			once.Keep(t.Name, early.of[t.index])
			late.add(&Tensor{Op: OpInput, Name: t.Name, Shape: t.Shape, DType: t.DType}, t.index)
		}
	}
	for _, t := range g.nodes {
		switch {
		case !needed[t.index] || t.Op == OpParam: // parameters go where they are read
		case t.Op == OpInput && given[t.Name] || early.have(t.Inputs):
			early.copy(t)
		default:
			for _, in := range t.Inputs {
				receive(in)
			}
			late.copy(t)
		}
	}
	for _, o := range g.outputs {
		receive(o.Value)
		o.Value = late.copy(o.Value)
		rest.outputs = append(rest.outputs, o)
	}
	return once, rest
}

// copies are the nodes of a new graph by the index of those that they are copies of.
type copies struct {
	graph *Graph
	of    []*Tensor
}

func newCopies(g *Graph, nodes int) copies { return copies{g, make([]*Tensor, nodes)} }

// have reports that all operands, of which at least one is no parameter, have copies.
func (c copies) have(operands []*Tensor) bool {
	any := false
	for _, t := range operands {
		if t.Op == OpParam {
			continue
		}
		if c.of[t.index] == nil {
			return false
		}
		any = true
	}
	return any
}

// copy is the copy of t, made if there is none; its operands have copies or are parameters.
func (c copies) copy(t *Tensor) *Tensor {
	if n := c.of[t.index]; n != nil {
		return n
	}
	n := *t
	n.Inputs = make([]*Tensor, len(t.Inputs))
	for i, in := range t.Inputs {
		n.Inputs[i] = c.copy(in)
	}
	return c.add(&n, t.index)
}

func (c copies) add(n *Tensor, of int) *Tensor {
	n.graph, n.index = c.graph, len(c.graph.nodes)
	c.graph.nodes = append(c.graph.nodes, n)
	c.graph.names[n.Name] = 1
	if n.Op == OpParam {
		c.graph.params[n.Weight] = n
	}
	c.of[of] = n
	return n
}
