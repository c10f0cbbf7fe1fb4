//go:build (darwin || softmetal) && cgo

package bridge

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"fmt"
	"unsafe"
)

// Archive keeps compiled pipelines in a file, so that they are not compiled at every start.
type Archive struct {
	h    C.mtl_archive_t
	path string
}

// OpenArchive reads the archive in a file, or begins an empty one if there is no such file. A file
// that Metal does not accept, because it is damaged or comes from another device or system, is an
// error: remove it and open again.
func (d *Device) OpenArchive(path string) (*Archive, error) {
	op := fmt.Sprintf("kernel archive %q", path)
	if d.h == nil {
		return nil, closed(op, "the device")
	}
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	a := &Archive{path: path}
	if err := take(op, C.mtl_archive_open(d.h, name, &a.h)); err != nil {
		return nil, err
	}
	return a, nil
}

// Save writes the archive to its file, if a pipeline was added. The file is replaced in one step.
func (a *Archive) Save() error {
	op := fmt.Sprintf("kernel archive %q", a.path)
	if a.h == nil {
		return closed(op, "it")
	}
	name := C.CString(a.path)
	defer C.free(unsafe.Pointer(name))
	return take(op, C.mtl_archive_save(a.h, name))
}

// Close releases the archive without saving it.
func (a *Archive) Close() {
	C.mtl_archive_free(a.h)
	*a = Archive{}
}
