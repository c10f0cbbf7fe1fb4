package tensortest

import (
	"context"

	"ldm-mac/ldm/tensor"
)

// arena is a backend that computes with the reference's operators but keeps every node where
// tensor.NewPlan puts it, rounded to its storage type: a wrong plan gives wrong results, and the
// bounds of the suite have to allow for storage.
type arena struct{ reference }

type arenaProgram struct {
	*referenceProgram
	plan   *tensor.Plan
	memory []byte
}

func (a arena) Compile(g *tensor.Graph) (tensor.Program, error) {
	p, err := a.reference.Compile(g)
	if err != nil {
		return nil, err
	}
	program := &arenaProgram{referenceProgram: p.(*referenceProgram)}
	for i, index := range program.graph.Indices() {
		if index {
			program.graph.Nodes()[i].DType = tensor.F32
		}
	}
	program.plan = tensor.NewPlan(program.graph)
	program.memory = make([]byte, program.plan.Size)
	return program, nil
}

func (p *arenaProgram) Bind(input string, from tensor.Program, output string) error {
	return p.referenceProgram.Bind(input, from.(*arenaProgram).referenceProgram, output)
}

func (p *arenaProgram) Run(ctx context.Context, in map[string]tensor.Array) (map[string]tensor.Array, error) {
	nodes := p.graph.Nodes()
	plain := p.op
	p.op = func(t *tensor.Tensor, args [][]float64) []float64 {
		for i, operand := range t.Inputs {
			if operand.Op != tensor.OpParam {
				args[i] = p.load(operand)
			}
		}
		values := plain(t, args)
		p.store(t, values)
		return p.load(t)
	}
	defer func() { p.op = plain }()
	for _, t := range nodes {
		a, ok := in[t.Name]
		if s, bound := p.bound[t.Name]; bound {
			a, ok = s.program.last[s.output], true
		}
		if t.Op == tensor.OpInput && ok && len(a.Data) == t.Shape.Elements() {
			p.store(t, widen(a.Data))
		}
	}
	out, err := p.referenceProgram.Run(ctx, in)
	if err != nil {
		return nil, err
	}
	for _, o := range p.graph.Outputs() { // read at the end: outputs have to survive
		if a, ok := out[o.Name]; ok && o.Value.Op != tensor.OpParam {
			for i, v := range p.load(o.Value) {
				a.Data[i] = float32(v)
			}
		}
	}
	return out, nil
}

func (p *arenaProgram) place(t *tensor.Tensor) []byte {
	at := p.plan.Offset[t.Index()]
	return p.memory[at : at+int64(t.Shape.Elements()*t.DType.Size())]
}

func (p *arenaProgram) load(t *tensor.Tensor) []float64 {
	values := make([]float32, t.Shape.Elements())
	if err := tensor.DecodeFloats(values, p.place(t), t.DType); err != nil {
		panic(err)
	}
	return widen(values)
}

func (p *arenaProgram) store(t *tensor.Tensor, values []float64) {
	narrow := make([]float32, len(values))
	for i, v := range values {
		narrow[i] = float32(v)
	}
	copy(p.place(t), tensor.EncodeFloats(nil, narrow, t.DType))
}
