package metal

import (
	"math"

	"ldm-mac/bridge"
)

// This file asks the device how MPSGraph sums float16 products. Apple documents no width, and
// sums of hundreds of terms in float16 would spoil a picture. Where they are not float32, products
// are upcast in the graph.

// chooseSums makes MPSGraph's products of float16 sum in float32.
func (b *Backend) chooseSums(l *listing) error {
	for _, s := range l.steps {
		half := func(a, b bridge.DataType) bool { return a == bridge.Float16 && b == bridge.Float16 }
		var upcast *bool
		switch {
		case s.matMul != nil && half(s.matMul.A, s.matMul.B):
			upcast = &s.matMul.Upcast
		case s.conv != nil && half(s.conv.Data, s.conv.Weights):
			upcast = &s.conv.Upcast
		default:
			continue
		}
		if b.halfSums == nil {
			half, err := b.measureSums()
			if err != nil {
				return err
			}
			b.halfSums = &half
		}
		*upcast = *b.halfSums
	}
	return nil
}

// probeTerms is the length of the sums that are measured.
const probeTerms = 4096

// measureSums multiplies a row by a column whose terms cancel: +r(i) in order, then -r(i) in another
// order, and 1. All are multiples of 1/256, and partial sums are below 4096, so that in float32 the
// sum is exactly 1; in float16 every partial sum above 8 is rounded, whatever the order.
func (b *Backend) measureSums() (half bool, err error) {
	m, err := b.device.NewMatMul(bridge.MatMulDesc{Batch: 1, M: 1, N: 1, K: probeTerms, A: bridge.Float16, B: bridge.Float16})
	if err != nil {
		return false, failed(err)
	}
	defer m.Close()
	var buffers [3]*bridge.Buffer // row, column, result
	for i, n := range []int{probeTerms, probeTerms, 8} {
		if buffers[i], err = b.device.NewBuffer(2 * n); err != nil {
			return false, failed(err)
		}
		defer buffers[i].Close()
	}
	row, column := make([]float32, probeTerms), make([]float32, probeTerms)
	const pairs = probeTerms/2 - 1
	for i := range pairs {
		row[i] = float32(1 + math.Round(256*math.Sin(float64(i*i)))/256)
		row[pairs+(i*7)%pairs] = row[i]
		column[i], column[pairs+i] = 1, -1
	}
	row[2*pairs], column[2*pairs] = 1, 1
	encodeFloats(buffers[0].Bytes(), row, bridge.Float16)
	encodeFloats(buffers[1].Bytes(), column, bridge.Float16)
	commands, err := b.device.Begin("sums")
	if err != nil {
		return false, failed(err)
	}
	defer commands.Close()
	if err := commands.MatMul(m, buffers[0], buffers[1], nil, buffers[2]); err != nil {
		return false, failed(err)
	}
	if err := commands.Commit(); err != nil {
		return false, failed(err)
	}
	if _, err := commands.Wait(); err != nil {
		return false, failed(err)
	}
	var sum [1]float32
	decodeFloats(sum[:], buffers[2].Bytes(), bridge.Float16)
	return sum[0] != 1, nil
}
