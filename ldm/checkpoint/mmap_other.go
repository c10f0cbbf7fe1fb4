//go:build !linux && !darwin

package checkpoint

import (
	"io"
	"os"

	"ldm-mac/ldm/tensor"
)

// mapFile reads the file into memory, for systems without a mapping, which is nil.
func mapFile(f *os.File, size int) (data []byte, mapping *tensor.Mapping, err error) {
	data = make([]byte, size)
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, nil, err
	}
	return data, nil, nil
}
