package checkpoint

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"ldm-mac/ldm/tensor"
)

// The legacy format begins with this number, pickled (torch/serialization.py, MAGIC_NUMBER).
const legacyMagic = long("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")

const legacyVersion = int64(1001)

// torchFile is a PyTorch file while it is read. budget is how many bytes may still be allocated
// for data that cannot be used as it lies in the file: compressed members, strided tensors.
type torchFile struct {
	storages func(key string) ([]byte, error)
	budget   int
}

// newBudget lets a file cost a small multiple of itself.
func newBudget(data []byte) int { return 16<<20 + 8*len(data) }

func (t *torchFile) allocate(n uint64) ([]byte, error) {
	if n > uint64(t.budget) {
		return nil, fmt.Errorf("needs %d bytes of memory, more than the file's size allows", n)
	}
	t.budget -= int(n)
	return make([]byte, n), nil
}

func looksLikePickle(data []byte) bool {
	return data[0] == 0x80 || bytes.HasPrefix(data, []byte("L119547037146038801333356L\n"))
}

// parseTorchZip reads ROOT/data.pkl and the storages ROOT/data/KEY, in place where they are not
// compressed.
func (f *File) parseTorchZip(data []byte) error {
	t := &torchFile{budget: newBudget(data)}
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return fmt.Errorf("PyTorch zip file is damaged or cut off: %w", err)
	}
	members := make(map[string]*zip.File, len(archive.File))
	root, found := "", 0
	for _, member := range archive.File {
		if members[member.Name] != nil {
			return fmt.Errorf("zip archive holds %q twice", member.Name)
		}
		members[member.Name] = member
		if path.Base(member.Name) == "data.pkl" {
			root, found = strings.TrimSuffix(member.Name, "data.pkl"), found+1
		}
	}
	if found != 1 {
		names := slices.Sorted(maps.Keys(members))
		return fmt.Errorf("%w: zip archive with %d data.pkl, want one; it begins with %.80q",
			ErrNotCheckpoint, found, names[:min(len(names), 5)])
	}
	if order := members[root+"byteorder"]; order != nil {
		text, err := t.member(data, order)
		if err != nil {
			return fmt.Errorf("%q: %w", order.Name, err)
		}
		if string(text) != "little" {
			return fmt.Errorf("byte order %.20q, want little", text)
		}
	}
	program, err := t.member(data, members[root+"data.pkl"])
	if err == nil && crc32.ChecksumIEEE(program) != members[root+"data.pkl"].CRC32 {
		err = zip.ErrChecksum
	}
	if err != nil {
		return fmt.Errorf("%q: %w", root+"data.pkl", err)
	}
	u := newUnpickler(program)
	top, err := u.next()
	if err != nil {
		return fmt.Errorf("%q: %w", root+"data.pkl", err)
	}
	read := map[string][]byte{}
	t.storages = func(key string) ([]byte, error) {
		if raw, ok := read[key]; ok {
			return raw, nil
		}
		member := members[root+"data/"+key]
		if member == nil {
			return nil, errors.New("is not in the archive")
		}
		raw, err := t.member(data, member)
		read[key] = raw
		return raw, err
	}
	return f.takeState(t, top, u.foreign)
}

// member is the content of an archive's member: a part of data when it is stored, else inflated.
func (t *torchFile) member(data []byte, member *zip.File) ([]byte, error) {
	if member.Method == zip.Store {
		begin, err := member.DataOffset()
		size := member.UncompressedSize64
		if err != nil {
			return nil, err
		}
		if member.CompressedSize64 != size || begin < 0 || size > uint64(len(data)) || uint64(begin) > uint64(len(data))-size {
			return nil, io.ErrUnexpectedEOF
		}
		return data[begin : uint64(begin)+size : uint64(begin)+size], nil
	}
	r, err := member.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	raw, err := t.allocate(member.UncompressedSize64)
	if err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(r, raw); err != nil {
		return nil, err
	}
	n, err := r.Read(make([]byte, 1)) // the end of the stream checks the sum
	if n > 0 {
		return nil, errors.New("inflates to more than it declares")
	}
	if err != io.EOF {
		return nil, err
	}
	return raw, nil
}

