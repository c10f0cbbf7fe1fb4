//go:build unix

package cpu

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// allocate maps n zeros of memory outside Go's heap.
func allocate(n int) ([]float32, error) {
	if n == 0 {
		return nil, nil
	}
	data, err := unix.Mmap(-1, 0, 4*n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, err
	}
	adviseHugePages(data)
	return unsafe.Slice((*float32)(unsafe.Pointer(&data[0])), n), nil
}

// release unmaps what allocate returned.
func release(data []float32) {
	if len(data) > 0 {
		// The mapping is one that allocate made; nothing can be done about a failure.
		_ = unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(&data[0])), 4*len(data)))
	}
}
