//go:build linux && cgo

package runtime

// #cgo LDFLAGS: -ldl -lpthread
// #include <stdlib.h>
// #include "softmetal_runtime.h"
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"
)

// A Library is a kernel library in memory. Close releases it; its kernels end with it.
type Library struct {
	library *C.struct_sm_library
}

// Open loads a library that mslc made at path.
func Open(path string) (*Library, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	var message [512]C.char
	l := C.sm_library_open(name, &message[0], C.size_t(len(message)))
	if l == nil {
		return nil, errors.New(C.GoString(&message[0]))
	}
	return &Library{l}, nil
}

// Close releases the library. A second call does nothing.
func (l *Library) Close() {
	C.sm_library_close(l.library)
	l.library = nil
}

// Functions returns the names of the kernels, in the order of the source.
func (l *Library) Functions() []string {
	var names []string
	for i := range C.sm_library_functions(l.library) {
		names = append(names, C.GoString(C.sm_kernel_info(C.sm_library_function(l.library, i)).name))
	}
	return names
}

// Checkers chooses what is looked for while a kernel runs.
type Checkers uint32

// The checkers. Any of them needs a library compiled with mslc -check; barriers and simdgroup
// operations are always checked.
const (
	CheckBounds        Checkers = C.SM_CHECK_BOUNDS
	CheckRaces         Checkers = C.SM_CHECK_RACES
	CheckUninitialised Checkers = C.SM_CHECK_UNINITIALISED
	CheckAll           Checkers = C.SM_CHECK_ALL
)

// A Launch is one run of a kernel: what is bound, and how many threads. Buffers are by slot; the
// kernel writes to them. Constants are the bytes of function constants by index. Threadgroup holds
// the lengths in bytes of threadgroup arguments by slot. Grid counts threadgroups and Group the
// threads of each, in x, y and z. Seed orders threads, 0 in ascending order.
type Launch struct {
	Buffers     map[int][]byte
	Constants   map[int][]byte
	Threadgroup map[int]int
	Grid, Group [3]int
	Seed        uint32
	Checkers    Checkers
}

// A FaultKind says what a kernel did wrong.
type FaultKind int

// The kinds of faults, as enum sm_fault_kind explains them.
const (
	FaultLaunch        FaultKind = C.SM_FAULT_LAUNCH
	FaultBounds        FaultKind = C.SM_FAULT_BOUNDS
	FaultAlignment     FaultKind = C.SM_FAULT_ALIGNMENT
	FaultRace          FaultKind = C.SM_FAULT_RACE
	FaultUninitialised FaultKind = C.SM_FAULT_UNINITIALISED
	FaultBarrier       FaultKind = C.SM_FAULT_BARRIER
	FaultCollective    FaultKind = C.SM_FAULT_COLLECTIVE
	FaultMemory        FaultKind = C.SM_FAULT_MEMORY
	FaultArithmetic    FaultKind = C.SM_FAULT_ARITHMETIC
)

// A Fault is the error of a kernel that did something wrong. Line is 0 where it is unknown, Other
// -1 where no second thread is part of it.
type Fault struct {
	Kind                FaultKind
	Kernel, File        string
	Line                int
	Threadgroup, Thread [3]int
	Other               int
	Offset, Bytes       int
	Message             string
}

func (f *Fault) Error() string { return "softmetal: " + f.Message }

// Run runs the kernel of that name. The error is a [*Fault] when the kernel or its launch is wrong.
func (l *Library) Run(kernel string, launch Launch) error {
	name := C.CString(kernel)
	defer C.free(unsafe.Pointer(name))
	k := C.sm_kernel_find(l.library, name)
	if k == nil {
		return fmt.Errorf("softmetal: the library has no kernel %q", kernel)
	}
	var pins runtime.Pinner
	defer pins.Unpin()
	var c C.struct_sm_launch
	var bindings []C.struct_sm_binding
	for index, b := range launch.Buffers {
		data := unsafe.SliceData(b)
		pins.Pin(data)
		bindings = append(bindings, C.struct_sm_binding{
			bytes: unsafe.Pointer(data), length: C.uint64_t(len(b)), index: C.uint32_t(index)})
	}
	var constants []C.struct_sm_constant
	for index, b := range launch.Constants {
		data := unsafe.SliceData(b)
		pins.Pin(data)
		constants = append(constants, C.struct_sm_constant{
			value: unsafe.Pointer(data), size: C.uint32_t(len(b)), index: C.uint32_t(index)})
	}
	if len(bindings) > 0 {
		pins.Pin(&bindings[0])
		c.bindings, c.binding_count = &bindings[0], C.uint32_t(len(bindings))
	}
	if len(constants) > 0 {
		pins.Pin(&constants[0])
		c.constants, c.constant_count = &constants[0], C.uint32_t(len(constants))
	}
	for index, bytes := range launch.Threadgroup {
		c.threadgroup_bytes[index] = C.uint32_t(bytes)
	}
	c.grid, c.group = size(launch.Grid), size(launch.Group)
	options := C.struct_sm_options{seed: C.uint32_t(launch.Seed), checkers: C.uint32_t(launch.Checkers)}
	var fault C.struct_sm_fault
	if C.sm_dispatch(l.library, k, &c, &options, &fault) {
		return nil
	}
	return faultOf(&fault)
}

func size(n [3]int) C.struct_sm_size {
	return C.struct_sm_size{x: C.uint32_t(n[0]), y: C.uint32_t(n[1]), z: C.uint32_t(n[2])}
}

func faultOf(f *C.struct_sm_fault) *Fault {
	return &Fault{
		Kind:        FaultKind(f.kind),
		Kernel:      C.GoString(&f.kernel[0]),
		File:        C.GoString(&f.file[0]),
		Line:        int(f.line),
		Threadgroup: [3]int{int(f.threadgroup.x), int(f.threadgroup.y), int(f.threadgroup.z)},
		Thread:      [3]int{int(f.thread.x), int(f.thread.y), int(f.thread.z)},
		Other:       int(f.other),
		Offset:      int(f.offset),
		Bytes:       int(f.bytes),
		Message:     C.GoString(&f.message[0]),
	}
}
