//go:build (darwin || softmetal) && cgo

package bridge

// #include "bridge.h"
import "C"

import "fmt"

// Heap is memory in which buffers are placed at offsets that the caller chooses; they may overlap,
// to use the same memory at different times. The device runs commands that touch the same heap in
// the order in which they were encoded.
type Heap struct {
	h    C.mtl_heap_t
	size int
}

// NewHeap allocates size bytes, size > 0. It fails with [ErrOutOfMemory].
func (d *Device) NewHeap(size int) (*Heap, error) {
	op := fmt.Sprintf("heap of %d bytes", size)
	if err := d.usable(op, size); err != nil {
		return nil, err
	}
	h := &Heap{}
	if err := take(op, C.mtl_heap_new(d.h, C.size_t(size), &h.h)); err != nil {
		return nil, err
	}
	h.size = size
	return h, nil
}

// NewBuffer places a buffer of length bytes at offset, a multiple of the device's HeapAlignment.
// Its contents are what the memory held.
func (h *Heap) NewBuffer(offset, length int) (*Buffer, error) {
	op := fmt.Sprintf("buffer of %d bytes at %d in a heap of %d", length, offset, h.size)
	switch {
	case h.h == nil:
		return nil, closed(op, "the heap")
	case offset < 0 || length <= 0 || offset > h.size-length:
		return nil, &Error{Op: op, Message: "it does not lie inside"}
	}
	b := &Buffer{}
	if err := take(op, C.mtl_heap_buffer(h.h, C.size_t(offset), C.size_t(length), &b.h)); err != nil {
		return nil, err
	}
	return b.mapped(length), nil
}

// Close releases the heap; its memory lives as long as its buffers.
func (h *Heap) Close() {
	C.mtl_heap_free(h.h)
	*h = Heap{}
}
