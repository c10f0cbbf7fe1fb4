//go:build (darwin || softmetal) && cgo

package bridge

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"fmt"
	"math"
	"unsafe"
)

// Library is compiled Metal source.
type Library struct{ h C.mtl_library_t }

// NewLibrary compiles Metal Shading Language 3.0. The error holds the compiler's messages, which
// name lines of source.
func (d *Device) NewLibrary(source string) (*Library, error) {
	const op = "compile kernels"
	if d.h == nil {
		return nil, closed(op, "the device")
	}
	text := C.CString(source)
	defer C.free(unsafe.Pointer(text))
	l := &Library{}
	if err := take(op, C.mtl_library_new(d.h, text, C.size_t(len(source)), &l.h)); err != nil {
		return nil, err
	}
	return l, nil
}

// Close releases the library; pipelines made from it live on.
func (l *Library) Close() {
	C.mtl_library_free(l.h)
	*l = Library{}
}

// Pipeline is one kernel with its constants, ready to dispatch.
type Pipeline struct {
	h                                        C.mtl_pipeline_t
	name                                     string
	op                                       string // a dispatch, in errors
	simdWidth, maxThreads, threadgroupMemory C.uint32_t
}

// NewPipeline prepares a kernel. constants holds a value for every constant that the kernel uses.
// With an archive, which may be nil, the pipeline is taken from there, or added when it is missing.
func (l *Library) NewPipeline(function string, constants []Constant, archive *Archive) (*Pipeline, error) {
	op := fmt.Sprintf("kernel %q", function)
	if l.h == nil {
		return nil, closed(op, "the library")
	}
	values := make([]C.struct_mtl_constant, len(constants))
	for i, c := range constants {
		v := &values[i]
		v.index = C.uint32_t(c.Index)
		switch x := c.Value.(type) {
		case bool:
			v._type = C.MTL_CONSTANT_BOOL
			if x {
				v.bits = 1
			}
		case int32:
			v._type, v.bits = C.MTL_CONSTANT_INT, C.uint32_t(x)
		case uint32:
			v._type, v.bits = C.MTL_CONSTANT_UINT, C.uint32_t(x)
		case float32:
			v._type, v.bits = C.MTL_CONSTANT_FLOAT, C.uint32_t(math.Float32bits(x))
		default:
			return nil, &Error{Op: op, Message: fmt.Sprintf("constant %d is a %T, want bool, int32, uint32 or float32", c.Index, c.Value)}
		}
	}
	var kept C.mtl_archive_t
	if archive != nil {
		kept = archive.h
	}
	name := C.CString(function)
	defer C.free(unsafe.Pointer(name))
	p := &Pipeline{name: function, op: fmt.Sprintf("dispatch of kernel %q", function)}
	e := C.mtl_pipeline_new(l.h, name, unsafe.SliceData(values), C.size_t(len(values)), kept, &p.h)
	if err := take(op, e); err != nil {
		return nil, err
	}
	C.mtl_pipeline_info(p.h, &p.simdWidth, &p.maxThreads, &p.threadgroupMemory)
	return p, nil
}

// Name is the kernel's name.
func (p *Pipeline) Name() string { return p.name }

// SIMDWidth is the number of threads that run in step: 32 on every Apple GPU.
func (p *Pipeline) SIMDWidth() int { return int(p.simdWidth) }

// MaxThreads is the most threads in a threadgroup: 1024, or fewer where the kernel needs many
// registers.
func (p *Pipeline) MaxThreads() int { return int(p.maxThreads) }

// ThreadgroupMemory is what the kernel itself declares, in bytes; what Dispatch is told comes on top.
func (p *Pipeline) ThreadgroupMemory() int { return int(p.threadgroupMemory) }

// Close releases the pipeline.
func (p *Pipeline) Close() {
	C.mtl_pipeline_free(p.h)
	*p = Pipeline{}
}
