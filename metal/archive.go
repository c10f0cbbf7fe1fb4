package metal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// openArchive opens the file of compiled kernels. One that Metal does not accept, of another system
// or damaged, is removed, and another begun; without one, kernels are compiled at every start.
func (b *Backend) openArchive() {
	path := b.options.Archive
	if path == "" {
		return
	}
	archive, err := b.device.OpenArchive(path)
	if err != nil {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return
		}
		if archive, err = b.device.OpenArchive(path); err != nil {
			return
		}
	}
	b.archive = archive
}

// closeArchive saves what was added.
func (b *Backend) closeArchive() error {
	if b.archive == nil {
		return nil
	}
	err := os.MkdirAll(filepath.Dir(b.options.Archive), 0o755)
	if err == nil {
		err = b.archive.Save()
	}
	b.archive.Close()
	b.archive = nil
	if err != nil {
		return fmt.Errorf("metal: %w", err)
	}
	return nil
}
