package checkpoint

import (
	"encoding/binary"
	"runtime"
	"sync"
	"sync/atomic"

	"ldm-mac/ldm/tensor"
)

// exponents has, for each type of floating-point number, a word full of elements with all bits
// of the exponent set, and one with the lowest of them. Infinities and NaN are the numbers whose
// exponent is all ones (IEEE 754): there, and only there, adding the lowest bit carries into the
// sign bit.
var exponents = map[tensor.DType]struct{ all, low uint64 }{
	tensor.F16:  {0x7c00_7c00_7c00_7c00, 0x0400_0400_0400_0400},
	tensor.BF16: {0x7f80_7f80_7f80_7f80, 0x0080_0080_0080_0080},
	tensor.F32:  {0x7f80_0000_7f80_0000, 0x0080_0000_0080_0000},
	tensor.F64:  {0x7ff0_0000_0000_0000, 0x0010_0000_0000_0000},
}

// CheckFinite returns an error that names the first weight of a model bound to the file at path,
// in the order of Walk, which holds NaN or an infinity. It reads the bytes of all weights once, on
// every core.
func CheckFinite(path string, model any) error {
	var weights []*tensor.Weight
	Walk(model, func(_ string, w *tensor.Weight) { weights = append(weights, w) })
	var next atomic.Int64
	element := make([]int, len(weights)) // the first bad element and 1, or 0
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for {
				i := int(next.Add(1) - 1)
				if i >= len(weights) {
					return
				}
				element[i] = notFinite(weights[i]) + 1
			}
		})
	}
	workers.Wait()
	for i, at := range element {
		if at > 0 {
			return errorf(path, "weight %q holds NaN or an infinity at element %d of %s: the file is damaged, "+
				"or was saved by a run that diverged", weights[i].Name, at-1, weights[i].Shape)
		}
	}
	return nil
}

// notFinite returns the index of the first element that is NaN or infinite, or -1.
func notFinite(w *tensor.Weight) int {
	e, ok := exponents[w.DType]
	if !ok {
		return -1
	}
	sign := e.all + e.low
	const block = 64
	data := w.Data
	for len(data) >= block {
		b := data[:block:block]
		var carry uint64
		for i := 0; i < block; i += 8 {
			carry |= (binary.LittleEndian.Uint64(b[i:]) & e.all) + e.low
		}
		if carry&sign != 0 {
			break
		}
		data = data[block:]
	}
	for size := w.DType.Size(); len(data) >= size; data = data[size:] {
		var word [8]byte
		copy(word[:], data[:size])
		if (binary.LittleEndian.Uint64(word[:])&e.all+e.low)&sign != 0 {
			return (len(w.Data) - len(data)) / size
		}
	}
	return -1
}
