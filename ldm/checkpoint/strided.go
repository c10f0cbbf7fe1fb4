package checkpoint

import (
	"fmt"

	"ldm-mac/ldm/tensor"
)

// maxRank is the most dimensions that PyTorch itself operates on (c10 kDimVectorStaticSize is a
// hint only, TensorIterator ends at 64).
const maxRank = 64

// weight checks a tensor against its storage. The data is a part of the storage when the tensor
// is contiguous and a copy otherwise.
func (t *torchFile) weight(s *strided) (*tensor.Weight, error) {
	dtype, ok := storageTypes[s.storage.class]
	if !ok {
		return nil, fmt.Errorf("storage type %q is not supported", s.storage.class)
	}
	if len(s.size) != len(s.stride) || len(s.size) > maxRank {
		return nil, fmt.Errorf("%d sizes and %d strides, want as many of each and at most %d",
			len(s.size), len(s.stride), maxRank)
	}
	shape, stride, err := s.layout()
	if err != nil {
		return nil, err
	}
	size, ok := byteSize(shape, dtype)
	if !ok {
		return nil, fmt.Errorf("shape %s is too large", shape)
	}
	raw, err := t.storages(s.storage.key)
	if err != nil {
		return nil, fmt.Errorf("storage %q %w", s.storage.key, err)
	}
	held := int64(len(raw) / dtype.Size())
	first, count := s.storage.skip, s.storage.count
	if first < 0 || count < 0 || first > held || count > held-first {
		return nil, fmt.Errorf("storage %q claims %d elements of %s from %d, the file has %d bytes",
			s.storage.key, count, dtype, first, len(raw))
	}
	raw = raw[first*int64(dtype.Size()) : (first+count)*int64(dtype.Size())]
	if err := s.fits(shape, stride, count); err != nil {
		return nil, err
	}
	w := &tensor.Weight{Shape: shape, DType: dtype, Data: []byte{}}
	if size == 0 {
		return w, nil
	}
	raw = raw[s.offset*int64(dtype.Size()):]
	if contiguous(shape, stride) {
		w.Data = raw[:size:size]
		return w, nil
	}
	if w.Data, err = t.allocate(uint64(size)); err != nil {
		return nil, err
	}
	copyStrided(w.Data, raw, dtype.Size(), shape, stride)
	return w, nil
}

// layout converts sizes and strides; both count elements.
func (s *strided) layout() (shape tensor.Shape, stride []int, err error) {
	shape, stride = make(tensor.Shape, len(s.size)), make([]int, len(s.size))
	for i := range s.size {
		size, ok := s.size[i].(int64)
		step, okStep := s.stride[i].(int64)
		if !ok || !okStep || size < 0 || step < 0 || int64(int(size)) != size || int64(int(step)) != step {
			return nil, nil, fmt.Errorf("dimension %d has %s for a size and %s for a stride, want non-negative ints",
				i, kind(s.size[i]), kind(s.stride[i]))
		}
		shape[i], stride[i] = int(size), int(step)
	}
	return shape, stride, nil
}

// fits makes sure that the tensor's last element lies in its storage of count elements.
func (s *strided) fits(shape tensor.Shape, stride []int, count int64) error {
	if s.offset < 0 {
		return fmt.Errorf("offset %d is negative", s.offset)
	}
	if shape.Elements() == 0 {
		return nil
	}
	rest := count - 1 - s.offset // elements behind the tensor's first
	for i, n := range shape {
		if n > 1 {
			if rest < 0 || int64(stride[i]) > rest/int64(n-1) {
				rest = -1
				break
			}
			rest -= int64(stride[i]) * int64(n-1)
		}
	}
	if rest < 0 {
		return fmt.Errorf("shape %s with strides %v from element %d exceeds the storage's %d elements",
			shape, stride, s.offset, count)
	}
	return nil
}

// contiguous reports whether the elements follow each other in row-major order.
func contiguous(shape tensor.Shape, stride []int) bool {
	step := 1
	for i := len(shape) - 1; i >= 0; i-- {
		if shape[i] != 1 && stride[i] != step {
			return false
		}
		step *= shape[i]
	}
	return true
}

// copyStrided copies elements of the given size in row-major order of shape, which has at least
// one element and one dimension.
func copyStrided(dst, src []byte, element int, shape tensor.Shape, stride []int) {
	last := len(shape) - 1
	index := make([]int, last)
	from := 0
	for {
		for i := range shape[last] {
			at := (from + i*stride[last]) * element
			copy(dst[:element], src[at:])
			dst = dst[element:]
		}
		axis := last - 1
		for ; axis >= 0; axis-- {
			from += stride[axis]
			if index[axis]++; index[axis] < shape[axis] {
				break
			}
			from -= stride[axis] * shape[axis]
			index[axis] = 0
		}
		if axis < 0 {
			return
		}
	}
}
