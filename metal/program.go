package metal

import (
	"context"
	"fmt"

	"ldm-mac/ldm/tensor"
)

// Program is a graph compiled for a Backend; it owns a heap, its inputs, and uses of weights.
type Program struct {
	backend *Backend
	graph   *tensor.Graph   // as it was given
	wide    map[string]bool // nodes that are stored in float32 because they overflowed
	bound   map[string]source
	results map[string]tensor.Array
	code    *code
	seconds float64 // on the device, of the latest Run
	closed  bool
}

// source is an output of another program.
type source struct {
	program *Program
	output  string
}

// compile replaces the program's code, at first or because wide has grown.
func (p *Program) compile() error {
	b := p.backend
	l, err := lower(p.graph, b.store, &b.tuning, p.wide)
	if err != nil {
		return err
	}
	if err := b.chooseSums(l.listing); err != nil {
		return err
	}
	l.place(max(b.info.HeapAlignment, 1))
	c, err := b.load(l, p.isBound)
	if err != nil {
		return err
	}
	former := p.code
	p.code = c
	if err := former.close(); err != nil {
		return err
	}
	for _, o := range c.graph.Outputs() {
		if _, ok := p.results[o.Name]; !ok && !o.Resident {
			p.results[o.Name] = tensor.NewArray(o.Value.Shape...)
		}
	}
	return nil
}

// Run computes the outputs that are not resident from one array per input that is not bound. The
// map and its arrays are the same at each Run. It does not begin when ctx is done, and returns ctx's
// error.
//
// All steps are encoded into one command buffer, or a few where they are many, which are waited for at
// the end; meanwhile the next evaluation is encoded (see ahead.go). An evaluation in which a node
// overflowed is repeated with that node in float32.
func (p *Program) Run(ctx context.Context, in map[string]tensor.Array) (map[string]tensor.Array, error) {
	switch {
	case p.closed:
		return nil, errClosed
	case p.backend.device == nil:
		return nil, errBackendClosed
	}
	if err := p.code.graph.CheckInputs(in, p.isBound); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		p.backend.discardAhead()
		return nil, err
	}
	if err := p.give(in); err != nil {
		return nil, err
	}
	for {
		overflow, err := p.evaluate(ctx)
		if err != nil {
			return nil, err
		}
		if overflow == nil {
			break
		}
		widened, err := p.widen(in)
		if err != nil {
			return nil, err
		}
		if !widened {
			break
		}
	}
	for _, o := range p.code.graph.Outputs() {
		if !o.Resident {
			v := p.code.outputs[o.Name]
			decodeFloats(p.results[o.Name].Data, v.data(), v.dtype)
		}
	}
	return p.results, nil
}

// give writes the inputs, and points bound ones to where their source has them now.
func (p *Program) give(in map[string]tensor.Array) error {
	for name, v := range p.code.inputs {
		s, bound := p.bound[name]
		if !bound {
			if err := p.code.own(v); err != nil {
				return err
			}
			encodeFloats(v.buffer.Bytes(), in[name].Data, v.dtype)
			continue
		}
		if s.program.closed {
			return fmt.Errorf("metal: the program that input %q is bound to is closed", name)
		}
		from := s.program.code.outputs[s.output]
		if from.dtype == v.dtype && from.begin == 0 { // MPSGraph, which takes no offset, may read it
			p.code.disown(v)
			v.buffer = from.buffer
			continue
		}
		if err := p.code.own(v); err != nil {
			return err
		}
		values := make([]float32, v.n)
		decodeFloats(values, from.data(), from.dtype)
		encodeFloats(v.buffer.Bytes(), values, v.dtype)
	}
	return nil
}

func (p *Program) isBound(name string) bool {
	_, ok := p.bound[name]
	return ok
}

// Bind makes input read source's output where it lies, at every later Run.
func (p *Program) Bind(name string, from tensor.Program, output string) error {
	s, ok := from.(*Program)
	switch {
	case !ok || s.backend != p.backend:
		return fmt.Errorf("metal: input %q cannot be bound to a program of another backend", name)
	case p.closed || s.closed:
		return errClosed
	}
	to, value := findInput(p.graph, name), findOutput(s.graph, output)
	switch {
	case to == nil:
		return fmt.Errorf("metal: no input %q to bind", name)
	case value == nil:
		return fmt.Errorf("metal: no output %q to bind input %q to", output, name)
	case !value.Shape.Equal(to.Shape):
		return fmt.Errorf("metal: input %q has shape %s, output %q has %s", name, to.Shape, output, value.Shape)
	}
	p.backend.discardAhead()
	p.bound[name] = source{s, output}
	p.code.disown(p.code.inputs[name])
	return nil
}

func findInput(g *tensor.Graph, name string) *tensor.Tensor {
	for _, t := range g.Nodes() {
		if t.Op == tensor.OpInput && t.Name == name {
			return t
		}
	}
	return nil
}

func findOutput(g *tensor.Graph, name string) *tensor.Tensor {
	for _, o := range g.Outputs() {
		if o.Name == name {
			return o.Value
		}
	}
	return nil
}

// Close releases the program's memory. It may be called again.
func (p *Program) Close() error {
	err := p.code.close()
	p.code, p.closed = nil, true
	return err
}

// Seconds is what the latest Run took on the device.
func (p *Program) Seconds() float64 { return p.seconds }
