//go:build (darwin || softmetal) && cgo

package bridge

// #include "bridge.h"
import "C"

import (
	"fmt"
	"os"
	"unsafe"
)

// Buffer is memory that host and device share.
type Buffer struct {
	h   C.mtl_buffer_t
	mem []byte
}

// NewBuffer allocates length bytes of zeros, length > 0. It fails with [ErrOutOfMemory].
func (d *Device) NewBuffer(length int) (*Buffer, error) {
	op := fmt.Sprintf("buffer of %d bytes", length)
	if err := d.usable(op, length); err != nil {
		return nil, err
	}
	b := &Buffer{}
	if err := take(op, C.mtl_buffer_new(d.h, C.size_t(length), &b.h)); err != nil {
		return nil, err
	}
	return b.mapped(length), nil
}

// WrapBuffer makes a buffer of memory that the device then shares, without a copy. mem is not Go's
// memory: it is a mapping, or part of one, that begins on a page and ends on one (os.Getpagesize;
// 16 KiB on Apple Silicon), and the caller keeps it mapped until the buffer is closed and no command
// uses it. A mapping that can only be read serves a buffer that is only read.
func (d *Device) WrapBuffer(mem []byte) (*Buffer, error) {
	op := fmt.Sprintf("buffer around %d bytes", len(mem))
	if err := d.usable(op, len(mem)); err != nil {
		return nil, err
	}
	if page := os.Getpagesize(); uintptr(unsafe.Pointer(&mem[0]))%uintptr(page) != 0 || len(mem)%page != 0 {
		return nil, &Error{Op: op, Message: fmt.Sprintf("it does not begin and end on a page of %d", page)}
	}
	b := &Buffer{}
	if err := take(op, C.mtl_buffer_wrap(d.h, unsafe.Pointer(&mem[0]), C.size_t(len(mem)), &b.h)); err != nil {
		return nil, err
	}
	return b.mapped(len(mem)), nil
}

func (d *Device) usable(op string, length int) error {
	switch {
	case d.h == nil:
		return closed(op, "the device")
	case length <= 0:
		return &Error{Op: op, Message: "the length must be positive"}
	}
	return nil
}

func (b *Buffer) mapped(length int) *Buffer {
	b.mem = unsafe.Slice((*byte)(C.mtl_buffer_contents(b.h)), length)
	return b
}

// Bytes is the buffer's memory, valid until Close; nil after. While committed commands use it, it is
// the device's.
func (b *Buffer) Bytes() []byte { return b.mem }

// Len is the length in bytes, 0 after Close.
func (b *Buffer) Len() int { return len(b.mem) }

// Close releases the buffer. Commands that use it keep its memory until they are done.
func (b *Buffer) Close() {
	C.mtl_buffer_free(b.h)
	*b = Buffer{}
}
