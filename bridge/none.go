//go:build !((darwin || softmetal) && cgo)

package bridge

// This file is the twin of the others in a program without Metal: Open fails, so that no method
// below is ever called on more than a zero value.

type (
	// Device is the system's default GPU; there is none in this build.
	Device struct{}
	// Buffer is memory that host and device share.
	Buffer struct{}
	// Heap is memory in which buffers are placed.
	Heap struct{}
	// Library is compiled Metal source.
	Library struct{}
	// Pipeline is one kernel with its constants.
	Pipeline struct{}
	// Archive keeps compiled pipelines in a file.
	Archive struct{}
	// MatMul is a product of matrices.
	MatMul struct{}
	// Conv2D is a convolution.
	Conv2D struct{}
	// Event is a number that commands wait for.
	Event struct{}
	// Commands is work for the device.
	Commands struct{}
)

// Open fails with [ErrUnavailable].
func Open() (*Device, error) { return nil, ErrUnavailable }

// LiveObjects is 0.
func LiveObjects() int64 { return 0 }

// Info is zero.
func (*Device) Info() Info { return Info{} }

// NewBuffer fails with [ErrUnavailable].
func (*Device) NewBuffer(int) (*Buffer, error) { return nil, ErrUnavailable }

// WrapBuffer fails with [ErrUnavailable].
func (*Device) WrapBuffer([]byte) (*Buffer, error) { return nil, ErrUnavailable }

// NewHeap fails with [ErrUnavailable].
func (*Device) NewHeap(int) (*Heap, error) { return nil, ErrUnavailable }

// NewLibrary fails with [ErrUnavailable].
func (*Device) NewLibrary(string) (*Library, error) { return nil, ErrUnavailable }

// NewMatMul fails with [ErrUnavailable].
func (*Device) NewMatMul(MatMulDesc) (*MatMul, error) { return nil, ErrUnavailable }

// NewConv2D fails with [ErrUnavailable].
func (*Device) NewConv2D(Conv2DDesc) (*Conv2D, error) { return nil, ErrUnavailable }

// OpenArchive fails with [ErrUnavailable].
func (*Device) OpenArchive(string) (*Archive, error) { return nil, ErrUnavailable }

// NewEvent fails with [ErrUnavailable].
func (*Device) NewEvent() (*Event, error) { return nil, ErrUnavailable }

// Begin fails with [ErrUnavailable].
func (*Device) Begin(string) (*Commands, error) { return nil, ErrUnavailable }

// Close does nothing.
func (*Device) Close() {}

// Bytes is nil.
func (*Buffer) Bytes() []byte { return nil }

// Len is 0.
func (*Buffer) Len() int { return 0 }

// Close does nothing.
func (*Buffer) Close() {}

// NewBuffer fails with [ErrUnavailable].
func (*Heap) NewBuffer(int, int) (*Buffer, error) { return nil, ErrUnavailable }

// Close does nothing.
func (*Heap) Close() {}

// NewPipeline fails with [ErrUnavailable].
func (*Library) NewPipeline(string, []Constant, *Archive) (*Pipeline, error) {
	return nil, ErrUnavailable
}

// Close does nothing.
func (*Library) Close() {}

// Name is empty.
func (*Pipeline) Name() string { return "" }

// SIMDWidth is 0.
func (*Pipeline) SIMDWidth() int { return 0 }

// MaxThreads is 0.
func (*Pipeline) MaxThreads() int { return 0 }

// ThreadgroupMemory is 0.
func (*Pipeline) ThreadgroupMemory() int { return 0 }

// Close does nothing.
func (*Pipeline) Close() {}

// Save fails with [ErrUnavailable].
func (*Archive) Save() error { return ErrUnavailable }

// Close does nothing.
func (*Archive) Close() {}

// Desc is zero.
func (*MatMul) Desc() MatMulDesc { return MatMulDesc{} }

// Close does nothing.
func (*MatMul) Close() {}

// Desc is zero.
func (*Conv2D) Desc() Conv2DDesc { return Conv2DDesc{} }

// Close does nothing.
func (*Conv2D) Close() {}

// Signal does nothing.
func (*Event) Signal(uint64) {}

// Close does nothing.
func (*Event) Close() {}

// WaitFor fails with [ErrUnavailable].
func (*Commands) WaitFor(*Event, uint64) error { return ErrUnavailable }

// Submitted is 0.
func (*Commands) Submitted() int { return 0 }

// Dispatch fails with [ErrUnavailable].
func (*Commands) Dispatch(*Pipeline, []byte, []Binding, Size, Size, int) error { return ErrUnavailable }

// MatMul fails with [ErrUnavailable].
func (*Commands) MatMul(*MatMul, *Buffer, *Buffer, *Buffer, *Buffer) error { return ErrUnavailable }

// Conv2D fails with [ErrUnavailable].
func (*Commands) Conv2D(*Conv2D, *Buffer, *Buffer, *Buffer, *Buffer) error { return ErrUnavailable }

// Copy fails with [ErrUnavailable].
func (*Commands) Copy(Binding, Binding, int) error { return ErrUnavailable }

// Commit fails with [ErrUnavailable].
func (*Commands) Commit() error { return ErrUnavailable }

// Wait fails with [ErrUnavailable].
func (*Commands) Wait() (gpuSeconds float64, err error) { return 0, ErrUnavailable }

// Close does nothing.
func (*Commands) Close() {}
