package tensor

// planAlignment is the alignment of buffers in the arena in bytes: that of Metal's buffer
// offsets, and more than a vector of any CPU.
const planAlignment = 256

// Plan places the activations of a graph in one arena so that nodes that are never alive at the
// same time share memory. Parameters are not in it.
type Plan struct {
	Offset []int64 // in bytes, by node index; -1 for parameters
	Size   int64   // of the arena in bytes
	Bound  int64   // the most bytes alive at once: no placement can be smaller
}

// NewPlan plans g, a graph without useless nodes (see Fused). Inputs are alive from the start,
// so that they can be written before the first node runs, and outputs to the end. A Reshape
// shares its operand's memory; an element-wise node takes over the memory of its first operand
// when it is the last to read it.
func NewPlan(g *Graph) *Plan {
	nodes := g.nodes
	p := &Plan{Offset: make([]int64, len(nodes))}
	owner := owners(g)
	blocks := make([]Block, 0, len(nodes))
	index := make([]int, len(nodes)) // of the owner's block
	for i, t := range nodes {
		p.Offset[i] = -1
		if t.Op == OpParam || owner[i] != i {
			continue
		}
		size := (t.bytes() + planAlignment - 1) / planAlignment * planAlignment
		b := Block{Size: size, First: i, Last: i}
		if t.Op == OpInput {
			b.First = 0
		}
		index[i] = len(blocks)
		blocks = append(blocks, b)
	}
	extend := func(node, last int) {
		b := &blocks[index[owner[node]]]
		b.Last = max(b.Last, last)
	}
	for i, t := range nodes {
		if t.Op == OpParam {
			continue
		}
		extend(i, i)
		for _, in := range t.Inputs {
			if in.Op != OpParam {
				extend(in.index, i)
			}
		}
	}
	for _, o := range g.outputs {
		if o.Value.Op != OpParam {
			extend(o.Value.index, len(nodes))
		}
	}
	p.Size, p.Bound = Place(blocks, planAlignment)
	for i, t := range nodes {
		if t.Op != OpParam {
			p.Offset[i] = blocks[index[owner[i]]].Offset
		}
	}
	return p
}

// owners tells for every node which one's memory it lives in: mostly its own.
func owners(g *Graph) []int {
	lastRead := make([]int, len(g.nodes)) // of the memory that the node owns
	owner := make([]int, len(g.nodes))
	keep := make([]bool, len(g.nodes)) // inputs, which callers may give once, and outputs
	for _, o := range g.outputs {
		keep[o.Value.index] = true
	}
	// The last reader of a memory is found on views only: in-place sharing is decided below in
	// the order of the nodes, when all that share the memory so far are known.
	for i, t := range g.nodes {
		owner[i] = i
		if t.Op == OpReshape && t.Inputs[0].Op != OpParam {
			owner[i] = owner[t.Inputs[0].index]
			keep[owner[i]] = keep[owner[i]] || keep[i]
		}
		for _, in := range t.Inputs {
			lastRead[owner[in.index]] = i
		}
	}
	for i, t := range g.nodes {
		if t.Op == OpReshape && t.Inputs[0].Op != OpParam {
			owner[i] = owner[t.Inputs[0].index]
			continue
		}
		if !elementwise(t.Op) || t.Inputs[0].Op == OpParam {
			continue
		}
		from := owner[t.Inputs[0].index]
		root := g.nodes[from]
		if root.Op != OpInput && !keep[from] && lastRead[from] == i && root.bytes() == t.bytes() {
			owner[i] = from
			lastRead[from], keep[from] = lastRead[i], keep[i]
		}
	}
	return owner
}

func elementwise(op Op) bool {
	switch op {
	case OpAdd, OpMul, OpAffine, OpSiLU, OpGELU, OpQuickGELU:
		return true
	}
	return false
}
