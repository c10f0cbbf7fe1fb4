package checkpoint

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// NewFolder is a model that lies in no folder, such as one made of a single file: files are its
// small files by the names that they have in a folder ("model_index.json", "unet/config.json"),
// and weights opens those of a component, with the names of the folder's convention; the caller of
// Folder.Weights owns the result. path is the file that all is made of, which errors name, and
// WeightFiles too. Both arguments belong to the folder from now on.
//
// Components of which files has nothing are listed in Missing.
func NewFolder(path string, files map[string][]byte, weights func(component string) (*File, error)) (*Folder, error) {
	f, err := newFolder(&Folder{path: path, fsys: memory{path, files}, weights: weights})
	if err != nil {
		return nil, err
	}
	for name := range f.Components {
		if _, err := fs.Stat(f.fsys, name); err != nil {
			f.Missing = append(f.Missing, name)
		}
	}
	slices.Sort(f.Missing)
	return f, nil
}

// memory is the file system of NewFolder. It also has the one file that all is made of.
type memory struct {
	path  string
	files map[string][]byte
}

// Open opens a file. Folders can be asked for, but hold no list of what is in them.
func (m memory) Open(name string) (fs.File, error) {
	if data, ok := m.files[name]; ok {
		return &memoryFile{memoryInfo{name, int64(len(data)), 0o444}, bytes.NewReader(data)}, nil
	}
	if name == filepath.Base(m.path) {
		return os.Open(m.path)
	}
	for file := range m.files {
		if strings.HasPrefix(file, name+"/") {
			return &memoryFile{memoryInfo{name, 0, fs.ModeDir | 0o555}, bytes.NewReader(nil)}, nil
		}
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

type memoryFile struct {
	memoryInfo
	*bytes.Reader
}

func (f *memoryFile) Stat() (fs.FileInfo, error) { return f.memoryInfo, nil }
func (f *memoryFile) Close() error               { return nil }
func (f *memoryFile) Size() int64                { return f.memoryInfo.Size() }

type memoryInfo struct {
	name string
	size int64
	mode fs.FileMode
}

func (i memoryInfo) Name() string       { return i.name[strings.LastIndexByte(i.name, '/')+1:] }
func (i memoryInfo) Size() int64        { return i.size }
func (i memoryInfo) Mode() fs.FileMode  { return i.mode }
func (i memoryInfo) ModTime() time.Time { return time.Time{} }
func (i memoryInfo) IsDir() bool        { return i.mode.IsDir() }
func (i memoryInfo) Sys() any           { return nil }
