package metal

import (
	"errors"
	"fmt"
	"math"

	"ldm-mac/bridge"
)

// code is a listing with its memory, kernels and graphs.
type code struct {
	*lowering
	backend *Backend
	heap    *bridge.Heap
	uses    []*stored       // of weights
	owned   map[*value]bool // inputs with a buffer of their own
	flag    *bridge.Buffer  // see finite.go
	places  []bridge.Binding

	// See ahead.go.
	keeps      bool // some results stay on the device
	limit      int  // the step of the first command buffer before which encoding ahead ends
	succession int  // evaluations since another program ran
}

// load makes all that steps need on the device, so that running them allocates nothing. Inputs that
// are bound get no buffer.
func (b *Backend) load(l *lowering, bound func(input string) bool) (*code, error) {
	c := &code{lowering: l, backend: b, owned: map[*value]bool{}, places: make([]bridge.Binding, 0, 8), limit: math.MaxInt}
	for _, o := range l.graph.Outputs() {
		c.keeps = c.keeps || o.Resident
	}
	if err := c.load(bound); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *code) load(bound func(input string) bool) error {
	if err := c.loadMemory(bound); err != nil {
		return err
	}
	for _, s := range c.steps {
		var err error
		switch {
		case s.matMul != nil:
			s.product, err = c.backend.device.NewMatMul(*s.matMul)
		case s.conv != nil:
			s.convolution, err = c.backend.device.NewConv2D(*s.conv)
		default:
			s.pipeline, err = c.backend.pipeline(s.launch)
		}
		if err != nil {
			return fmt.Errorf("metal: %s: %w", s.node.Name, failed(err))
		}
	}
	return nil
}

// loadMemory makes the buffers. Every activation has one that begins at its place in the heap,
// because MPSGraph takes no offset; values in the same home share it.
func (c *code) loadMemory(bound func(input string) bool) error {
	b := c.backend
	if c.size > 0 {
		heap, err := b.device.NewHeap(c.size)
		if err != nil {
			return failed(err)
		}
		b.account(c.size)
		c.heap = heap
		for _, v := range c.activations {
			if v.home == v && v.first >= 0 {
				if v.buffer, err = heap.NewBuffer(v.offset, v.bytes()); err != nil {
					return failed(err)
				}
			}
		}
		for _, v := range c.activations {
			v.buffer = v.home.buffer
		}
	}
	c.startWeights()
	for _, v := range c.weights {
		s, err := b.weight(v.weight)
		if err != nil {
			return err
		}
		c.uses = append(c.uses, s)
		v.buffer, v.begin = s.buffer, s.begin
	}
	for name, v := range c.inputs {
		if !bound(name) {
			if err := c.own(v); err != nil {
				return err
			}
		}
	}
	return c.loadFlag()
}

// startWeights asks for the weights that MPSGraph reads to begin a buffer.
func (c *code) startWeights() {
	for _, s := range c.steps {
		if s.matMul == nil && s.conv == nil {
			continue
		}
		for _, o := range s.operands {
			if o.value != nil && o.kind == weight {
				o.weight.start = true
			}
		}
	}
}

// own gives an input a buffer of its own, if it has none.
func (c *code) own(v *value) error {
	if c.owned[v] {
		return nil
	}
	buffer, err := c.backend.newBuffer(v.bytes())
	if err != nil {
		return err
	}
	v.buffer, c.owned[v] = buffer, true
	return nil
}

// disown takes it away.
func (c *code) disown(v *value) {
	if c.owned[v] {
		c.backend.closeBuffer(v.buffer)
		v.buffer = nil
		delete(c.owned, v)
	}
}

// close releases all. A nil code has nothing.
func (c *code) close() error {
	if c == nil {
		return nil
	}
	c.backend.discardAhead() // which may use these buffers, whose program ever it is of
	if c.backend.latest == c {
		c.backend.latest = nil
	}
	for _, s := range c.steps {
		if s.product != nil {
			s.product.Close()
		}
		if s.convolution != nil {
			s.convolution.Close()
		}
	}
	for v := range c.owned {
		c.disown(v)
	}
	var errs []error
	for _, s := range c.uses {
		errs = append(errs, c.backend.releaseWeight(s))
	}
	if c.flag != nil {
		c.backend.closeBuffer(c.flag)
	}
	if c.heap != nil {
		for _, v := range c.activations {
			if v.home == v && v.buffer != nil {
				v.buffer.Close()
			}
		}
		c.heap.Close()
		c.backend.account(-c.size)
	}
	return errors.Join(errs...)
}

// mostFLOPs is the work of one command buffer: 3 s on the slowest chip, M1, at half of its rate. macOS
// ends command buffers that take much longer.
var mostFLOPs int64 = 4e12

// commandBuffers divides the steps, in order, into the work of one command buffer each.
func (l *listing) commandBuffers() [][]*step {
	var buffers [][]*step
	begin, flops := 0, int64(0)
	for at, s := range l.steps {
		if flops += s.flops; flops > mostFLOPs && at > begin {
			buffers = append(buffers, l.steps[begin:at])
			begin, flops = at, s.flops
		}
	}
	return append(buffers, l.steps[begin:])
}

// encodeStep appends a step to commands.
func (c *code) encodeStep(commands *bridge.Commands, s *step) error {
	if s.pipeline != nil {
		c.places = c.places[:0]
		for _, o := range s.operands {
			var place bridge.Binding
			if o.value != nil {
				place = bridge.Binding{Buffer: o.buffer, Offset: o.begin + o.at*o.dtype.Size()}
			}
			c.places = append(c.places, place)
		}
		return commands.Dispatch(s.pipeline, s.launch.Args, c.places, s.launch.Grid, s.launch.Group, 0)
	}
	var bias *bridge.Buffer
	if v := s.operands[2].value; v != nil {
		bias = v.buffer
	}
	a, b, y := s.operands[0].buffer, s.operands[1].buffer, s.writes().buffer
	if s.product != nil {
		return commands.MatMul(s.product, a, b, bias, y)
	}
	return commands.Conv2D(s.convolution, a, b, bias, y)
}
