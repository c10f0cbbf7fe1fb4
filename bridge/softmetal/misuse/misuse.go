//go:build softmetal && linux && cgo

package misuse

/*
#cgo CFLAGS: -D_GNU_SOURCE -I${SRCDIR}/../include
#include <stdlib.h>
#include "misuse.h"
*/
import "C"

import (
	"unsafe"

	_ "ldm-mac/bridge/softmetal" // the classes that are called
)

// mistakes lists the names of all mistakes.
func mistakes() (names []string) {
	for i := C.size_t(0); C.misuse_name(i) != nil; i++ {
		names = append(names, C.GoString(C.misuse_name(i)))
	}
	return names
}

// commit makes a mistake and returns what the stand-ins say to it, or "".
func commit(name string) string {
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	said := C.misuse_commit(text)
	defer C.free(unsafe.Pointer(said))
	return C.GoString(said)
}
