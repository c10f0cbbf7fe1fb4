package metal

import (
	"fmt"
	"math"

	"ldm-mac/bridge"
	"ldm-mac/ldm/tensor"
)

// lowering turns a graph into steps.
type lowering struct {
	*listing
	*fusions
	graph  *tensor.Graph   // fused; its DTypes are those of storage, F32 or F16
	asked  []tensor.DType  // by node: the DType of the graph that was given
	index  []bool          // by node: see tensor.Graph.Indices
	store  bridge.DataType // of activations of F32 graphs, and of weights
	tuning *Tuning
	values []*value          // by node; nil before its step, and for parameters
	casts  map[*value]*value // to the other type
}

// lower lists the steps of a graph, of which nodes named in wide are stored as float32; see
// chooseTypes.
func lower(g *tensor.Graph, store bridge.DataType, tuning *Tuning, wide map[string]bool) (*lowering, error) {
	l := &lowering{
		listing: &listing{weights: map[weightKey]*value{}, inputs: map[string]*value{}, outputs: map[string]*value{}},
		graph:   g.Fused(), store: store, tuning: tuning, casts: map[*value]*value{},
	}
	if err := l.chooseTypes(wide); err != nil {
		return nil, err
	}
	l.fusions = fuse(l.graph, tuning)
	l.values = make([]*value, len(l.graph.Nodes()))
	for _, t := range l.graph.Nodes() {
		if t.Op == tensor.OpParam || l.absorbed[t.Index()] {
			continue
		}
		v, err := l.node(t)
		if err != nil {
			return nil, err
		}
		l.values[t.Index()] = v
	}
	for _, o := range l.graph.Outputs() {
		l.outputs[o.Name] = l.operand(o.Value, dataType(o.Value)).value
	}
	return l, nil
}

// mostElements is what an MPSGraph tensor may have at most; the kernels' indices reach twice as far.
const mostElements = math.MaxInt32

// chooseTypes sets the DType of every node to what it is stored as. BF16, which Metal has not
// before version 3.1, is stored as float32. So are the nodes named in wide, the nodes that move or
// add their elements, and what reads any of these, which may bring them back to size. So is the
// index of a Row, for float16 holds whole numbers up to 2048 only; one that is bound is as exact as
// its source.
func (l *lowering) chooseTypes(wide map[string]bool) error {
	large := make([]bool, len(l.graph.Nodes()))
	l.index = l.graph.Indices()
	for i, t := range l.graph.Nodes() {
		l.asked = append(l.asked, t.DType)
		elements := 1
		for _, d := range t.Shape {
			if elements *= d; elements > mostElements || d > mostElements {
				return fmt.Errorf("metal: %s of shape %s is too large: %w", t.Name, t.Shape, tensor.ErrOutOfMemory)
			}
		}
		reads := false
		for _, in := range t.Inputs {
			reads = reads || large[in.Index()]
		}
		switch t.Op {
		case tensor.OpAdd, tensor.OpReshape, tensor.OpPermute, tensor.OpConcat, tensor.OpSlice, tensor.OpRow, tensor.OpPad, tensor.OpUpsample:
			large[i] = reads
		}
		large[i] = large[i] || wide[t.Name]
		half := l.store == bridge.Float16
		switch {
		case t.Op == tensor.OpParam && half && !l.index[i]:
			t.DType = tensor.F16
		case reads || large[i] || l.index[i] || t.DType == tensor.BF16:
			t.DType = tensor.F32
		case t.DType == tensor.F32 && half:
			t.DType = tensor.F16
		}
	}
	return nil
}

// dataType is the storage type of a node.
func dataType(t *tensor.Tensor) bridge.DataType {
	if t.DType == tensor.F16 {
		return bridge.Float16
	}
	return bridge.Float32
}

// operand is the value of a node as the given type, converted if it is stored as the other.
func (l *lowering) operand(t *tensor.Tensor, dtype bridge.DataType) operand {
	v := l.values[t.Index()]
	if t.Op == tensor.OpParam {
		// The type does not depend on what overflowed: a weight is read from its file only once.
		store := l.store
		if l.index[t.Index()] {
			store = bridge.Float32
		}
		v = l.param(store, asStored, t.Weight)
	}
	if v.dtype == dtype {
		return operand{value: v}
	}
	c := l.casts[v]
	if c == nil {
		c = l.activation(dtype, v.n)
		l.casts[v] = c
		l.run(t, CastArgs{uint32(v.n)}.Launch(v.dtype), operand{value: v}, operand{value: c})
	}
	return operand{value: c}
}

// run emits a kernel whose last operand is its result.
func (l *lowering) run(t *tensor.Tensor, launch Launch, operands ...operand) {
	l.emit(step{node: t, launch: launch, operands: operands, result: len(operands) - 1, over: -1})
}

// node emits the steps of a node and returns its value.
func (l *lowering) node(t *tensor.Tensor) (*value, error) {
	dtype := dataType(t)
	switch t.Op {
	case tensor.OpInput:
		v := &value{kind: input, dtype: dtype, n: t.Shape.Elements()}
		v.home = v
		l.inputs[t.Name] = v
		return v, nil
	case tensor.OpReshape:
		return l.operand(t.Inputs[0], dtype).value, nil
	case tensor.OpCast:
		return l.cast(t)
	case tensor.OpLinear, tensor.OpConv2D:
		return l.product(t, residual{product: t}), nil
	case tensor.OpAttention:
		return l.attention(t)
	}
	if r := l.residual[t]; r.product != nil {
		return l.product(t, r), nil
	}
	if h := l.geglu[t]; h != nil {
		return l.gated(t, h), nil
	}
	operands := make([]operand, len(t.Inputs), len(t.Inputs)+1)
	for i, in := range t.Inputs {
		switch {
		case in.Op == tensor.OpParam && (t.Op == tensor.OpGroupNorm || t.Op == tensor.OpLayerNorm):
			operands[i] = operand{value: l.param(bridge.Float32, asStored, in.Weight)}
		case t.Op == tensor.OpRow && i == 1:
			operands[i] = l.operand(in, bridge.Float32)
		default:
			operands[i] = l.operand(in, dtype)
		}
	}
	y := l.activation(dtype, t.Shape.Elements())
	operands = append(operands, operand{value: y})
	switch t.Op {
	case tensor.OpAdd, tensor.OpMul, tensor.OpAffine, tensor.OpSiLU, tensor.OpGELU, tensor.OpQuickGELU:
		return y, l.elementwise(t, operands)
	case tensor.OpGroupNorm, tensor.OpLayerNorm, tensor.OpSoftmax:
		l.normalise(t, operands)
		return y, nil
	case tensor.OpMatMul:
		l.matMul(t, operands)
		return y, nil
	}
	return y, l.move(t, operands)
}

// cast rounds to the type that the graph asks for; what is stored so already is not moved. Numbers
// of bfloat16 are stored as float32.
func (l *lowering) cast(t *tensor.Tensor) (*value, error) {
	if l.asked[t.Index()] != tensor.BF16 {
		return l.operand(t.Inputs[0], dataType(t)).value, nil
	}
	x := l.operand(t.Inputs[0], bridge.Float32)
	y := l.activation(bridge.Float32, x.n)
	l.run(t, CastArgs{uint32(x.n)}.LaunchBF16(), x, operand{value: y})
	return y, nil
}
