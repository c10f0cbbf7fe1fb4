package metal

import (
	"context"
	"slices"

	"ldm-mac/bridge"
)

// This file encodes the beginning of a program's next evaluation while the device computes the present
// one. Buffers, arguments and order are the same in every evaluation, so that all that is left to do
// before the next one begins is to write its inputs.
//
// MPSGraph may commit the command buffer that it encodes to, on its own, and go on in another. What is
// encoded ahead would then run before its inputs are written, or before the host has read the results
// of the evaluation before it. Therefore:
//
//   - With graphs in it, what is encoded ahead begins with the wait for an event that the host signals
//     when the inputs are there.
//   - An evaluation that is encoded when its inputs are there shows where MPSGraph commits. Encoding
//     ahead ends before that step (limit), so that normally nothing that waits is ever committed: all
//     that is committed later would wait too, and who waits for that would wait forever.
//   - Where MPSGraph commits all the same, encoding ahead ends at once, and the rest is encoded when the
//     event was signalled: never does more than one command buffer wait in the queue.
//   - Before another program uses the queue, the event is signalled, and what was committed runs on
//     former inputs and is waited for. Its results are lost, so programs whose results stay on the
//     device are not encoded ahead.
//   - Only the first command buffer of an evaluation is encoded ahead, since MPSGraph could commit the
//     second before it.

// ahead is the encoded beginning of a program's next evaluation.
type ahead struct {
	code     *code
	commands *bridge.Commands
	steps    int  // that are encoded
	whole    bool // all of the evaluation is, with its guard
	waits    bool // for the event
}

// encodeAhead begins the next evaluation of a program that has run twice in succession: one that runs
// once, or in turn with others, is not the next to run. An error is left to that evaluation.
func (b *Backend) encodeAhead(ctx context.Context, c *code) {
	if c.succession < 2 || c.keeps || c.limit == 0 || ctx.Err() != nil {
		return
	}
	commands, err := b.device.Begin("evaluation")
	if err != nil {
		return
	}
	b.ahead = &ahead{code: c, commands: commands}
	if err := b.ahead.encode(); err != nil {
		b.discardAhead()
	}
}

func (a *ahead) encode() error {
	c := a.code
	lists := c.commandBuffers()
	steps := lists[0][:min(len(lists[0]), c.limit)]
	if slices.ContainsFunc(steps, func(s *step) bool { return s.pipeline == nil }) {
		if err := c.backend.holdAhead(a); err != nil {
			return err
		}
	}
	for _, s := range steps {
		if err := c.encodeStep(a.commands, s); err != nil {
			return err
		}
		a.steps++
		if c.submitted(a.commands, a.steps-1) {
			return nil
		}
	}
	if a.whole = len(lists) == 1 && a.steps == len(lists[0]); a.whole {
		return c.checkOutputs(a.commands)
	}
	return nil
}

// holdAhead lets what is encoded in a wait for the next value of the event.
func (b *Backend) holdAhead(a *ahead) (err error) {
	if b.event == nil {
		if b.event, err = b.device.NewEvent(); err != nil {
			return err
		}
	}
	a.waits = true
	return a.commands.WaitFor(b.event, b.signalled+1)
}

// takeAhead returns what was encoded ahead for c, whose inputs are written; nil if there is nothing. What
// was encoded for another program is dropped. So what is returned reads the buffers that c reads now:
// a bound input has another only after its source has run, or it was bound anew.
func (b *Backend) takeAhead(c *code) *ahead {
	a := b.ahead
	if a == nil {
		return nil
	}
	if a.code != c {
		b.discardAhead()
		return nil
	}
	b.signal(a)
	b.ahead = nil
	return a
}

// discardAhead drops what was encoded ahead, for whichever program.
func (b *Backend) discardAhead() {
	if a := b.ahead; a != nil {
		b.signal(a)
		a.commands.Close() // waits for what MPSGraph has committed
		b.ahead = nil
	}
}

func (b *Backend) signal(a *ahead) {
	if a.waits {
		b.signalled++
		b.event.Signal(b.signalled)
	}
}

// submitted tells whether MPSGraph has committed commands on its own, and notes before which step of the
// first command buffer it did not.
func (c *code) submitted(commands *bridge.Commands, step int) bool {
	if commands.Submitted() == 0 {
		return false
	}
	c.limit = min(c.limit, step)
	return true
}