// parseTorchLegacy reads the format before PyTorch 1.6: pickles of a magic number, a version,
// the machine, the object and the list of storage keys, then for each key a count and elements.
func (f *File) parseTorchLegacy(data []byte) error {
	u := newUnpickler(data)
	magic, err := u.next()
	if err != nil {
		return err
	}
	if magic != legacyMagic {
		return fmt.Errorf("%w: a pickle without PyTorch's magic number", ErrNotCheckpoint)
	}
	var parts [4]any // version, machine, object, keys
	for i := range parts {
		if parts[i], err = u.next(); err != nil {
			return err
		}
	}
	if parts[0] != legacyVersion {
		return fmt.Errorf("PyTorch legacy file has %s for its version, want %d", kind(parts[0]), legacyVersion)
	}
	machine, _ := parts[1].(*dict)
	if machine == nil {
		return fmt.Errorf("PyTorch legacy file has %s for its machine, want a dict", kind(parts[1]))
	}
	if little, _ := machine.get("little_endian"); little != true {
		return errors.New("PyTorch legacy file is not little-endian")
	}
	keys, _ := parts[3].(*list)
	if keys == nil {
		return fmt.Errorf("PyTorch legacy file has %s for its storages, want a list", kind(parts[3]))
	}
	read := make(map[string][]byte, len(keys.items))
	for _, key := range keys.items {
		name, ok := key.(string)
		if !ok {
			return fmt.Errorf("PyTorch legacy file has a storage called by %s, want a string", kind(key))
		}
		dtype, ok := storageTypes[u.storages[name]]
		if !ok {
			return fmt.Errorf("storage %q is of type %q, which is not supported", name, u.storages[name])
		}
		count, err := u.uint(8)
		if err != nil || count < 0 || count > len(u.data)/dtype.Size() {
			return fmt.Errorf("storage %q has %d elements of %s, the file ends after %d bytes of them",
				name, count, dtype, len(u.data))
		}
		if read[name], err = u.take(count * dtype.Size()); err != nil {
			return err
		}
	}
	t := &torchFile{budget: newBudget(data)}
	t.storages = func(key string) ([]byte, error) {
		raw, ok := read[key]
		if !ok {
			return nil, errors.New("is not in the file")
		}
		return raw, nil
	}
	return f.takeState(t, parts[2], u.foreign)
}

// takeState makes weights of the state dict, which is the top-level object or its "state_dict".
func (f *File) takeState(t *torchFile, top any, foreign map[string]bool) error {
	state, ok := top.(*dict)
	if !ok {
		return fmt.Errorf("the file holds %s, want a dict with a state_dict or of tensors", kind(top))
	}
	f.counters = map[string]int64{}
	for _, p := range state.pairs {
		name, isText := p.key.(string)
		if n, ok := p.value.(int64); ok && isText {
			f.counters[name] = n
		}
	}
	if inner, ok := state.get("state_dict"); ok {
		if state, ok = inner.(*dict); !ok {
			return fmt.Errorf("state_dict is %s, want a dict", kind(inner))
		}
	}
	f.weights = make(map[string]*tensor.Weight, len(state.pairs))
	for _, p := range state.pairs {
		name, ok := p.key.(string)
		if !ok || !utf8.ValidString(name) {
			return fmt.Errorf("the state dict has %s for a name, want a UTF-8 string", kind(p.key))
		}
		switch value := p.value.(type) {
		case *strided:
			w, err := t.weight(value)
			if err != nil {
				return fmt.Errorf("tensor %q: %w", name, err)
			}
			w.Name = name
			f.weights[name] = w
		case nil, bool, int64, float64, string, plain: // counters that trainers leave beside the tensors
		default:
			return fmt.Errorf("%q is %s, want a tensor", name, kind(value))
		}
	}
	if len(f.weights) == 0 {
		return errors.New("the file holds neither a state_dict nor tensors")
	}
	f.foreign = slices.Sorted(maps.Keys(foreign))
	return nil
}
