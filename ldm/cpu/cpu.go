// Package cpu is the tensor.Backend on the host's processor, and the definition of right for the
// other backends.
//
// A compiled graph is a list of steps over one arena of float32 values, where the plan of package
// tensor puts the activations; a step is divided into parts for the workers of a pool. How an
// operator is divided, and in which order its sums run, depends on the shape of one image alone;
// so results depend neither on the number of workers nor on what else is in a batch.
//
// The kernels exist twice: with cgo in C with the compiler's vectors (the .h files), and in plain
// Go. Without cgo, on darwin, and with the build tag blas, matrix products are those of a BLAS
// library: gonum's, Accelerate or OpenBLAS.
package cpu

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"ldm-mac/ldm/tensor"
)

// Backend computes on a fixed number of cores. It serves one goroutine at a time.
type Backend struct {
	pool   *pool
	closed bool
	active atomic.Int64 // bytes
	peak   atomic.Int64
}

// New starts a backend on the given number of cores; 0 means all of them. It must be closed.
func New(threads int) *Backend {
	if threads <= 0 {
		threads = runtime.NumCPU()
	}
	return &Backend{pool: newPool(threads)}
}

// Name is "cpu".
func (b *Backend) Name() string { return "cpu" }

// Memory is the number of bytes that the backend's open programs hold, weights, activations and
// the workers' scratch memory, and the most that they ever held.
func (b *Backend) Memory() (active, peak int64) { return b.active.Load(), b.peak.Load() }

// Close stops the workers; open programs then fail to run. It may be called again.
func (b *Backend) Close() error {
	b.closed = true
	b.pool.close()
	for _, w := range b.pool.workers {
		b.release(w.scratch)
		w.scratch = nil
	}
	return nil
}

// allocate returns n zeros from outside Go's heap, whose collector would let as much garbage
// pile up as a model is large.
func (b *Backend) allocate(n int64) ([]float32, error) {
	const most = 1 << 44 // floats; what a 64-bit processor addresses is below
	if n < 0 || n > most {
		return nil, fmt.Errorf("cpu: %w: %d elements", tensor.ErrOutOfMemory, n)
	}
	data, err := allocate(int(n))
	if err != nil {
		return nil, fmt.Errorf("cpu: %w: %d bytes: %v", tensor.ErrOutOfMemory, 4*n, err)
	}
	active := b.active.Add(4 * n)
	b.peak.Store(max(b.peak.Load(), active))
	return data, nil
}

func (b *Backend) release(data []float32) {
	b.active.Add(-4 * int64(len(data)))
	release(data)
}

// reserve gives every worker at least n floats of scratch memory.
func (b *Backend) reserve(n int) error {
	for _, w := range b.pool.workers {
		if len(w.scratch) >= n {
			continue
		}
		grown, err := b.allocate(int64(n))
		if err != nil {
			return err
		}
		b.release(w.scratch)
		w.scratch = grown
	}
	return nil
}

var (
	errClosed        = errors.New("cpu: the program is closed")
	errBackendClosed = errors.New("cpu: the backend is closed")
)
