package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"

	"ldm-mac/ldm/tensor"
)

// File is an open checkpoint: named tensors whose data lies in a mapped file. It is safe for
// concurrent use until Close.
type File struct {
	path     string
	weights  map[string]*tensor.Weight
	metadata map[string]string
	counters map[string]int64
	foreign  []string
	format   string
	mapping  *tensor.Mapping // of the file itself, or nil
	shards   []*File
}

// Open opens a checkpoint of any format, recognised by content: safetensors, a PyTorch file (zip
// or legacy), or a shard index (*.safetensors.index.json, *.bin.index.json) with its shards
// beside it. The file must not be truncated by others while it is open or a
// weight's Mapping is retained.
func Open(path string) (*File, error) {
	dir, base := filepath.Split(filepath.Clean(path))
	if dir == "" {
		dir = "."
	}
	return openIn(os.DirFS(dir), path, base)
}

// OpenBytes is Open for a checkpoint in memory. The tensors are parts of data, which must not
// change while they are used; path is for messages. A shard index needs its shards, so it is
// refused.
func OpenBytes(path string, data []byte) (*File, error) {
	f := &File{path: path}
	if err := f.parse(data, nil); err != nil {
		return nil, &Error{path, err}
	}
	return f, nil
}

// openIn opens the checkpoint that fsys has under name; path is how messages call it.
func openIn(fsys fs.FS, path, name string) (*File, error) {
	f := &File{path: path}
	data, err := f.load(fsys, name)
	if err == nil {
		shards := func(shard string) (*File, error) {
			return openIn(fsys, filepath.Join(filepath.Dir(path), shard), siblingName(name, shard))
		}
		err = f.parse(data, shards)
	}
	if err != nil {
		f.Close()
		return nil, &Error{path, err}
	}
	f.mark()
	return f, nil
}

// mark tells the weights that lie in the file's own mapping.
func (f *File) mark() {
	if f.mapping == nil {
		return
	}
	for _, w := range f.weights {
		if _, _, ok := f.mapping.Pages(w.Data); ok {
			w.Mapping = f.mapping
		}
	}
}

// load maps the file when it lies on disk and reads it otherwise.
func (f *File) load(fsys fs.FS, name string) ([]byte, error) {
	file, size, err := openRegular(fsys, name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if size == 0 {
		return nil, nil // a mapping cannot be empty
	}
	if onDisk, ok := file.(*os.File); ok {
		data, mapping, err := mapFile(onDisk, size)
		if err != nil {
			return nil, fmt.Errorf("map %d bytes: %w", size, err)
		}
		f.mapping = mapping
		return data, nil
	}
	data := make([]byte, size)
	_, err = io.ReadFull(file, data)
	return data, err
}

// openRegular opens a file after making sure that it is one: opening a pipe would block.
func openRegular(fsys fs.FS, name string) (fs.File, int, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, 0, bare(err)
	}
	switch {
	case info.IsDir():
		return nil, 0, errors.New("is a folder, want a file")
	case !info.Mode().IsRegular():
		return nil, 0, fmt.Errorf("is no regular file (%s)", info.Mode())
	case info.Size() > math.MaxInt:
		return nil, 0, fmt.Errorf("%d bytes do not fit this machine's address space", info.Size())
	}
	file, err := fsys.Open(name)
	if err != nil {
		return nil, 0, bare(err)
	}
	return file, int(info.Size()), nil
}

// bare strips the operation and the path, which Error names already.
func bare(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// parse fills f from data. shards opens a file beside this one; nil when there is none.
func (f *File) parse(data []byte, shards func(string) (*File, error)) error {
	switch {
	case len(data) == 0:
		return fmt.Errorf("%w: the file is empty", ErrNotCheckpoint)
	case bytes.HasPrefix(data, []byte("version https://git-lfs")):
		return fmt.Errorf("%w: a Git LFS pointer stands in place of the weights; "+
			"run git lfs pull in the model's repository or download the file itself", ErrNotCheckpoint)
	case looksLikeSafetensors(data):
		f.format = "safetensors"
		return f.parseSafetensors(data)
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		f.format = "PyTorch zip"
		return f.parseTorchZip(data)
	case looksLikePickle(data):
		f.format = "PyTorch legacy"
		return f.parseTorchLegacy(data)
	}
	text := bytes.TrimSpace(bytes.TrimPrefix(data[:min(len(data), 512)], []byte("\ufeff")))
	switch {
	case bytes.HasPrefix(text, []byte("{")):
		f.format = "shards"
		return f.parseIndex(data, shards)
	case bytes.HasPrefix(text, []byte("<")):
		return fmt.Errorf("%w: a web page stands in place of the weights; "+
			"the download needs a login or another address", ErrNotCheckpoint)
	}
	return fmt.Errorf("%w: want safetensors, a PyTorch file or a shard index, the file begins with %q",
		ErrNotCheckpoint, data[:min(len(data), 16)])
}

// Path is the name that the file was opened by.
func (f *File) Path() string { return f.path }

// Names returns the names of all tensors, sorted.
func (f *File) Names() []string { return slices.Sorted(maps.Keys(f.weights)) }

// Weight returns the named tensor. It belongs to the file: it must not be changed, and its data
// must not be read after Close.
func (f *File) Weight(name string) (*tensor.Weight, bool) {
	w, ok := f.weights[name]
	return w, ok
}

// Metadata is the free text that a safetensors file carries under __metadata__; nil when there
// is none. The map belongs to the file.
func (f *File) Metadata() map[string]string { return f.metadata }

// Format says what kind of file it is: "safetensors", "PyTorch zip", "PyTorch legacy" or "shards".
func (f *File) Format() string { return f.format }

// Counter is an integer that a trainer keeps beside the weights of a PyTorch file, such as
// "global_step"; false when there is none.
func (f *File) Counter(name string) (int64, bool) {
	n, ok := f.counters[name]
	return n, ok
}

// Renamed is a file of other tensors, whose data are usually parts of f's: what remains of f after
// a choice or under other names. It has f's path, metadata and counters, and takes over f, which
// must not be used any more; when two tensors have one name, f stays as it is.
func (f *File) Renamed(weights []*tensor.Weight) (*File, error) {
	r := *f
	r.weights = make(map[string]*tensor.Weight, len(weights))
	for _, w := range weights {
		if r.weights[w.Name] != nil {
			return nil, errorf(f.path, "two tensors become %q", w.Name)
		}
		r.weights[w.Name] = w
	}
	f.mapping, f.shards = nil, nil
	return &r, nil
}

// Foreign names the Python functions and classes, sorted, that a PyTorch file wants called
// outside its tensors (callbacks of a trainer, but also attacks). None was.
func (f *File) Foreign() []string { return f.foreign }

// Close releases the mappings of the file and its shards, which stay while others retain them.
// Closing again does nothing.
func (f *File) Close() error {
	var errs []error
	if f.mapping != nil {
		errs = append(errs, f.mapping.Release())
	}
	for _, shard := range f.shards {
		errs = append(errs, shard.Close())
	}
	*f = File{path: f.path}
	return errors.Join(errs...)
}
