//go:build (darwin || softmetal) && cgo

package bridge

// #cgo noescape mtl_commands_dispatch
// #cgo nocallback mtl_commands_dispatch
// #cgo noescape mtl_commands_graph
// #cgo nocallback mtl_commands_graph
// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"fmt"
	"unsafe"
)

// Commands is work for the device, which runs it in the order in which it was encoded, each command
// after what the ones before it wrote. After an error it can only be closed.
type Commands struct {
	h         C.mtl_commands_t
	label     string
	committed bool
}

// Begin starts an empty list of commands. label is seen in Apple's tools and in errors.
func (d *Device) Begin(label string) (*Commands, error) {
	op := fmt.Sprintf("commands %q", label)
	if d.h == nil {
		return nil, closed(op, "the device")
	}
	text := C.CString(label)
	defer C.free(unsafe.Pointer(text))
	c := &Commands{label: label}
	if err := take(op, C.mtl_commands_begin(d.h, text, &c.h)); err != nil {
		return nil, err
	}
	return c, nil
}

// Dispatch runs a kernel on grid threadgroups of group threads. args, at most 4095 bytes, is copied
// to the kernel's buffer(0), unless it is empty; bindings are its buffer(1), buffer(2) and so on, at
// most 30; one without a Buffer leaves its index unbound. threadgroupBytes, a multiple of 16, is the
// length of threadgroup(0).
func (c *Commands) Dispatch(p *Pipeline, args []byte, bindings []Binding, grid, group Size, threadgroupBytes int) error {
	op := p.op
	if p.h == nil {
		return closed("dispatch", "the pipeline")
	}
	if err := c.open(op); err != nil {
		return err
	}
	if err := dispatchable(op, len(args), len(bindings), p.MaxThreads(), grid, group, threadgroupBytes); err != nil {
		return err
	}
	var bound [maxBindings]C.struct_mtl_binding
	for i, b := range bindings {
		if b.Buffer == nil {
			continue
		}
		if err := b.inside(op, 1); err != nil {
			return err
		}
		bound[i] = b.c()
	}
	return take(op, C.mtl_commands_dispatch(c.h, p.h, unsafe.Pointer(unsafe.SliceData(args)), C.size_t(len(args)),
		&bound[0], C.size_t(len(bindings)), C.uint32_t(threadgroupBytes), grid.c(), group.c()))
}

// MatMul multiplies; see MatMulDesc for the operands. bias is nil if the product has none. Each
// operand begins at the start of its buffer.
func (c *Commands) MatMul(m *MatMul, a, b, bias, result *Buffer) error {
	return c.graph(m.g, a, b, bias, result)
}

// Conv2D convolves; see Conv2DDesc for the operands. bias is nil if the convolution has none. Each
// operand begins at the start of its buffer.
func (c *Commands) Conv2D(v *Conv2D, data, weights, bias, result *Buffer) error {
	return c.graph(v.g, data, weights, bias, result)
}

func (c *Commands) graph(g *graph, a, b, bias, result *Buffer) error {
	if g == nil {
		return closed(fmt.Sprintf("commands %q", c.label), "the graph")
	}
	if err := c.open(g.name); err != nil {
		return err
	}
	if (bias != nil) != (len(g.operands) == 3) {
		return &Error{Op: g.name, Message: "a bias is given to a graph without one, or the other way round"}
	}
	buffers := [...]*Buffer{a, b, bias}
	var handles [len(buffers)]C.mtl_buffer_t
	for i, size := range g.operands {
		// MPS ends the process at a buffer that is too small (pytorch/pytorch issue 77851).
		if err := (Binding{Buffer: buffers[i]}).inside(g.name, size); err != nil {
			return err
		}
		handles[i] = buffers[i].h
	}
	if err := (Binding{Buffer: result}).inside(g.name, g.result); err != nil {
		return err
	}
	return take(g.name, C.mtl_commands_graph(c.h, g.h, &handles[0], result.h))
}

// Copy copies n bytes, n > 0 and a multiple of 4, as Metal wants it on macOS; source and destination
// do not overlap.
func (c *Commands) Copy(dst, src Binding, n int) error {
	op := fmt.Sprintf("copy of %d bytes", n)
	if err := c.open(op); err != nil {
		return err
	}
	if n%4 != 0 {
		return &Error{Op: op, Message: "the size is not a multiple of 4"}
	}
	for _, b := range []Binding{dst, src} {
		if err := b.inside(op, n); err != nil {
			return err
		}
	}
	return take(op, C.mtl_commands_copy(c.h, src.c(), dst.c(), C.size_t(n)))
}

// Commit hands the commands to the device and returns at once. Nothing more can be encoded.
func (c *Commands) Commit() error {
	if err := c.open(fmt.Sprintf("commands %q", c.label)); err != nil {
		return err
	}
	C.mtl_commands_commit(c.h)
	c.committed = true
	return nil
}

// Wait returns when the device is done with committed commands, with the seconds it spent from
// start to end, or the error that ended them. It may be called again.
func (c *Commands) Wait() (gpuSeconds float64, err error) {
	op := fmt.Sprintf("commands %q", c.label)
	switch {
	case c.h == nil:
		return 0, closed(op, "the list")
	case !c.committed:
		return 0, &Error{Op: op, Message: "it is not committed"}
	}
	var seconds C.double
	err = take(op, C.mtl_commands_wait(c.h, &seconds))
	return float64(seconds), err
}

// Close drops commands that were not committed, and waits for those that were, by MPSGraph too: events
// that these wait for are signalled before.
func (c *Commands) Close() {
	C.mtl_commands_free(c.h)
	*c = Commands{}
}

// open reports commands that nothing can be added to.
func (c *Commands) open(op string) error {
	switch {
	case c.h == nil:
		return closed(op, "the list of commands")
	case c.committed:
		return &Error{Op: op, Message: "the commands are committed"}
	}
	return nil
}

// inside reports a binding of which n bytes do not lie in its buffer.
func (b Binding) inside(op string, n int) error {
	switch {
	case b.Buffer == nil || b.Buffer.h == nil:
		return closed(op, "a buffer")
	case n <= 0 || b.Offset < 0 || b.Offset > b.Buffer.Len()-n:
		return &Error{Op: op, Message: fmt.Sprintf("%d bytes at %d do not lie in a buffer of %d", n, b.Offset, b.Buffer.Len())}
	case b.Offset%4 != 0:
		return &Error{Op: op, Message: fmt.Sprintf("the offset %d is not a multiple of 4", b.Offset)}
	}
	return nil
}

func (b Binding) c() C.struct_mtl_binding {
	return C.struct_mtl_binding{buffer: b.Buffer.h, offset: C.uint64_t(b.Offset)}
}

func (s Size) c() C.struct_mtl_size {
	return C.struct_mtl_size{x: C.uint32_t(s.X), y: C.uint32_t(s.Y), z: C.uint32_t(s.Z)}
}
