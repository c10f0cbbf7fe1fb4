//go:build (darwin || softmetal) && cgo

package bridge

// #cgo noescape mtl_event_signal
// #cgo nocallback mtl_event_signal
// #cgo noescape mtl_commands_submitted
// #cgo nocallback mtl_commands_submitted
// #include "bridge.h"
import "C"

import "fmt"

// Event is a number that only grows, from 0, for commands to wait for.
type Event struct{ h C.mtl_event_t }

// NewEvent makes an event.
func (d *Device) NewEvent() (*Event, error) {
	if d.h == nil {
		return nil, closed("event", "the device")
	}
	e := &Event{}
	if err := take("event", C.mtl_event_new(d.h, &e.h)); err != nil {
		return nil, err
	}
	return e, nil
}

// Signal raises the event to value, unless it is there already. Commands that wait for it see what was
// written to buffers before.
func (e *Event) Signal(value uint64) {
	if e.h != nil {
		C.mtl_event_signal(e.h, C.uint64_t(value))
	}
}

// Close releases the event. Commands that wait for it keep it.
func (e *Event) Close() {
	C.mtl_event_free(e.h)
	*e = Event{}
}

// WaitFor holds what is encoded from here on until e has reached value. Once it is committed, so is all
// that is committed to the device after it.
func (c *Commands) WaitFor(e *Event, value uint64) error {
	op := fmt.Sprintf("wait for value %d of an event", value)
	if e.h == nil {
		return closed(op, "the event")
	}
	if err := c.open(op); err != nil {
		return err
	}
	C.mtl_commands_wait_event(c.h, e.h, C.uint64_t(value))
	return nil
}

// Submitted is how many command buffers MPSGraph has committed on its own while it encoded: what was
// encoded before they were, the device may have done already. It is 0 after Close.
func (c *Commands) Submitted() int {
	if c.h == nil {
		return 0
	}
	return int(C.mtl_commands_submitted(c.h))
}
