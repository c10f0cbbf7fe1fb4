package metal

import (
	"ldm-mac/bridge"
	"ldm-mac/ldm/tensor"
)

// value is an array on the device. Where it is, is not known before the steps are.
type value struct {
	kind  kind
	dtype bridge.DataType
	n     int // elements

	weight weightKey // of kind weight

	// Of kind activation: the steps that first write and last use it, and its place in the heap.
	first, last int
	finisher    *step  // the last that writes it
	home        *value // the value in whose memory it is: itself, or one that it takes over
	offset      int    // bytes; of a home

	buffer *bridge.Buffer
	begin  int // in buffer, in bytes; of kind weight, 0 of others
}

type kind uint8

const (
	activation kind = iota // in the program's heap, between its first and last step
	weight                 // shared by the backend's programs
	input                  // in a buffer of its own, or of the program to which it is bound
)

func (v *value) bytes() int { return v.n * v.dtype.Size() }

// data is what the value's elements are stored in.
func (v *value) data() []byte { return v.buffer.Bytes()[v.begin:] }

// operand is a part of a value that begins at an element.
type operand struct {
	*value
	at int
}

// step is one dispatch of a kernel or one graph of MPSGraph.
type step struct {
	node   *tensor.Tensor // whose result, or a part of it, is written
	launch Launch         // of a kernel; or one of:
	matMul *bridge.MatMulDesc
	conv   *bridge.Conv2DDesc

	operands []operand // in the order of the kernel's buffers, or a, b, bias, result
	result   int       // which of them is written
	// over is the operand whose memory the result may take over, because each of its elements is
	// read only by the thread that then writes the same element; -1 for none.
	over int

	flops int64 // of products, with all of the padding that is multiplied
	bytes int64 // read and written, every operand once

	pipeline    *bridge.Pipeline
	product     *bridge.MatMul
	convolution *bridge.Conv2D
}

// writes is the step's result.
func (s *step) writes() *value { return s.operands[s.result].value }

// reads tells whether the step reads what is in the memory of v, other than as operand except.
func (s *step) reads(v *value, except int) bool {
	for i, o := range s.operands {
		if i != s.result && i != except && o.value != nil && o.home == v {
			return true
		}
	}
	return false
}

// listing is a graph as steps.
type listing struct {
	steps       []*step
	activations []*value
	weights     map[weightKey]*value
	inputs      map[string]*value
	outputs     map[string]*value
	size, bound int // bytes of activations: as placed, and the most that are alive at once
}

// emit appends a step.
func (l *listing) emit(s step) {
	at := len(l.steps)
	if s.bytes == 0 {
		seen := map[*value]bool{}
		for _, o := range s.operands {
			if o.value != nil && !seen[o.value] {
				seen[o.value] = true
				s.bytes += int64(o.value.bytes())
			}
		}
	}
	for _, o := range s.operands {
		if o.value != nil {
			o.last = at
		}
	}
	y := s.writes()
	y.finisher = &s
	if y.first < 0 {
		y.first = at
	}
	l.steps = append(l.steps, &s)
}

// activation is a new array of n elements that steps write.
func (l *listing) activation(dtype bridge.DataType, n int) *value {
	v := &value{dtype: dtype, n: n, first: -1}
	v.home = v
	l.activations = append(l.activations, v)
	return v
}
