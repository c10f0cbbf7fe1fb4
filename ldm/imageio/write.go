package imageio

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
)

// WriteFile makes the file at path from what write writes. The file appears whole or not at all:
// write fills a hidden temporary file in the same folder, which is flushed to the disk and then
// takes the name. Without overwrite an existing path is an error that is fs.ErrExist, even when
// another process makes it meanwhile. With overwrite only a regular file is replaced; of a symbolic
// link to one, the link. Errors name path, and none leaves a file behind.
func WriteFile(path string, overwrite bool, write func(io.Writer) error) (err error) {
	publish := place
	if overwrite {
		publish = replace
	}
	return writeFile(path, write, func(temporary string) error { return publish(temporary, path) })
}

// WriteFreeFile is WriteFile to the first free of path, "name-2.ext", "name-3.ext" …, and returns
// that. Processes that write at once get different names.
func WriteFreeFile(path string, write func(io.Writer) error) (free string, err error) {
	err = writeFile(path, write, func(temporary string) error {
		for n := 1; ; n++ {
			free = numbered(path, n)
			if err := place(temporary, free); !errors.Is(err, fs.ErrExist) {
				return err
			}
		}
	})
	if err != nil {
		return "", err
	}
	return free, nil
}

// FreePath is the first of path, "name-2.ext", "name-3.ext" … that does not exist now. Only
// WriteFreeFile can promise that it stays so.
func FreePath(path string) string {
	for n := 1; ; n++ {
		if _, err := os.Lstat(numbered(path, n)); err != nil {
			return numbered(path, n)
		}
	}
}

func numbered(path string, n int) string {
	if n == 1 {
		return path
	}
	extension := filepath.Ext(path)
	return path[:len(path)-len(extension)] + "-" + strconv.Itoa(n) + extension
}

// writeFile fills a temporary file beside path and has publish give it its name.
func writeFile(path string, write func(io.Writer) error, publish func(temporary string) error) (err error) {
	temporary := filepath.Join(filepath.Dir(path), fmt.Sprintf(".ldm-mac-%d-%016x.tmp", os.Getpid(), rand.Uint64()))
	defer func() {
		if err != nil {
			err = fmt.Errorf("imageio: write %s: %w", path, cause(err, temporary))
		}
	}()
	// Not os.CreateTemp: the result has the permissions of any new file.
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer os.Remove(temporary) // gone already when it was renamed
	defer f.Close()            // a second time when all went well
	if err := write(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return publish(temporary)
}

// cause takes from an error of the operating system the name of the temporary file, which means
// nothing to the reader.
func cause(err error, temporary string) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path) && path.Path == temporary:
		return path.Err
	case errors.As(err, &link) && link.Old == temporary:
		return link.Err
	}
	return err
}

// replace renames the temporary file to path, where nothing but a regular file may lie.
func replace(temporary, path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return errors.New("exists and is not a regular file")
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(temporary, path)
}

// place links the temporary file to path, which must be free.
func place(temporary, path string) error {
	err := os.Link(temporary, path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	return reserve(temporary, path)
}

// reserve is place for file systems without hard links, exFAT and many network shares: an empty
// file takes the name, then the temporary file replaces it.
func reserve(temporary, path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	f.Close()
	err = os.Rename(temporary, path)
	if err != nil {
		os.Remove(path)
	}
	return err
}
