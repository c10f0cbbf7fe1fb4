package tensortest

import (
	"context"
	"fmt"

	"ldm-mac/ldm/tensor"
)

// Reference is a backend that computes by Evaluate: slow, and right to float32. Diverge compares
// another one with it.
func Reference() tensor.Backend { return reference{compute} }

type reference struct{ op operator }

func (reference) Name() string { return "reference" }
func (reference) Close() error { return nil }

func (r reference) Compile(g *tensor.Graph) (tensor.Program, error) {
	if err := g.Err(); err != nil {
		return nil, err
	}
	return &referenceProgram{graph: g.Fused(), op: r.op, bound: map[string]source{}}, nil
}

type referenceProgram struct {
	graph *tensor.Graph
	op    operator
	bound map[string]source // by input
	last  map[string]tensor.Array
}

type source struct {
	program *referenceProgram
	output  string
}

func (p *referenceProgram) Run(ctx context.Context, in map[string]tensor.Array) (map[string]tensor.Array, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	isBound := func(name string) bool { return p.bound[name].program != nil }
	if err := p.graph.CheckInputs(in, isBound); err != nil {
		return nil, err
	}
	all := map[string]tensor.Array{}
	for name, a := range in {
		all[name] = a
	}
	for name, s := range p.bound {
		all[name] = s.program.last[s.output]
	}
	values, err := evaluate(p.graph, all, p.op)
	if err != nil {
		return nil, err
	}
	p.last = map[string]tensor.Array{}
	results := map[string]tensor.Array{}
	for _, o := range p.graph.Outputs() {
		a := tensor.NewArray(o.Value.Shape...)
		for i, v := range values[o.Name] {
			a.Data[i] = float32(v)
		}
		p.last[o.Name] = a
		if !o.Resident {
			results[o.Name] = a
		}
	}
	return results, nil
}

func (p *referenceProgram) Bind(input string, from tensor.Program, output string) error {
	s, ok := from.(*referenceProgram)
	if !ok {
		return fmt.Errorf("tensortest: input %q: the source is a program of another backend", input)
	}
	var to, value *tensor.Tensor
	for _, t := range p.graph.Nodes() {
		if t.Op == tensor.OpInput && t.Name == input {
			to = t
		}
	}
	for _, o := range s.graph.Outputs() {
		if o.Name == output {
			value = o.Value
		}
	}
	switch {
	case to == nil:
		return fmt.Errorf("tensortest: bind: no input %q", input)
	case value == nil:
		return fmt.Errorf("tensortest: bind input %q: the source has no output %q", input, output)
	case !to.Shape.Equal(value.Shape):
		return fmt.Errorf("tensortest: bind input %q of shape %s: output %q has shape %s", input, to.Shape, output, value.Shape)
	}
	p.bound[input] = source{s, output}
	return nil
}

func (p *referenceProgram) Close() error { return nil }
