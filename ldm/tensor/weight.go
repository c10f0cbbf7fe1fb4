package tensor

import (
	"encoding/binary"
	"fmt"
)

// Weight is a stored parameter. Shape and element order are the checkpoint's own (PyTorch:
// linear [out, in], convolution [out, in, kh, kw]); a backend packs it as its kernels want when
// it compiles a graph.
type Weight struct {
	Name  string // in the checkpoint; empty until bound
	Shape Shape
	DType DType
	Data  []byte // little-endian, usually a part of a mapped file: read-only, and valid while that is open
	// Mapping is what Data is a part of; nil for Go's own memory. Who reads Data for longer than the
	// file is open retains it.
	Mapping *Mapping
}

// NewWeight describes a parameter of the given shape whose data is bound later.
func NewWeight(shape ...int) *Weight { return &Weight{Shape: shape} }

// WeightOf is an F32 weight that holds a copy of values.
func WeightOf(name string, values []float32, shape ...int) *Weight {
	return &Weight{Name: name, Shape: shape, DType: F32, Data: EncodeFloats(nil, values, F32)}
}

// Floats decodes the weight into dst, which must hold Shape.Elements() values; a nil dst is
// allocated. It fails when the weight is unbound or its type is an integer's.
func (w *Weight) Floats(dst []float32) ([]float32, error) {
	n := w.Shape.Elements()
	if len(w.Data) != n*w.DType.Size() {
		return nil, fmt.Errorf("tensor: weight %q of shape %s and dtype %s has %d bytes, want %d",
			w.Name, w.Shape, w.DType, len(w.Data), n*w.DType.Size())
	}
	if dst == nil {
		dst = make([]float32, n)
	}
	if err := DecodeFloats(dst[:n], w.Data, w.DType); err != nil {
		return nil, fmt.Errorf("%w (weight %q)", err, w.Name)
	}
	return dst[:n], nil
}

// Ints decodes an I64 weight: token ids, time steps.
func (w *Weight) Ints() ([]int64, error) {
	if w.DType != I64 || len(w.Data) != 8*w.Shape.Elements() {
		return nil, fmt.Errorf("tensor: %q has dtype %s and %d bytes, want I64 of shape %s",
			w.Name, w.DType, len(w.Data), w.Shape)
	}
	values := make([]int64, w.Shape.Elements())
	for i := range values {
		values[i] = int64(binary.LittleEndian.Uint64(w.Data[8*i:]))
	}
	return values, nil
}

// Row decodes row i of a matrix [rows, d] into dst, which has d elements.
func (w *Weight) Row(dst []float32, i int) error {
	size := len(dst) * w.DType.Size()
	return DecodeFloats(dst, w.Data[i*size:(i+1)*size], w.DType)
}
