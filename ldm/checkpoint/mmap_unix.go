//go:build linux || darwin

package checkpoint

import (
	"os"

	"golang.org/x/sys/unix"

	"ldm-mac/ldm/tensor"
)

// mapFile maps size > 0 bytes of the file for reading. The mapping outlives the file's Close.
func mapFile(f *os.File, size int) (data []byte, mapping *tensor.Mapping, err error) {
	data, err = unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return nil, nil, err
	}
	return data, tensor.NewMapping(data, func() error { return unix.Munmap(data) }), nil
}
