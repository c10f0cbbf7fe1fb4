package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// This file runs the stack machine of Python's pickles (CPython Lib/pickletools.py, protocols 1
// to 5; PyTorch itself cannot read protocol 0). It executes nothing: what a pickle asks to be called is
// handled by the table in pickle_call.go or becomes an object that only knows its name.

const (
	// maxOpcodes bounds time and memory. A checkpoint has about 40 opcodes for each tensor.
	maxOpcodes = 1 << 21
	// maxText is the longest text that is kept; a longer one cannot be a name.
	maxText = 1 << 16
)

// Values on the machine's stack: nil, bool, int64, float64, string and these.
type (
	list  struct{ items []any }
	tuple []any
	pair  struct{ key, value any }
	dict  struct{ pairs []pair }
	// plain stands for a harmless value of which nothing is needed: bytes, numbers of numpy.
	plain struct{}
	// long is an integer beyond 64 bits, little-endian two's complement.
	long string
)

// get returns the value of the last pair with that key, as Python would.
func (d *dict) get(key string) (any, bool) {
	for i := len(d.pairs) - 1; i >= 0; i-- {
		if d.pairs[i].key == key {
			return d.pairs[i].value, true
		}
	}
	return nil, false
}

// unpickler reads pickles that follow each other in data.
type unpickler struct {
	data    []byte // what is not read yet
	stack   []any
	marks   []int // heights of the stack
	memo    map[uint32]any
	opcodes int

	foreign  map[string]bool   // the names of what was to be called
	storages map[string]string // the classes of the storages referred to, by key
}

func newUnpickler(data []byte) *unpickler {
	return &unpickler{data: data, foreign: map[string]bool{}, storages: map[string]string{}}
}

