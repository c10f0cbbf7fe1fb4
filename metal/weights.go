package metal

import (
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"sync"

	"ldm-mac/bridge"
	"ldm-mac/ldm/tensor"
)

// layout is the order of a weight's elements on the device.
type layout uint8

const (
	asStored     layout = iota // in the checkpoint: [out, in], [out, in, kh, kw]
	channelsLast               // [out, kh, kw, in], as kernel conv2d reads
)

// weightKey is a weight as a step reads it: parts one after the other, of a type, in a layout.
type weightKey struct {
	parts  [3]*tensor.Weight
	dtype  bridge.DataType
	layout layout
	start  bool // it begins a buffer, because MPSGraph reads it
}

// param is the value of weights, one after the other.
func (l *listing) param(dtype bridge.DataType, layout layout, parts ...*tensor.Weight) *value {
	key := weightKey{dtype: dtype, layout: layout}
	n := 0
	for i, w := range parts {
		key.parts[i] = w
		n += w.Shape.Elements()
	}
	v := l.weights[key]
	if v == nil {
		v = &value{kind: weight, dtype: dtype, n: n, weight: key}
		v.home = v
		l.weights[key] = v
	}
	return v
}

// smallWeight is the number of elements up to which rounding a weight would save no memory to speak of.
const smallWeight = 1 << 12

// weightsOf are the weights and biases, if any, of Linear or Conv2D nodes, and the type in which the
// device has the weights: float16 where the checkpoint has, or where activations are stored so and
// the weight is not small.
func (l *lowering) weightsOf(parts []*tensor.Tensor) (weights, biases []*tensor.Weight, dtype bridge.DataType) {
	exact, elements := true, 0
	for _, p := range parts {
		weights = append(weights, p.Inputs[1].Weight)
		if len(p.Inputs) == 3 {
			biases = append(biases, p.Inputs[2].Weight)
		}
		for _, in := range p.Inputs[1:] {
			exact = exact && in.Weight.DType == tensor.F16
			elements += in.Weight.Shape.Elements()
		}
	}
	if exact || l.store == bridge.Float16 && elements > smallWeight {
		return weights, biases, bridge.Float16
	}
	return weights, biases, bridge.Float32
}

// graphWeights are the operands of MPSGraph, whose bias has the weights' type.
func (l *lowering) graphWeights(parts []*tensor.Tensor) (w, bias operand, dtype bridge.DataType) {
	weights, biases, dtype := l.weightsOf(parts)
	w.value = l.param(dtype, asStored, weights...)
	if biases != nil {
		bias.value = l.param(dtype, asStored, biases...)
	}
	return w, bias, dtype
}

// kernelWeights are the operands of the kernels, whose bias is float32.
func (l *lowering) kernelWeights(parts []*tensor.Tensor, layout layout) (w, bias operand, dtype bridge.DataType) {
	weights, biases, dtype := l.weightsOf(parts)
	w.value = l.param(dtype, layout, weights...)
	if biases != nil {
		bias.value = l.param(bridge.Float32, asStored, biases...)
	}
	return w, bias, dtype
}

// check reports a weight that holds no floating-point numbers or not as many as its shape says.
func check(w *tensor.Weight) error {
	n := w.Shape.Elements()
	switch {
	case !w.DType.Float():
		return fmt.Errorf("metal: weight %q of dtype %s is %w", w.Name, w.DType, tensor.ErrUnsupported)
	case len(w.Data) != n*w.DType.Size():
		return fmt.Errorf("metal: weight %q of shape %s and dtype %s has %d bytes, want %d",
			w.Name, w.Shape, w.DType, len(w.Data), n*w.DType.Size())
	}
	return nil
}

// convert writes w to dst as dtype and returns the number of bytes.
func convert(dst []byte, dtype bridge.DataType, w *tensor.Weight, layout layout) int {
	n, size, from := w.Shape.Elements(), dtype.Size(), w.DType.Size()
	taps := 1
	if layout == channelsLast {
		taps = w.Shape[2:].Elements()
	}
	// A chunk holds whole kernels, whose taps and channels change places.
	kernel := 1
	if taps > 1 {
		kernel = taps * w.Shape[1]
	}
	const elements = 1 << 18
	chunk := max(1, elements/kernel) * kernel
	parallel(divUp(n, chunk), func(part int) {
		lo, hi := part*chunk, min((part+1)*chunk, n)
		values := make([]float32, hi-lo)
		if err := tensor.DecodeFloats(values, w.Data[lo*from:hi*from], w.DType); err != nil {
			panic(err) // check accepted the type
		}
		if taps > 1 {
			values = transposed(values, w.Shape[1], taps)
		}
		encodeFloats(dst[lo*size:hi*size], values, dtype)
	})
	return n * size
}

// transposed are kernels [channels, taps] as [taps, channels].
func transposed(kernels []float32, channels, taps int) []float32 {
	out := make([]float32, len(kernels))
	for base := 0; base < len(kernels); base += channels * taps {
		for c := range channels {
			for tap := range taps {
				out[base+tap*channels+c] = kernels[base+c*taps+tap]
			}
		}
	}
	return out
}

// encodeFloats writes src to dst as dtype.
func encodeFloats(dst []byte, src []float32, dtype bridge.DataType) {
	le := binary.LittleEndian
	if dtype == bridge.Float16 {
		for i, f := range src {
			le.PutUint16(dst[2*i:], tensor.F32ToF16(f))
		}
		return
	}
	for i, f := range src {
		le.PutUint32(dst[4*i:], math.Float32bits(f))
	}
}

// decodeFloats fills dst from src of dtype.
func decodeFloats(dst []float32, src []byte, dtype bridge.DataType) {
	stored := tensor.F32
	if dtype == bridge.Float16 {
		stored = tensor.F16
	}
	if err := tensor.DecodeFloats(dst, src, stored); err != nil {
		panic(err) // both hold floating-point numbers
	}
}

// parallel calls f for 0…n-1 on all cores.
func parallel(n int, f func(i int)) {
	var next struct {
		sync.Mutex
		i int
	}
	var all sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		all.Go(func() {
			for {
				next.Lock()
				i := next.i
				next.i++
				next.Unlock()
				if i >= n {
					return
				}
				f(i)
			}
		})
	}
	all.Wait()
}
