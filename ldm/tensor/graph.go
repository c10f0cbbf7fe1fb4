package tensor

import (
	"fmt"
	"slices"
	"strings"
)

// Graph is a list of nodes in the order of their construction, which is an order in which they
// can be computed. It is built by one goroutine.
type Graph struct {
	dtype   DType
	nodes   []*Tensor
	outputs []Output
	params  map[*Weight]*Tensor
	names   map[string]int // those taken, with the last number that made one unique
	scope   []string
	tap     func(attention string) bool
	err     error
}

// Output is a named result of a graph.
type Output struct {
	Name     string
	Value    *Tensor
	Resident bool // stays on the device, for Program.Bind
}

// Tensor is a node of a graph: an operator, its operands and the shape of its result.
type Tensor struct {
	Op     Op
	Name   string // unique in its graph
	Shape  Shape
	DType  DType
	Inputs []*Tensor
	Attrs  Attrs
	Weight *Weight // OpParam only

	graph *Graph
	index int
}

// NewGraph is an empty graph whose activations are stored as F32.
func NewGraph() *Graph { return NewGraphOf(F32) }

// NewGraphOf is an empty graph whose activations are stored as dtype: F32, F16 or BF16.
func NewGraphOf(dtype DType) *Graph {
	return &Graph{dtype: dtype, params: map[*Weight]*Tensor{}, names: map[string]int{}}
}

// Err is the first mistake made while building the graph, or nil.
func (g *Graph) Err() error { return g.err }

// Nodes are the nodes in an order in which they can be computed; owned by the graph.
func (g *Graph) Nodes() []*Tensor { return g.nodes }

// Outputs are the named results in the order of their declaration; owned by the graph.
func (g *Graph) Outputs() []Output { return g.outputs }

// Graph is the graph that t belongs to.
func (t *Tensor) Graph() *Graph { return t.graph }

// Index is the position of t in its graph's Nodes.
func (t *Tensor) Index() int { return t.index }

// Input declares a value of the given shape that Run is given under name.
func (g *Graph) Input(name string, shape ...int) *Tensor {
	if g.err == nil {
		if g.names[name] > 0 {
			return g.fail(nil, "input %q has the name of another node", name)
		}
		for _, d := range shape {
			if d <= 0 {
				return g.fail(nil, "input %q has shape %s, want positive dimensions", name, Shape(shape))
			}
		}
	}
	defer func(scope []string) { g.scope = scope }(g.scope)
	g.scope = nil // inputs are found by the name alone
	return g.add(&Tensor{Op: OpInput, Shape: slices.Clone(shape), DType: g.dtype}, name)
}

// Param is the leaf of a stored weight; the same weight gives the same leaf.
func (g *Graph) Param(w *Weight) *Tensor {
	if t := g.params[w]; t != nil {
		return t
	}
	t := g.add(&Tensor{Op: OpParam, Shape: w.Shape, DType: w.DType, Weight: w}, w.Name)
	g.params[w] = t
	return t
}

// Output names t as a result that Run returns.
func (g *Graph) Output(name string, t *Tensor) { g.output(Output{Name: name, Value: t}) }

// Keep names t as a result that stays on the device, where Program.Bind finds it.
func (g *Graph) Keep(name string, t *Tensor) {
	g.output(Output{Name: name, Value: t, Resident: true})
}

func (g *Graph) output(o Output) {
	if g.err != nil {
		return
	}
	if slices.ContainsFunc(g.outputs, func(p Output) bool { return p.Name == o.Name }) {
		g.fail(o.Value, "output %q is declared twice", o.Name)
		return
	}
	g.outputs = append(g.outputs, o)
}

// Scope puts name in front of the names of all nodes built until the returned function is called.
func (g *Graph) Scope(name string) (end func()) {
	g.scope = append(g.scope, name)
	return func() { g.scope = g.scope[:len(g.scope)-1] }
}

// TapAttention makes every later Attention whose name wants accepts observable: it is built as
// MatMul, Softmax, MatMul, and its probabilities [n, heads, queries, keys] are an output named
// the attention's name and ".probs". Attention with a causal mask is left as it is.
func (g *Graph) TapAttention(wants func(attention string) bool) { g.tap = wants }

// Named renames t, within the current scope, and returns it; the name "" changes nothing.
func (t *Tensor) Named(name string) *Tensor {
	if t.graph.err == nil && name != "" {
		t.Name = t.graph.unique(name)
	}
	return t
}

// fail records the first mistake and returns a value that later constructors can be given.
func (g *Graph) fail(at *Tensor, format string, args ...any) *Tensor {
	if g.err == nil {
		where := ""
		if at != nil {
			where = " after " + at.Name
		}
		g.err = fmt.Errorf("tensor: "+format+where, args...)
	}
	return &Tensor{Op: OpInput, Name: "invalid", Shape: Shape{1, 1, 1, 1}, graph: g}
}

func (g *Graph) add(t *Tensor, name string) *Tensor {
	if g.err != nil {
		return g.fail(nil, "")
	}
	t.graph, t.index, t.Name = g, len(g.nodes), g.unique(name)
	g.nodes = append(g.nodes, t)
	return t
}

func (g *Graph) unique(name string) string {
	if len(g.scope) > 0 {
		name = strings.Join(g.scope, ".") + "." + name
	}
	first := name
	for g.names[name] > 0 {
		g.names[first]++
		name = fmt.Sprintf("%s#%d", first, g.names[first])
	}
	g.names[name] = 1
	return name
}

// node adds an operator on operands of one graph. It is named after the module of weight, the
// weight's name without its last part, or after its first operand.
func node(op Op, shape Shape, attrs Attrs, weight *Weight, inputs ...*Tensor) *Tensor {
	g := inputs[0].graph
	if g.err != nil {
		return g.fail(nil, "")
	}
	for _, in := range inputs {
		if in.graph != g {
			return g.fail(inputs[0], "%s of tensors of two graphs", op)
		}
	}
	name := inputs[0].Name + "." + op.String()
	if weight != nil && weight.Name != "" {
		name = weight.Name
		if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
			name = name[:dot]
		}
	} else if len(g.scope) > 0 {
		name = strings.TrimPrefix(name, strings.Join(g.scope, ".")+".")
	}
	return g.add(&Tensor{Op: op, Shape: shape, DType: inputs[0].DType, Inputs: inputs, Attrs: attrs}, name)
}
