package cpu

import (
	"context"
	"fmt"
	"time"

	"ldm-mac/ldm/tensor"
)

// Program is a graph compiled for a Backend.
type Program struct {
	backend *Backend
	graph   *tensor.Graph // as computed
	memory  [][]float32   // the arena and the weights
	values  []*value      // by node index
	nodes   []node
	inputs  map[string]*input
	results map[string]tensor.Array
	outputs []output

	profiling bool
	closed    bool
}

// value is where a node's elements are. A Reshape shares its operand's, so that a bound input
// moves both.
type value struct{ data []float32 }

// node is one node's work.
type node struct {
	tensor *tensor.Tensor
	steps  []*step
	runs   int
	time   time.Duration
}

type input struct {
	name  string
	value *value
	shape tensor.Shape

	source *Program // nil unless bound
	from   *value
}

type output struct {
	value  *value
	result []float32
}

// Run computes the outputs that are not resident from one array per input that is not bound. The
// map and its arrays are the same at each Run. Between nodes it stops when ctx is done, and
// returns ctx's error.
func (p *Program) Run(ctx context.Context, in map[string]tensor.Array) (map[string]tensor.Array, error) {
	switch {
	case p.closed:
		return nil, errClosed
	case p.backend.closed:
		return nil, errBackendClosed
	}
	if err := p.graph.CheckInputs(in, p.isBound); err != nil {
		return nil, err
	}
	for _, i := range p.inputs {
		switch {
		case i.source == nil:
			copy(i.value.data, in[i.name].Data)
		case i.source.closed:
			return nil, fmt.Errorf("cpu: the program that input %q is bound to is closed", i.name)
		default:
			i.value.data = i.from.data
		}
	}
	for i := range p.nodes {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p.compute(&p.nodes[i])
	}
	for _, o := range p.outputs {
		copy(o.result, o.value.data)
	}
	return p.results, nil
}

func (p *Program) compute(n *node) {
	if !p.profiling {
		for _, s := range n.steps {
			p.backend.pool.run(s)
		}
		return
	}
	start := time.Now()
	for _, s := range n.steps {
		p.backend.pool.run(s)
	}
	n.time += time.Since(start)
	n.runs++
}

func (p *Program) isBound(name string) bool {
	i := p.inputs[name]
	return i != nil && i.source != nil
}

// Bind makes input read source's output where it lies, at every later Run.
func (p *Program) Bind(name string, source tensor.Program, from string) error {
	s, ok := source.(*Program)
	i := p.inputs[name]
	switch {
	case i == nil:
		return fmt.Errorf("cpu: no input %q to bind", name)
	case !ok || s.backend != p.backend:
		return fmt.Errorf("cpu: input %q cannot be bound to a program of another backend", name)
	case p.closed || s.closed:
		return errClosed
	}
	for _, o := range s.graph.Outputs() {
		if o.Name != from {
			continue
		}
		if !o.Value.Shape.Equal(i.shape) {
			return fmt.Errorf("cpu: input %q has shape %s, output %q has %s", name, i.shape, from, o.Value.Shape)
		}
		i.source, i.from = s, s.values[o.Value.Index()]
		return nil
	}
	return fmt.Errorf("cpu: no output %q to bind input %q to", from, name)
}

// Close releases the program's memory. It may be called again.
func (p *Program) Close() error {
	for _, m := range p.memory {
		p.backend.release(m)
	}
	p.memory, p.closed = nil, true
	return nil
}

// Timing is what one node took in all runs since profiling was switched on.
type Timing struct {
	Node *tensor.Tensor // name, operator, shape and cost
	Runs int
	Time time.Duration
}

// SetProfiling starts measuring the time of each node anew, or stops it.
func (p *Program) SetProfiling(on bool) {
	if on {
		for i := range p.nodes {
			p.nodes[i].runs, p.nodes[i].time = 0, 0
		}
	}
	p.profiling = on
}

// Profile is the time of each node that does any work, in the order of computation.
func (p *Program) Profile() []Timing {
	var timings []Timing
	for _, n := range p.nodes {
		timings = append(timings, Timing{Node: n.tensor, Runs: n.runs, Time: n.time})
	}
	return timings
}
