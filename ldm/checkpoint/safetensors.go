package checkpoint

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"ldm-mac/ldm/tensor"
)

// maxHeader is the largest header that the reference library accepts (safetensors
// src/tensor.rs, MAX_HEADER_SIZE).
const maxHeader = 100_000_000

// metadataKey is the header's one entry that is no tensor.
const metadataKey = "__metadata__"

// looksLikeSafetensors tells the format from a shard index, which is text throughout: the upper
// bytes of a header's length are zero.
func looksLikeSafetensors(data []byte) bool {
	return len(data) > 8 && data[8] == '{' && (data[0] != '{' || data[7] == 0)
}

// entry is one tensor of the header; its data is [begin, end) of what follows the header.
type entry struct {
	name       string
	dtype      tensor.DType
	shape      tensor.Shape
	begin, end int
}

// parseSafetensors reads the format: eight bytes of header length, a JSON object, the data. The
// tensors must cover the data without hole or overlap.
func (f *File) parseSafetensors(data []byte) error {
	n := binary.LittleEndian.Uint64(data)
	if n > maxHeader || n > uint64(len(data)-8) {
		return fmt.Errorf("safetensors header of %d bytes, want at most %d and at most the file's %d",
			n, maxHeader, len(data)-8)
	}
	header, body := data[8:8+n], data[8+n:]
	if !utf8.Valid(header) {
		return errors.New("safetensors header is not valid UTF-8")
	}
	p := headerParser{json.NewDecoder(bytes.NewReader(header))}
	p.UseNumber()
	entries, err := p.header(f)
	if err != nil {
		return fmt.Errorf("safetensors header: %w", err)
	}
	slices.SortStableFunc(entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	f.weights = make(map[string]*tensor.Weight, len(entries))
	covered := 0
	for _, e := range entries {
		if e.begin != covered || e.end < e.begin || e.end > len(body) {
			return fmt.Errorf("tensor %q has data offsets [%d, %d], want them to begin at %d and to end within %d bytes",
				e.name, e.begin, e.end, covered, len(body))
		}
		size, ok := byteSize(e.shape, e.dtype)
		if !ok || size != e.end-e.begin {
			return fmt.Errorf("tensor %q of shape %s and dtype %s does not have the %d bytes of its offsets",
				e.name, short(e.shape), e.dtype, e.end-e.begin)
		}
		covered = e.end
		f.weights[e.name] = &tensor.Weight{Name: e.name, Shape: e.shape, DType: e.dtype, Data: body[e.begin:e.end:e.end]}
	}
	if covered != len(body) {
		return fmt.Errorf("%d bytes follow the last tensor", len(body)-covered)
	}
	return nil
}

// byteSize is the size of a tensor's data; false when it is negative or overflows.
func byteSize(shape tensor.Shape, d tensor.DType) (int, bool) {
	if slices.Contains(shape, 0) {
		return 0, true
	}
	size := d.Size()
	for _, n := range shape {
		if n < 0 || size > math.MaxInt/n {
			return 0, false
		}
		size *= n
	}
	return size, true
}

// short prints the first dimensions of a shape, which may have thousands.
func short(shape tensor.Shape) string {
	if len(shape) <= 8 {
		return shape.String()
	}
	return fmt.Sprintf("%s and %d dimensions more", shape[:8], len(shape)-8)
}

// headerParser reads the header token by token, which finds duplicate keys and uses no recursion.
type headerParser struct{ *json.Decoder }

func (p headerParser) header(f *File) (entries []entry, err error) {
	seen := map[string]bool{}
	err = p.object(func(key string) error {
		if seen[key] {
			return fmt.Errorf("%q occurs twice", key)
		}
		seen[key] = true
		if key == metadataKey {
			f.metadata = map[string]string{}
			return p.object(func(key string) error {
				value, err := p.text()
				f.metadata[key] = value
				return err
			})
		}
		e := entry{name: key}
		if err := p.entry(&e); err != nil {
			return fmt.Errorf("tensor %q: %w", key, err)
		}
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if _, err := p.Token(); err != io.EOF {
		return nil, errors.New("more than blanks after the JSON object")
	}
	return entries, nil
}

func (p headerParser) entry(e *entry) error {
	fields := map[string]bool{}
	err := p.object(func(key string) (err error) {
		if fields[key] {
			return fmt.Errorf("field %q occurs twice", key)
		}
		fields[key] = true
		switch key {
		case "dtype":
			var name string
			if name, err = p.text(); err != nil {
				return err
			}
			var ok bool
			if e.dtype, ok = tensor.ParseDType(name); !ok {
				return fmt.Errorf("unknown dtype %q", name)
			}
		case "shape":
			var shape []int
			shape, err = p.integers()
			e.shape = shape
		case "data_offsets":
			var offsets []int
			if offsets, err = p.integers(); err != nil {
				return err
			}
			if len(offsets) != 2 {
				return fmt.Errorf("%d data offsets, want 2", len(offsets))
			}
			e.begin, e.end = offsets[0], offsets[1]
		default:
			return fmt.Errorf("unknown field %q", key)
		}
		return err
	})
	if err == nil && len(fields) != 3 {
		return errors.New("want dtype, shape and data_offsets")
	}
	return err
}

// object calls value for every key of the object that comes next; value reads what follows it.
func (p headerParser) object(value func(key string) error) error {
	if err := p.delim('{'); err != nil {
		return err
	}
	for p.More() {
		key, err := p.text()
		if err != nil {
			return err
		}
		if err := value(key); err != nil {
			return err
		}
	}
	return p.delim('}')
}

func (p headerParser) delim(want json.Delim) error {
	token, err := p.next()
	if err == nil && token != want {
		err = fmt.Errorf("found %.40q, want %s", fmt.Sprint(token), want)
	}
	return err
}

func (p headerParser) text() (string, error) {
	token, err := p.next()
	if err != nil {
		return "", err
	}
	text, ok := token.(string)
	if !ok {
		return "", fmt.Errorf("found %.40q, want a string", fmt.Sprint(token))
	}
	return text, nil
}

// integers reads an array of non-negative integers.
func (p headerParser) integers() ([]int, error) {
	if err := p.delim('['); err != nil {
		return nil, err
	}
	numbers := []int{}
	for p.More() {
		token, err := p.next()
		if err != nil {
			return nil, err
		}
		number, _ := token.(json.Number)
		n, err := strconv.ParseUint(number.String(), 10, strconv.IntSize-1)
		if err != nil {
			return nil, fmt.Errorf("found %.40q, want an integer from 0 to 2^%d-1", fmt.Sprint(token), strconv.IntSize-1)
		}
		numbers = append(numbers, int(n))
	}
	return numbers, p.delim(']')
}

func (p headerParser) next() (json.Token, error) {
	token, err := p.Token()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return token, err
}
