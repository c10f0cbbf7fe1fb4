package metal

import "ldm-mac/ldm/tensor"

// fusions are the groups of nodes that one step computes together. The nodes inside a group, which
// nothing else reads, are absorbed: the step runs where the group's last node was.
type fusions struct {
	readers  []int  // nodes and outputs that read each node
	absorbed []bool // by node

	geglu    map[*tensor.Tensor]*tensor.Tensor   // by Mul: the projection, values beside gates
	residual map[*tensor.Tensor]residual         // by Add
	packed   map[*tensor.Tensor][]*tensor.Tensor // by Attention: the Linear of q, k and v, or of k and v
	upsample map[*tensor.Tensor]bool             // Conv2D that read through an Upsample
}

// residual is an Add that a product does after its sums.
type residual struct {
	product *tensor.Tensor // Linear or Conv2D
	added   *tensor.Tensor // nil for none
	rows    int            // of the product that add the same row
}

// fuse finds the groups in g, a fused graph.
func fuse(g *tensor.Graph, tuning *Tuning) *fusions {
	n := len(g.Nodes())
	f := &fusions{
		readers: make([]int, n), absorbed: make([]bool, n),
		geglu: map[*tensor.Tensor]*tensor.Tensor{}, residual: map[*tensor.Tensor]residual{},
		packed: map[*tensor.Tensor][]*tensor.Tensor{}, upsample: map[*tensor.Tensor]bool{},
	}
	for _, t := range g.Nodes() {
		for _, in := range t.Inputs {
			f.readers[in.Index()]++
		}
	}
	for _, o := range g.Outputs() {
		f.readers[o.Value.Index()]++
	}
	for _, t := range g.Nodes() {
		switch t.Op {
		case tensor.OpMul:
			f.findGEGLU(t)
		case tensor.OpAttention:
			f.findPacked(t)
		case tensor.OpConv2D:
			f.findUpsample(t)
		case tensor.OpAdd:
			f.findResidual(t, tuning)
		}
	}
	return f
}

// alone reports that one node reads t, and nothing else.
func (f *fusions) alone(t *tensor.Tensor) bool {
	return f.readers[t.Index()] == 1 && !f.absorbed[t.Index()]
}

// findGEGLU finds Mul(Slice(h), GELU(Slice(h))) of the two halves of h.
func (f *fusions) findGEGLU(t *tensor.Tensor) {
	value, gelu := t.Inputs[0], t.Inputs[1]
	if value.Op == tensor.OpGELU {
		value, gelu = gelu, value
	}
	if value.Op != tensor.OpSlice || gelu.Op != tensor.OpGELU || !f.alone(value) || !f.alone(gelu) {
		return
	}
	gate := gelu.Inputs[0]
	if gate.Op != tensor.OpSlice || !f.alone(gate) || gate.Inputs[0] != value.Inputs[0] {
		return
	}
	h := gate.Inputs[0]
	last, d := len(h.Shape)-1, h.Shape.Last()/2
	half := func(s *tensor.Tensor, start int) bool {
		return s.Attrs.Axis == last && s.Attrs.Start == start && s.Attrs.Stop == start+d
	}
	if 2*d != h.Shape.Last() || !half(value, 0) || !half(gate, d) || h.Op == tensor.OpParam {
		return
	}
	f.geglu[t] = h
	f.absorb(value, gate, gelu)
}

// packAlignment divides the width of packed projections, so that each begins where kernels can read.
const packAlignment = 8

// findPacked finds attention whose projections read the same tokens, so that they can be one
// product with columns side by side.
func (f *fusions) findPacked(t *tensor.Tensor) {
	q, k, v := t.Inputs[0], t.Inputs[1], t.Inputs[2]
	if t.Shape[2]/t.Attrs.Heads > MaxHeadSize || t.Shape[2]%packAlignment != 0 || !f.siblings(k, v) {
		return
	}
	parts := []*tensor.Tensor{k, v}
	if f.siblings(q, k) {
		parts = []*tensor.Tensor{q, k, v}
	}
	f.packed[t] = parts
	f.absorb(parts...)
}

// siblings reports two Linear of one operand that nothing else reads.
func (f *fusions) siblings(a, b *tensor.Tensor) bool {
	return a != b && a.Op == tensor.OpLinear && b.Op == tensor.OpLinear && f.alone(a) && f.alone(b) &&
		a.Inputs[0] == b.Inputs[0] && len(a.Inputs) == len(b.Inputs) && a.DType == b.DType
}

func (f *fusions) findUpsample(t *tensor.Tensor) {
	if x := t.Inputs[0]; x.Op == tensor.OpUpsample && f.alone(x) && x.DType == t.DType {
		f.upsample[t] = true
		f.absorb(x)
	}
}

// findResidual finds an Add of a product that the kernels compute; the later one where both
// operands are products.
func (f *fusions) findResidual(t *tensor.Tensor, tuning *Tuning) {
	a, b := t.Inputs[0], t.Inputs[1]
	chain, added := f.chain(a, t, tuning), b
	rows, ok := repeats(t.Shape, b.Shape)
	if !ok {
		chain = nil
	}
	if b.Shape.Elements() == a.Shape.Elements() {
		other := f.chain(b, t, tuning)
		if other != nil && (chain == nil || other[len(other)-1].Index() > chain[len(chain)-1].Index()) {
			chain, added, rows = other, a, 1
		}
	}
	if chain == nil || a == b {
		return
	}
	f.residual[t] = residual{chain[len(chain)-1], added, rows}
	f.absorb(chain...)
}

// chain is x and what it is a view of, down to a product for sum that the kernels compute when
// something is added to it; nil if there is none.
func (f *fusions) chain(x, sum *tensor.Tensor, tuning *Tuning) []*tensor.Tensor {
	chain := []*tensor.Tensor{x}
	for ; x.Op == tensor.OpReshape && f.alone(x); chain = append(chain, x) {
		x = x.Inputs[0]
	}
	if (x.Op == tensor.OpLinear || x.Op == tensor.OpConv2D) && f.alone(x) && x.DType == sum.DType &&
		x.Shape.Last() == sum.Shape.Last() && tuning.byKernel(x, f.upsample[x], true) {
		return chain
	}
	return nil
}

// repeats tells how many rows of a shape in turn add the same row of b, which has that shape or is
// [c] or [n, 1, …, 1, c].
func repeats(shape, b tensor.Shape) (rows int, ok bool) {
	lead := len(shape) - len(b)
	if len(b) == 0 || b.Last() != shape.Last() {
		return 0, false
	}
	rows = 1
	inside := false // a row that is not repeated lies further out
	for i := len(shape) - 2; i >= 0; i-- {
		size := 1
		if i >= lead {
			size = b[i-lead]
		}
		switch {
		case size == shape[i] && size > 1:
			inside = true
		case shape[i] > 1 && inside:
			return 0, false
		default:
			rows *= shape[i]
		}
	}
	return rows, true
}

func (f *fusions) absorb(nodes ...*tensor.Tensor) {
	for _, t := range nodes {
		f.absorbed[t.Index()] = true
	}
}
