package cpu

import (
	"fmt"

	"ldm-mac/ldm/tensor"
)

// panel is the number of a product's columns that are packed together.
const panel = 32

// packed is the right operand [k, n] of a product, made from a weight [n, channels, taps]: k is
// (tap, channel). How data is laid out is the products' own affair.
type packed struct {
	data []float32
	bias []float32 // [n], with zeros up to whole panels; nil for none
	k, n int
}

// floats cuts n zeros from memory for weights. Pieces start at cache lines.
func (c *compiler) floats(n int) ([]float32, error) {
	const line, slab = 16, 1 << 20
	whole := (n + line - 1) / line * line
	if len(c.slab) < whole {
		fresh, err := c.backend.allocate(int64(max(whole, slab)))
		if err != nil {
			return nil, err
		}
		c.memory = append(c.memory, fresh)
		if whole >= slab {
			return fresh[:n:n], nil
		}
		c.slab = fresh
	}
	piece := c.slab[:n:n]
	c.slab = c.slab[whole:]
	return piece, nil
}

// check reports a weight that holds no floating-point numbers or not as many as its shape says.
func check(t *tensor.Tensor) error {
	w := t.Weight
	switch {
	case !w.DType.Float():
		return fmt.Errorf("cpu: %s: weight of dtype %s is %w", t.Name, w.DType, tensor.ErrUnsupported)
	case len(w.Data) != w.Shape.Elements()*w.DType.Size():
		return fmt.Errorf("cpu: weight %q of shape %s and dtype %s has %d bytes, want %d",
			t.Name, w.Shape, w.DType, len(w.Data), w.Shape.Elements()*w.DType.Size())
	}
	return nil
}

// operand is the value of a node; that of a parameter, with its elements in the order of the
// checkpoint, is decoded when first asked for.
func (c *compiler) operand(t *tensor.Tensor) (*value, error) {
	v := c.values[t.Index()]
	if t.Op != tensor.OpParam || v.data != nil {
		return v, nil
	}
	if err := check(t); err != nil {
		return nil, err
	}
	// Whole panels of zeros follow, as biases need.
	n := t.Shape.Elements()
	data, err := c.floats((n + panel - 1) / panel * panel)
	if err != nil {
		return nil, err
	}
	v.data = data[:n]
	w := t.Weight
	const chunk = 1 << 20
	c.backend.pool.run(&step{parts: (n + chunk - 1) / chunk, run: func(_ *worker, i int) {
		lo, hi := i*chunk, min((i+1)*chunk, n)
		convert(data[lo:hi], w.Data[lo*w.DType.Size():hi*w.DType.Size()], w.DType)
	}})
	return v, nil
}

// pack packs the weight of a Linear or Conv2D, once for all nodes that use it.
func (c *compiler) pack(t *tensor.Tensor) (*packed, error) {
	weight := t.Inputs[1]
	stored := c.packs[weight]
	if stored == nil {
		if err := check(weight); err != nil {
			return nil, err
		}
		channels, taps := weight.Shape[1], 1
		if len(weight.Shape) == 4 {
			taps = weight.Shape[2] * weight.Shape[3]
		}
		stored = &packed{n: weight.Shape[0], k: channels * taps}
		data, err := c.floats(packedSize(stored.n, stored.k))
		if err != nil {
			return nil, err
		}
		stored.data = data
		c.packs[weight] = stored
		w := weight.Weight
		length := stored.k * w.DType.Size()
		c.backend.pool.run(&step{parts: (stored.n + panel - 1) / panel, run: func(_ *worker, i int) {
			lo, hi := i*panel, min((i+1)*panel, stored.n)
			packPanel(stored, i, w.Data[lo*length:hi*length], w.DType, channels, taps)
		}})
	}
	p := *stored
	if len(t.Inputs) == 3 {
		bias, err := c.operand(t.Inputs[2])
		if err != nil {
			return nil, err
		}
		p.bias = bias.data
	}
	return &p, nil
}
