package cpu

import (
	"fmt"
	"math"

	"ldm-mac/ldm/tensor"
)

// compiler turns a graph into a program's steps.
type compiler struct {
	*Program
	slab    []float32 // the unused rest of the latest memory for weights
	packs   map[*tensor.Tensor]*packed
	scratch int // floats that some step needs
}

// Compile makes g ready to run: it fuses, plans the activations' memory and stores the weights as
// the kernels read them. A graph of F16 or BF16 activations is computed in F32; only its Casts
// round.
func (b *Backend) Compile(g *tensor.Graph) (tensor.Program, error) {
	if err := g.Err(); err != nil {
		return nil, err
	}
	if b.closed {
		return nil, errBackendClosed
	}
	c := &compiler{
		Program: &Program{backend: b, graph: g.Fused(), inputs: map[string]*input{}, results: map[string]tensor.Array{}},
		packs:   map[*tensor.Tensor]*packed{},
	}
	if err := c.compile(); err != nil {
		c.Close()
		return nil, err
	}
	return c.Program, nil
}

func (c *compiler) compile() error {
	stored, err := c.widen()
	if err != nil {
		return err
	}
	plan := tensor.NewPlan(c.graph)
	if plan.Size < 0 {
		return fmt.Errorf("cpu: %w: the activations of %d nodes", tensor.ErrOutOfMemory, len(stored))
	}
	arena, err := c.backend.allocate(plan.Size / 4)
	if err != nil {
		return err
	}
	c.memory = append(c.memory, arena)
	for i, t := range c.graph.Nodes() {
		v := &value{}
		switch {
		case t.Op == tensor.OpReshape && t.Inputs[0].Op != tensor.OpParam:
			v = c.values[t.Inputs[0].Index()]
		case t.Op != tensor.OpParam:
			at := plan.Offset[i] / 4
			v.data = arena[at : at+int64(t.Shape.Elements())]
		}
		c.values = append(c.values, v)
		steps, err := c.steps(t, stored[i])
		if err != nil {
			return err
		}
		if len(steps) > 0 {
			c.nodes = append(c.nodes, node{tensor: t, steps: steps})
		}
	}
	for _, o := range c.graph.Outputs() {
		v, err := c.operand(o.Value)
		if err != nil {
			return err
		}
		if !o.Resident {
			result := tensor.NewArray(o.Value.Shape...)
			c.results[o.Name] = result
			c.outputs = append(c.outputs, output{v, result.Data})
		}
	}
	return c.backend.reserve(c.scratch)
}

// widen makes the activations F32, and returns the type that each node asked for.
func (c *compiler) widen() ([]tensor.DType, error) {
	var total int64
	var stored []tensor.DType
	for _, t := range c.graph.Nodes() {
		stored = append(stored, t.DType)
		if t.Op == tensor.OpParam {
			continue
		}
		t.DType = tensor.F32
		elements := int64(1)
		for _, d := range t.Shape {
			if elements > math.MaxInt64/8/int64(d) {
				return nil, fmt.Errorf("cpu: %w: %s has shape %s", tensor.ErrOutOfMemory, t.Name, t.Shape)
			}
			elements *= int64(d)
		}
		if total += 4 * elements; total < 0 {
			return nil, fmt.Errorf("cpu: %w at %s", tensor.ErrOutOfMemory, t.Name)
		}
	}
	return stored, nil
}

// steps are the work of one node; none for leaves and views.
func (c *compiler) steps(t *tensor.Tensor, stored tensor.DType) ([]*step, error) {
	switch t.Op {
	case tensor.OpInput:
		c.inputs[t.Name] = &input{name: t.Name, value: c.values[t.Index()], shape: t.Shape}
		return nil, nil
	case tensor.OpParam:
		return nil, nil
	case tensor.OpLinear:
		return c.linear(t)
	case tensor.OpConv2D:
		return c.conv2D(t)
	case tensor.OpGroupNorm:
		return c.groupNorm(t)
	}
	operands := make([]*value, len(t.Inputs))
	for i, in := range t.Inputs {
		v, err := c.operand(in)
		if err != nil {
			return nil, err
		}
		operands[i] = v
	}
	dst, x := c.values[t.Index()], operands[0]
	switch t.Op {
	case tensor.OpAdd:
		return binary(add, dst, x, operands[1], t), nil
	case tensor.OpMul:
		return binary(mul, dst, x, operands[1], t), nil
	case tensor.OpAffine:
		a := t.Attrs
		return unary(dst, x, t, func(dst, x []float32) { affine(dst, x, a.Scale, a.Shift) }), nil
	case tensor.OpSiLU:
		return unary(dst, x, t, silu), nil
	case tensor.OpGELU:
		return unary(dst, x, t, gelu), nil
	case tensor.OpQuickGELU:
		return unary(dst, x, t, quickGELU), nil
	case tensor.OpCast:
		return unary(dst, x, t, caster(stored)), nil
	case tensor.OpLayerNorm:
		return layerNormSteps(dst, x, operands[1], operands[2], t), nil
	case tensor.OpSoftmax:
		return softmaxSteps(dst, x, t), nil
	case tensor.OpMatMul:
		return c.matMul(dst, x, operands[1], t), nil
	case tensor.OpAttention:
		return c.attention(dst, x, operands[1], operands[2], t), nil
	case tensor.OpReshape:
		if dst == x {
			return nil, nil
		}
		return unary(dst, x, t, func(dst, x []float32) { copy(dst, x) }), nil
	case tensor.OpPermute:
		return permute(dst, x, t), nil
	case tensor.OpConcat:
		return concat(dst, operands, t), nil
	case tensor.OpSlice:
		return slice(dst, x, t), nil
	case tensor.OpRow:
		return row(dst, x, operands[1], t), nil
	case tensor.OpPad:
		return pad(dst, x, t), nil
	case tensor.OpUpsample:
		return upsample(dst, x, t), nil
	case tensor.OpAvgPool2D:
		return avgPool2D(dst, x, t), nil
	}
	return nil, fmt.Errorf("cpu: %s: operator %s is %w", t.Name, t.Op, tensor.ErrUnsupported)
}
