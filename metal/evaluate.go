package metal

import (
	"context"

	"ldm-mac/bridge"
	"ldm-mac/ldm/tensor"
)

// commandLists are the command buffers of an evaluation in the order in which they are committed.
type commandLists []*bridge.Commands

func (w *commandLists) begin(b *Backend) (*bridge.Commands, error) {
	commands, err := b.device.Begin("evaluation")
	if err == nil {
		*w = append(*w, commands)
	}
	return commands, err
}

// wait waits for all and returns the seconds that the device took.
func (w commandLists) wait() (total float64, err error) {
	for _, commands := range w {
		seconds, err := commands.Wait()
		if err != nil {
			return 0, err
		}
		total += seconds
	}
	return total, nil
}

func (w *commandLists) close() {
	for _, commands := range *w {
		commands.Close()
	}
}

// evaluate runs the steps on the inputs that are written, and begins the next evaluation meanwhile. It
// returns the first output that is not finite; nil if there is none.
//
// No barriers are needed. Commands run in the order in which they were encoded, each after what the
// ones before it wrote, and touch the heap, whose hazards Metal tracks, as one resource: a step reads
// what an earlier one wrote (RAW), and writes where an earlier one read (WAR) or wrote (WAW), only
// when that is done, although different buffers share the memory.
func (p *Program) evaluate(ctx context.Context) (*tensor.Tensor, error) {
	c, b := p.code, p.backend
	if b.latest != c {
		b.latest, c.succession = c, 0
	}
	c.succession++
	c.clearFlag()
	var work commandLists
	defer work.close()
	if err := c.commit(&work, b.takeAhead(c)); err != nil {
		return nil, failed(err)
	}
	b.encodeAhead(ctx, c)
	seconds, err := work.wait()
	if err != nil {
		return nil, failed(err)
	}
	p.seconds = seconds
	return c.overflow(), nil
}

// commit encodes what begun, which may be nil, has not of an evaluation, and commits all.
func (c *code) commit(work *commandLists, begun *ahead) error {
	lists := c.commandBuffers()
	for i, steps := range lists {
		var commands *bridge.Commands
		first, whole := 0, false
		if begun != nil && i == 0 {
			commands, first, whole = begun.commands, begun.steps, begun.whole
			*work = append(*work, commands)
		} else {
			var err error
			if commands, err = work.begin(c.backend); err != nil {
				return err
			}
		}
		for at := first; at < len(steps); at++ {
			if err := c.encodeStep(commands, steps[at]); err != nil {
				return err
			}
			if i == 0 {
				c.submitted(commands, at)
			}
		}
		if i == len(lists)-1 && !whole {
			if err := c.checkOutputs(commands); err != nil {
				return err
			}
		}
		if err := commands.Commit(); err != nil {
			return err
		}
	}
	return nil
}
