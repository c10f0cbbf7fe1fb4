//go:build (darwin || softmetal) && cgo

package bridge

/*
#cgo darwin CFLAGS: -fno-objc-arc -mmacosx-version-min=14.0
#cgo darwin LDFLAGS: -mmacosx-version-min=14.0
#cgo darwin LDFLAGS: -framework Foundation -framework CoreGraphics -framework Metal
#cgo darwin LDFLAGS: -framework MetalPerformanceShaders -framework MetalPerformanceShadersGraph
#cgo linux CFLAGS: -D_GNU_SOURCE -I${SRCDIR}/softmetal/include
#include <stdlib.h>
#include "bridge.h"
*/
import "C"

import (
	"bytes"
	"unsafe"
)

// Device is the system's default GPU and one queue of commands.
type Device struct {
	h      C.mtl_device_t
	graphs graphCache
}

// Open opens the default device. It fails with [ErrNoDevice] where there is none, as in most
// virtual machines, and with [ErrUnavailable] in a program that was built without Metal.
func Open() (*Device, error) {
	d := &Device{}
	if err := take("open the device", C.mtl_device_open(&d.h)); err != nil {
		return nil, err
	}
	return d, nil
}

// Info describes the device, as of now; it is zero after Close.
func (d *Device) Info() Info {
	if d.h == nil {
		return Info{}
	}
	var c C.struct_mtl_device_info
	C.mtl_device_info(d.h, &c)
	return Info{
		Name:              text(c.name[:]),
		Architecture:      text(c.architecture[:]),
		MaxBuffer:         int(c.max_buffer),
		WorkingSet:        int(c.working_set),
		Allocated:         int(c.allocated),
		ThreadgroupMemory: int(c.threadgroup_memory),
		HeapAlignment:     int(c.heap_alignment),
		AppleFamily:       int(c.apple_family),
		UnifiedMemory:     bool(c.unified_memory),
	}
}

// Close releases the device and the graphs it keeps. All that was made from it is closed before.
func (d *Device) Close() {
	d.graphs.clear()
	C.mtl_device_free(d.h)
	d.h = nil
}

// LiveObjects counts what was made by this package and not closed, in the whole process; graphs
// that a Device keeps for their next user count until it is closed.
func LiveObjects() int64 { return int64(C.mtl_live_objects()) }

// take turns an error of bridge.h into Go's, and frees it.
func take(op string, e C.mtl_error_t) error {
	if e == nil {
		return nil
	}
	defer C.mtl_error_free(e)
	err := &Error{Op: op, Message: C.GoString(C.mtl_error_message(e))}
	switch C.mtl_error_kind(e) {
	case C.MTL_ERROR_NO_DEVICE:
		err.kind = ErrNoDevice
	case C.MTL_ERROR_OUT_OF_MEMORY:
		err.kind = ErrOutOfMemory
	}
	return err
}

// closed is the error of using what was closed, or never made.
func closed(op, what string) error { return &Error{Op: op, Message: what + " is closed"} }

// text is the string in a C array of characters.
func text(c []C.char) string {
	b := unsafe.Slice((*byte)(unsafe.Pointer(&c[0])), len(c))
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