// next reads one pickle.
func (u *unpickler) next() (any, error) {
	u.stack, u.marks, u.memo = nil, nil, map[uint32]any{}
	for ; u.opcodes < maxOpcodes; u.opcodes++ {
		op, err := u.take(1)
		if err != nil {
			return nil, err
		}
		if op[0] == '.' {
			return u.pop()
		}
		if err := u.step(op[0]); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("pickle of more than %d opcodes", maxOpcodes)
}

func (u *unpickler) step(op byte) error {
	switch op {
	case 0x80: // PROTO
		version, err := u.uint(1)
		if err == nil && version > 5 {
			err = fmt.Errorf("pickle protocol %d, want at most 5", version)
		}
		return err
	case 0x95: // FRAME
		_, err := u.take(8)
		return err
	case '(':
		u.marks = append(u.marks, len(u.stack))
	case '0':
		_, err := u.pop()
		return err
	case '1': // POP_MARK
		_, err := u.popMark()
		return err
	case '2': // DUP
		top, err := u.pop()
		u.push(top, top)
		return err
	case 'N':
		u.push(nil)
	case 0x88, 0x89: // NEWTRUE, NEWFALSE
		u.push(op == 0x88)
	case 'K', 'M', 'J', 'I', 'L', 0x8a, 0x8b, 'G':
		return u.number(op)
	case 'U', 'T', 'X', 0x8c, 0x8d, 'C', 'B', 0x8e, 0x96:
		return u.text(op)
	case 'q', 'r', 0x94, 'h', 'j':
		return u.memory(op)
	case ']', ')', '}', 0x8f, 0x85, 0x86, 0x87, 't', 'l', 'd', 0x91, 'a', 'e', 0x90, 's', 'u':
		return u.container(op)
	case 'c', 0x93, 'Q', 'R', 0x81, 0x92, 'b', 'i', 'o':
		return u.call(op)
	default:
		return fmt.Errorf("pickle opcode %#02x is not supported", op)
	}
	return nil
}

func (u *unpickler) number(op byte) error {
	switch op {
	case 'K', 'M':
		n, err := u.uint(1 + int(op-'K')/2)
		u.push(int64(n))
		return err
	case 'J':
		n, err := u.uint(4)
		u.push(int64(int32(n)))
		return err
	case 'G': // BINFLOAT is the one big-endian number
		raw, err := u.take(8)
		if err == nil {
			u.push(math.Float64frombits(binary.BigEndian.Uint64(raw)))
		}
		return err
	case 'I', 'L':
		return u.decimal()
	}
	width := 1 // LONG1, LONG4
	if op == 0x8b {
		width = 4
	}
	n, err := u.uint(width)
	if err != nil {
		return err
	}
	raw, err := u.take(n)
	if err != nil {
		return err
	}
	if len(raw) > 8 {
		u.push(long(raw[:min(len(raw), 64)]))
		return nil
	}
	var wide [8]byte
	copy(wide[:], raw)
	shift := 64 - 8*uint(len(raw))
	u.push(int64(binary.LittleEndian.Uint64(wide[:])) << shift >> shift)
	return nil
}

// decimal reads the integers of protocol 1. "00" and "01" are booleans, a trailing L marks a long.
func (u *unpickler) decimal() error {
	line, err := u.line()
	if err != nil {
		return err
	}
	if line == "00" || line == "01" {
		u.push(line == "01")
		return nil
	}
	line = strings.TrimSuffix(line, "L")
	if n, err := strconv.ParseInt(line, 10, 64); err == nil {
		u.push(n)
		return nil
	}
	n, ok := new(big.Int).SetString(line, 10)
	if !ok {
		return fmt.Errorf("pickle holds %q, want an integer", line)
	}
	raw := n.Bytes()
	slices.Reverse(raw)
	u.push(long(raw))
	return nil
}

func (u *unpickler) text(op byte) error {
	width := 1
	switch op {
	case 'T', 'X', 'B':
		width = 4
	case 0x8d, 0x8e, 0x96:
		width = 8
	}
	n, err := u.uint(width)
	if err != nil {
		return err
	}
	raw, err := u.take(n)
	if err != nil {
		return err
	}
	isBytes := op == 'C' || op == 'B' || op == 0x8e || op == 0x96
	if isBytes || n > maxText {
		u.push(plain{})
	} else {
		u.push(string(raw))
	}
	return nil
}

func (u *unpickler) memory(op byte) error {
	index := len(u.memo) // MEMOIZE
	width := map[byte]int{'q': 1, 'h': 1, 'r': 4, 'j': 4}[op]
	if width > 0 {
		var err error
		if index, err = u.uint(width); err != nil {
			return err
		}
	}
	if op == 'h' || op == 'j' {
		value, ok := u.memo[uint32(index)]
		if !ok {
			return fmt.Errorf("pickle asks for memo %d, which was never stored", index)
		}
		u.push(value)
		return nil
	}
	value, err := u.pop()
	if err == nil {
		u.memo[uint32(index)] = value
		u.push(value)
	}
	return err
}

func (u *unpickler) container(op byte) error {
	var items []any
	var err error
	switch op {
	case ']', 0x8f:
		u.push(&list{})
		return nil
	case ')':
		u.push(tuple{})
		return nil
	case '}':
		u.push(&dict{})
		return nil
	case 0x85, 0x86, 0x87:
		items, err = u.popN(int(op - 0x84))
	case 'a':
		items, err = u.popN(1)
	case 's':
		items, err = u.popN(2)
	default:
		items, err = u.popMark()
	}
	if err != nil {
		return err
	}
	switch op {
	case 0x85, 0x86, 0x87, 't':
		u.push(tuple(items))
	case 'l', 0x91:
		u.push(&list{items})
	case 'd':
		d := &dict{}
		u.push(d)
		return d.add(items)
	case 'a', 'e', 0x90:
		return u.extend(items)
	case 's', 'u':
		return u.update(items)
	}
	return nil
}

// extend appends to the list on top of the stack. Other objects that take items are not looked into.
func (u *unpickler) extend(items []any) error {
	top, err := u.top()
	if l, ok := top.(*list); ok {
		l.items = append(l.items, items...)
	}
	return err
}

// update adds keys and values in turn to the dict on top of the stack, likewise.
func (u *unpickler) update(items []any) error {
	top, err := u.top()
	if d, ok := top.(*dict); ok {
		return d.add(items)
	}
	return err
}

func (d *dict) add(items []any) error {
	if len(items)%2 != 0 {
		return errors.New("pickle has a key without a value")
	}
	for i := 0; i < len(items); i += 2 {
		d.pairs = append(d.pairs, pair{items[i], items[i+1]})
	}
	return nil
}

func (u *unpickler) push(values ...any) { u.stack = append(u.stack, values...) }

// popN removes the topmost n values, the lowest first. The result is a copy.
func (u *unpickler) popN(n int) ([]any, error) {
	bottom := 0
	if len(u.marks) > 0 {
		bottom = u.marks[len(u.marks)-1]
	}
	at := len(u.stack) - n
	if at < bottom {
		return nil, errors.New("pickle takes from an empty stack")
	}
	values := slices.Clone(u.stack[at:])
	clear(u.stack[at:])
	u.stack = u.stack[:at]
	return values, nil
}

func (u *unpickler) pop() (any, error) {
	top, err := u.top()
	if err == nil {
		u.stack = u.stack[:len(u.stack)-1]
	}
	return top, err
}

func (u *unpickler) top() (any, error) {
	if len(u.stack) == 0 || len(u.marks) > 0 && len(u.stack) <= u.marks[len(u.marks)-1] {
		return nil, errors.New("pickle takes from an empty stack")
	}
	return u.stack[len(u.stack)-1], nil
}

// popMark removes the values above the last mark, and the mark.
func (u *unpickler) popMark() ([]any, error) {
	if len(u.marks) == 0 {
		return nil, errors.New("pickle has no mark on its stack")
	}
	values, err := u.popN(len(u.stack) - u.marks[len(u.marks)-1])
	u.marks = u.marks[:len(u.marks)-1]
	return values, err
}

// take reads n bytes.
func (u *unpickler) take(n int) ([]byte, error) {
	if n < 0 || n > len(u.data) {
		return nil, fmt.Errorf("pickle wants %d bytes more and has %d", uint(n), len(u.data))
	}
	raw := u.data[:n]
	u.data = u.data[n:]
	return raw, nil
}

// uint reads a little-endian number. One beyond int becomes negative, which take refuses.
func (u *unpickler) uint(width int) (int, error) {
	raw, err := u.take(width)
	var wide [8]byte
	copy(wide[:], raw)
	return int(binary.LittleEndian.Uint64(wide[:])), err
}

// line reads a text that ends in a line feed.
func (u *unpickler) line() (string, error) {
	n := bytes.IndexByte(u.data[:min(len(u.data), 1024)], '\n')
	if n < 0 {
		return "", errors.New("pickle has a line without an end")
	}
	raw, err := u.take(n + 1)
	return string(raw[:n]), err
}
