package checkpoint

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"unicode/utf8"

	"ldm-mac/ldm/tensor"
)

// Source is a tensor to be written.
type Source struct {
	Name  string
	DType tensor.DType
	Shape tensor.Shape
	// Write writes the elements, little-endian and in row-major order. It is called once, when
	// their turn has come, so that not all tensors need to be in memory together.
	Write func(w io.Writer) error
}

// SourceOf is the source of a weight's own data.
func SourceOf(w *tensor.Weight) Source {
	return Source{w.Name, w.DType, w.Shape, func(out io.Writer) error {
		_, err := out.Write(w.Data)
		return err
	}}
}

// WriteSafetensors writes a safetensors file. Equal arguments give equal bytes: the tensors lie
// in the reference library's order, wide types first and by name among equals, and blanks pad
// the header to a multiple of 8 bytes, so that every element is aligned.
func WriteSafetensors(w io.Writer, tensors []Source, metadata map[string]string) error {
	tensors = slices.Clone(tensors)
	slices.SortFunc(tensors, func(a, b Source) int {
		return cmp.Or(cmp.Compare(b.DType.Size(), a.DType.Size()), cmp.Compare(a.Name, b.Name))
	})
	header, sizes, err := writeHeader(tensors, metadata)
	if err != nil {
		return &Error{"", err}
	}
	if _, err := w.Write(header); err != nil {
		return &Error{"", err}
	}
	for i, t := range tensors {
		counter := &countingWriter{w: w}
		if err := t.Write(counter); err != nil {
			return errorf("", "tensor %q: %w", t.Name, err)
		}
		if counter.n != sizes[i] {
			return errorf("", "tensor %q of shape %s and dtype %s was written with %d bytes, want %d",
				t.Name, t.Shape, t.DType, counter.n, sizes[i])
		}
	}
	return nil
}

// writeHeader makes the length, the JSON object and the padding, and the size of every tensor.
func writeHeader(tensors []Source, metadata map[string]string) (header []byte, sizes []int, err error) {
	var text bytes.Buffer
	text.Write(make([]byte, 8))
	separator := byte('{')
	field := func(name string, value any) error {
		text.WriteByte(separator)
		separator = ','
		key, err := json.Marshal(name)
		if err != nil {
			return err
		}
		encoded, err := json.Marshal(value)
		text.Write(key)
		text.WriteByte(':')
		text.Write(encoded)
		return err
	}
	if len(metadata) > 0 {
		if err := field(metadataKey, metadata); err != nil {
			return nil, nil, err
		}
	}
	names := map[string]bool{metadataKey: true}
	offset := 0
	for _, t := range tensors {
		if names[t.Name] || !utf8.ValidString(t.Name) {
			return nil, nil, fmt.Errorf("tensor name %q is taken or not UTF-8", t.Name)
		}
		names[t.Name] = true
		size, ok := byteSize(t.Shape, t.DType)
		if !ok || offset > math.MaxInt-size {
			return nil, nil, fmt.Errorf("tensor %q has shape %s, which no file can hold", t.Name, t.Shape)
		}
		err := field(t.Name, struct {
			DType   string `json:"dtype"`
			Shape   []int  `json:"shape"`
			Offsets [2]int `json:"data_offsets"`
		}{t.DType.String(), append([]int{}, t.Shape...), [2]int{offset, offset + size}})
		if err != nil {
			return nil, nil, err
		}
		sizes = append(sizes, size)
		offset += size
	}
	if separator == '{' {
		text.WriteByte('{')
	}
	text.WriteByte('}')
	for text.Len()%8 != 0 {
		text.WriteByte(' ')
	}
	header = text.Bytes()
	if len(header)-8 > maxHeader {
		return nil, nil, fmt.Errorf("header of %d bytes, want at most %d", len(header)-8, maxHeader)
	}
	binary.LittleEndian.PutUint64(header, uint64(len(header)-8))
	return header, sizes, nil
}

type countingWriter struct {
	w io.Writer
	n int
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += n
	return n, err
}
