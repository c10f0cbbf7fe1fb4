package metal

import (
	"encoding/binary"
	"math"

	"ldm-mac/bridge"
	"ldm-mac/ldm/tensor"
)

// This file is the guard against overflow. Whatever overflows in a network reaches its outputs as an
// infinity or a NaN, so an evaluation checks only these: a flag on the device, read after the one
// wait, becomes the number of the first output that is not finite. Only then is the evaluation done
// again with a check behind every step, which finds the node where it began; stored in float32, it
// does not overflow.

// flagBytes is the size of the flag's buffer, of which the first four are used.
const flagBytes = 16

const allFinite = math.MaxUint32

func (c *code) loadFlag() error {
	flag, err := c.backend.newBuffer(flagBytes)
	if err != nil {
		return err
	}
	c.flag = flag
	for _, t := range []bridge.DataType{bridge.Float32, bridge.Float16} {
		if _, err := c.backend.pipeline(FiniteArgs{1, 0}.Launch(t)); err != nil {
			return err
		}
	}
	return nil
}

// check encodes that the flag becomes the number of node, unless it is smaller, if v is not finite.
func (c *code) check(commands *bridge.Commands, v *value, node *tensor.Tensor) error {
	if v.kind == weight {
		return nil
	}
	launch := FiniteArgs{uint32(v.n), uint32(node.Index())}.Launch(v.dtype)
	p, err := c.backend.pipeline(launch)
	if err != nil {
		return err
	}
	return commands.Dispatch(p, launch.Args, []bridge.Binding{{Buffer: v.buffer}, {Buffer: c.flag}}, launch.Grid, launch.Group, 0)
}

// overflow is the node that the flag names after an evaluation; nil if all was finite.
func (c *code) overflow() *tensor.Tensor {
	if at := binary.LittleEndian.Uint32(c.flag.Bytes()); at != allFinite {
		return c.graph.Nodes()[at]
	}
	return nil
}

func (c *code) clearFlag() { binary.LittleEndian.PutUint32(c.flag.Bytes(), allFinite) }

// watch repeats an evaluation with a check behind every step. It returns the first node that is not
// finite; nil if there is none.
func (p *Program) watch() (*tensor.Tensor, error) {
	c := p.code
	c.backend.discardAhead()
	c.clearFlag()
	var work commandLists
	defer work.close()
	for i, steps := range c.commandBuffers() {
		commands, err := work.begin(c.backend)
		if err == nil && i == 0 {
			err = c.checkInputs(commands)
		}
		for _, s := range steps {
			if err == nil {
				err = c.encodeStep(commands, s)
			}
			if v := s.writes(); err == nil && v.finisher == s {
				err = c.check(commands, v, s.node)
			}
		}
		if err == nil {
			err = commands.Commit()
		}
		if err != nil {
			return nil, failed(err)
		}
	}
	if _, err := work.wait(); err != nil {
		return nil, failed(err)
	}
	return c.overflow(), nil
}

func (c *code) checkInputs(commands *bridge.Commands) error {
	for _, t := range c.graph.Nodes() {
		if t.Op == tensor.OpInput {
			if err := c.check(commands, c.inputs[t.Name], t); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *code) checkOutputs(commands *bridge.Commands) error {
	for _, o := range c.graph.Outputs() {
		if err := c.check(commands, c.outputs[o.Name], o.Value); err != nil {
			return err
		}
	}
	return nil
}

// widen finds the node where an evaluation ceased to be finite and compiles the program anew with
// that node, and what reads it, in float32. It tells whether that was possible: a node that is float32
// already, or an input that was given so, stays as it is.
func (p *Program) widen(in map[string]tensor.Array) (bool, error) {
	node, err := p.watch()
	if err != nil || node == nil {
		return false, err
	}
	rounded := p.code.casts[p.code.values[node.Index()]] != nil // for what reads it
	if p.wide[node.Name] || dataType(node) == bridge.Float32 && !rounded {
		return false, nil
	}
	p.wide[node.Name] = true
	p.backend.notice("%s does not fit into float16 and is computed in float32 from now on", node.Name)
	if err := p.compile(); err != nil {
		return false, err
	}
	return true, p.give(in)
}
