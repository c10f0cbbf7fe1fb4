// Package metal is the tensor.Backend on Apple's GPUs.
//
// Compile lowers a graph to a list of steps, each a kernel of shaders/ or a product or convolution
// of MPSGraph, and places their results in one heap by when they are alive; Run encodes the list
// into a command buffer, that of the next Run while the device computes, and waits once. Weights and
// activations are stored as float16 or float32, sums and statistics are float32 always. A weight that
// kernels read as the model's file has it stays in the mapped file; others are converted once. A
// float16 result that overflows is found after the evaluation, which is then repeated with that node
// in float32.
//
// The package is plain Go: package bridge talks to Metal, on Linux to the software Metal that the
// build tag softmetal links in.
package metal

import (
	"errors"
	"fmt"

	"ldm-mac/bridge"
	"ldm-mac/ldm/tensor"
	"ldm-mac/shaders"
)

// Options say how a backend computes. The zero value stores float32.
type Options struct {
	// DType is how activations of F32 graphs, and weights, are stored: tensor.F32 or tensor.F16.
	// Graphs of F16 are stored as such in any case.
	DType tensor.DType
	// Tuning replaces DefaultTuning and TuningFile unless it is nil.
	Tuning *Tuning
	// TuningFile is what Tuning.Write wrote for this device, which replaces DefaultTuning; empty for
	// none. One that ReadTuning does not accept is ignored.
	TuningFile string
	// Archive is the file that keeps compiled kernels between runs; empty for none. One that cannot
	// be read is made anew.
	Archive string
	// Notice is told, once for each node, what users should know: that it is computed in float32
	// from now on. It may be nil.
	Notice func(text string)
}

// Backend compiles graphs for the system's default GPU. It serves one goroutine at a time.
type Backend struct {
	options Options
	store   bridge.DataType
	tuning  Tuning
	device  *bridge.Device // nil after Close
	info    bridge.Info
	library *bridge.Library
	archive *bridge.Archive // nil for none

	pipelines map[string]*bridge.Pipeline
	weights   map[weightKey]*stored
	halfSums  *bool // whether MPSGraph sums in float16; nil before it is known

	ahead     *ahead // the next evaluation's beginning, of at most one program; nil for none
	latest    *code  // that ran
	event     *bridge.Event
	signalled uint64 // value of event; nothing else raises it

	active, peak int64 // bytes
}

// Open opens the default device and compiles the kernels. It fails with bridge.ErrNoDevice or
// bridge.ErrUnavailable where there is no Metal. The backend must be closed.
func Open(o Options) (*Backend, error) {
	if o.DType != tensor.F32 && o.DType != tensor.F16 {
		return nil, fmt.Errorf("metal: storage type %s, want F32 or F16", o.DType)
	}
	device, err := bridge.Open()
	if err != nil {
		return nil, fmt.Errorf("metal: %w", err)
	}
	b := &Backend{
		options: o, store: storage(o.DType), device: device, info: device.Info(),
		pipelines: map[string]*bridge.Pipeline{}, weights: map[weightKey]*stored{},
	}
	b.tuning = DefaultTuning(b.info)
	if o.Tuning != nil {
		b.tuning = *o.Tuning
	} else if o.TuningFile != "" {
		if stored, err := ReadTuning(o.TuningFile, DeviceName(b.info)); err == nil {
			b.tuning = *stored
		}
	}
	if b.library, err = device.NewLibrary(shaders.Source()); err != nil {
		b.Close()
		return nil, fmt.Errorf("metal: %w", err)
	}
	b.openArchive()
	return b, nil
}

// storage is the device's type for tensor.F32 or tensor.F16.
func storage(d tensor.DType) bridge.DataType {
	if d == tensor.F16 {
		return bridge.Float16
	}
	return bridge.Float32
}

// Name is "metal: " and the device's name.
func (b *Backend) Name() string { return "metal: " + b.info.Name }

// Info describes the device as it was when the backend was opened.
func (b *Backend) Info() bridge.Info { return b.info }

// Memory is the number of bytes that the open programs hold on the device, weights, activations and
// inputs, and the most that they ever held. What Mapped counts is not in it.
func (b *Backend) Memory() (active, peak int64) { return b.active, b.peak }

// Close releases the device. Open programs then fail to run, and are closed before. It may be
// called again.
func (b *Backend) Close() error {
	if b.device == nil {
		return nil
	}
	b.discardAhead()
	if b.event != nil {
		b.event.Close()
		b.event = nil
	}
	err := b.closeArchive()
	for _, p := range b.pipelines {
		p.Close()
	}
	if b.library != nil {
		b.library.Close()
	}
	b.device.Close()
	b.device, b.pipelines = nil, nil
	return err
}

// Compile makes g ready to run: it lists the steps, plans the activations' memory, and stores the
// weights as the steps read them.
func (b *Backend) Compile(g *tensor.Graph) (tensor.Program, error) {
	if err := g.Err(); err != nil {
		return nil, err
	}
	if b.device == nil {
		return nil, errBackendClosed
	}
	p := &Program{backend: b, graph: g, bound: map[string]source{}, results: map[string]tensor.Array{}, wide: map[string]bool{}}
	if err := p.compile(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// pipeline prepares the kernel of a launch, once for all steps that use it.
func (b *Backend) pipeline(l Launch) (*bridge.Pipeline, error) {
	key := fmt.Sprint(l.Kernel, l.Constants)
	p := b.pipelines[key]
	if p == nil {
		var err error
		if p, err = b.library.NewPipeline(l.Kernel, l.Constants, b.archive); err != nil {
			return nil, fmt.Errorf("metal: %w", err)
		}
		b.pipelines[key] = p
	}
	if threads := l.Group.X * l.Group.Y * l.Group.Z; threads > p.MaxThreads() {
		return nil, fmt.Errorf("metal: kernel %q runs %d threads on this device, want %d: %w", l.Kernel, p.MaxThreads(), threads, tensor.ErrUnsupported)
	}
	return p, nil
}

func (b *Backend) newBuffer(bytes int) (*bridge.Buffer, error) {
	buffer, err := b.device.NewBuffer(bytes)
	if err != nil {
		return nil, failed(err)
	}
	b.account(bytes)
	return buffer, nil
}

func (b *Backend) closeBuffer(buffer *bridge.Buffer) {
	b.account(-buffer.Len())
	buffer.Close()
}

func (b *Backend) account(bytes int) {
	b.active += int64(bytes)
	b.peak = max(b.peak, b.active)
}

// failed says in the words of package tensor that memory is missing.
func failed(err error) error {
	if errors.Is(err, bridge.ErrOutOfMemory) {
		return fmt.Errorf("metal: %w: %w", tensor.ErrOutOfMemory, err)
	}
	return fmt.Errorf("metal: %w", err)
}

// notice tells the user.
func (b *Backend) notice(format string, args ...any) {
	if b.options.Notice != nil {
		b.options.Notice(fmt.Sprintf(format, args...))
	}
}

var (
	errClosed        = errors.New("metal: the program is closed")
	errBackendClosed = errors.New("metal: the backend is closed")
)
