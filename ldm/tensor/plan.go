package tensor

import "slices"

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
	owner := p.owners(g)
	blocks := make([]block, 0, len(nodes))
	index := make([]int, len(nodes)) // of the owner's block
	for i, t := range nodes {
		p.Offset[i] = -1
		if t.Op == OpParam || owner[i] != i {
			continue
		}
		size := (t.bytes() + planAlignment - 1) / planAlignment * planAlignment
		b := block{node: i, size: size, first: i, last: i}
		if t.Op == OpInput {
			b.first = 0
		}
		index[i] = len(blocks)
		blocks = append(blocks, b)
	}
	for i, t := range nodes {
		if t.Op == OpParam {
			continue
		}
		extend(&blocks[index[owner[i]]], i)
		for _, in := range t.Inputs {
			if in.Op != OpParam {
				extend(&blocks[index[owner[in.index]]], i)
			}
		}
	}
	for _, o := range g.outputs {
		if o.Value.Op != OpParam {
			extend(&blocks[index[owner[o.Value.index]]], len(nodes))
		}
	}
	p.Bound = peak(blocks, len(nodes))
	p.place(blocks)
	for i, t := range nodes {
		if t.Op != OpParam {
			p.Offset[i] = p.Offset[owner[i]]
		}
	}
	return p
}

// block is memory that is alive from node first to node last.
type block struct {
	node, first, last int
	size, offset      int64
}

func extend(b *block, node int) { b.last = max(b.last, node) }

// owners tells for every node which one's memory it lives in: mostly its own.
func (p *Plan) owners(g *Graph) []int {
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

func peak(blocks []block, nodes int) int64 {
	change := make([]int64, nodes+2)
	for _, b := range blocks {
		change[b.first] += b.size
		change[b.last+1] -= b.size
	}
	var alive, most int64
	for _, c := range change {
		alive += c
		most = max(most, alive)
	}
	return most
}

// place gives each block, the largest first, the lowest offset at which it meets none that is
// alive at the same time (Pisarchyk and Lee 2020, arXiv:2001.03288, section 5).
func (p *Plan) place(blocks []block) {
	slices.SortStableFunc(blocks, func(a, b block) int {
		if a.size != b.size {
			return int(min(max(b.size-a.size, -1), 1))
		}
		return a.first - b.first
	})
	var placed []block // by offset
	for _, b := range blocks {
		var at int64
		for _, q := range placed {
			if q.first > b.last || q.last < b.first {
				continue
			}
			if at+b.size <= q.offset {
				break
			}
			at = max(at, q.offset+q.size)
		}
		b.offset = at
		p.Offset[b.node] = at
		p.Size = max(p.Size, at+b.size)
		i, _ := slices.BinarySearchFunc(placed, at, func(q block, at int64) int {
			return int(min(max(q.offset-at, -1), 1))
		})
		placed = slices.Insert(placed, i, b)
	}
}
