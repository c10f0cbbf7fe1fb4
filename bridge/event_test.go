//go:build (darwin || softmetal) && cgo

package bridge

import (
	"strings"
	"testing"
)

// TestEvent runs commands that wait for a value which is there, or comes after they were committed.
func TestEvent(t *testing.T) {
	d := open(t)
	e := closer[*Event](t)(d.NewEvent())
	a, b := filled(t, d, Float32, []float32{1}), filled(t, d, Float32, []float32{0})
	for value := uint64(1); value <= 4; value++ {
		c := closer[*Commands](t)(d.Begin("waits"))
		check(t, c.WaitFor(e, value))
		check(t, c.Copy(Binding{Buffer: b}, Binding{Buffer: a}, 4))
		if value%2 == 1 {
			e.Signal(value)
		}
		check(t, c.Commit())
		view[float32](a)[0] = float32(value) // before the signal where that comes after the commit
		e.Signal(value)
		e.Signal(1) // no event goes back
		_, err := c.Wait()
		check(t, err)
		if got := numbers(b, Float32)[0]; value%2 == 0 && got != float32(value) {
			t.Errorf("commands that waited for %d copied %g", value, got)
		}
		if n := c.Submitted(); n != 0 {
			t.Errorf("MPSGraph, of which nothing was encoded, committed %d command buffers", n)
		}
	}
}

func TestEventErrors(t *testing.T) {
	d := open(t)
	e := closer[*Event](t)(d.NewEvent())
	c := closer[*Commands](t)(d.Begin("errors"))
	gone, err := d.NewEvent()
	check(t, err)
	gone.Close()
	gone.Close()
	gone.Signal(3)
	check(t, c.Commit())
	_, err = c.Wait()
	check(t, err)
	for name, err := range map[string]error{
		"the event is closed":        c.WaitFor(gone, 1),
		"the commands are committed": c.WaitFor(e, 1),
	} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("the error is %v, want one with %q", err, name)
		}
	}
	closed := &Device{}
	if _, err := closed.NewEvent(); err == nil {
		t.Error("a closed device makes an event")
	}
}
