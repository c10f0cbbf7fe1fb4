package metal

import (
	"ldm-mac/bridge"
	"ldm-mac/ldm/tensor"
)

// This file keeps the weights that are on the device. What kernels read as the model's file has it is
// read there, where the file is mapped, and takes no memory of the device; all else is converted once.

// stored is a weight on the device, shared by the programs that use it.
type stored struct {
	key     weightKey
	buffer  *bridge.Buffer
	begin   int             // of the weight in buffer, in bytes
	bytes   int             // of the weight
	mapping *tensor.Mapping // of which buffer is a part; nil for memory of the device
	users   int
}

// weight returns a weight, prepared when first asked for. Each call is one use.
func (b *Backend) weight(key weightKey) (*stored, error) {
	s, err := b.find(key)
	if err != nil {
		return nil, err
	}
	s.users++
	b.weights[s.key] = s
	return s, nil
}

// find looks for a weight, or makes it. What is there is not made again, for the file may be closed.
func (b *Backend) find(key weightKey) (*stored, error) {
	if s := b.weights[key]; s != nil {
		return s, nil
	}
	elsewhere := key
	elsewhere.start = !key.start
	other := b.weights[elsewhere]
	if !key.start {
		if s := b.mapped(key); s != nil {
			return s, nil
		}
		if other != nil {
			return other, nil
		}
		return b.converted(elsewhere)
	}
	if other == nil {
		return b.converted(key)
	}
	buffer, err := b.newBuffer(other.bytes)
	if err != nil {
		return nil, err
	}
	copy(buffer.Bytes(), other.buffer.Bytes()[other.begin:])
	return &stored{key: key, buffer: buffer, bytes: other.bytes}, nil
}

// mapped is a weight in the pages of its file; nil where it is not as kernels read it, or does not lie
// in a file, or the device does not share the memory.
func (b *Backend) mapped(key weightKey) *stored {
	w := key.parts[0]
	as := storage(w.DType) == key.dtype && (w.DType == tensor.F16 || w.DType == tensor.F32)
	if w.Mapping == nil || check(w) != nil || !as || key.parts[1] != nil || key.layout != asStored {
		return nil
	}
	pages, begin, ok := w.Mapping.Pages(w.Data)
	if !ok || begin%(perThread*key.dtype.Size()) != 0 { // kernels read so many elements at once
		return nil
	}
	buffer, err := b.device.WrapBuffer(pages)
	if err != nil {
		return nil
	}
	w.Mapping.Retain()
	return &stored{key: key, buffer: buffer, begin: begin, bytes: len(w.Data), mapping: w.Mapping}
}

// converted is a weight in memory of the device.
func (b *Backend) converted(key weightKey) (*stored, error) {
	n := 0
	for _, w := range key.parts {
		if w == nil {
			break
		}
		if err := check(w); err != nil {
			return nil, err
		}
		n += w.Shape.Elements()
	}
	buffer, err := b.newBuffer(n * key.dtype.Size())
	if err != nil {
		return nil, err
	}
	dst := buffer.Bytes()
	for _, w := range key.parts {
		if w != nil {
			dst = dst[convert(dst, key.dtype, w, key.layout):]
		}
	}
	return &stored{key: key, buffer: buffer, bytes: buffer.Len()}, nil
}

// releaseWeight ends one use.
func (b *Backend) releaseWeight(s *stored) error {
	if s.users--; s.users > 0 {
		return nil
	}
	delete(b.weights, s.key)
	if s.mapping == nil {
		b.closeBuffer(s.buffer)
		return nil
	}
	s.buffer.Close()
	return s.mapping.Release()
}

// Mapped is the number of weights that the open programs read where they lie in mapped files, and
// their size in bytes.
func (b *Backend) Mapped() (weights int, bytes int64) {
	for _, s := range b.weights {
		if s.mapping != nil {
			weights++
			bytes += int64(s.bytes)
		}
	}
	return weights, bytes
}
