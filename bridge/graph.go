//go:build (darwin || softmetal) && cgo

package bridge

// #include "bridge.h"
import "C"

// graph is a compiled MPSGraph, shared by all MatMuls or Conv2Ds of one descriptor.
type graph struct {
	h        C.mtl_graph_t
	name     string // for errors
	operands []int  // bytes of each
	result   int    // bytes
	users    int
}

// maxIdleGraphs bounds the graphs without a user that a device keeps: more than a U-Net and its
// decoder have between them, so that a picture of the size before finds all of them.
const maxIdleGraphs = 128

// graphCache keeps graphs by descriptor: compiling one takes MPSGraph up to 200 ms. Its zero value
// is empty.
type graphCache struct {
	graphs map[any]*graph
	idle   []any // descriptors of graphs without a user, the longest idle first
}

// use returns the graph of a descriptor, made by compile if there is none.
func (c *graphCache) use(desc any, compile func() (*graph, error)) (*graph, error) {
	g := c.graphs[desc]
	if g == nil {
		var err error
		if g, err = compile(); err != nil {
			return nil, err
		}
		if c.graphs == nil {
			c.graphs = map[any]*graph{}
		}
		c.graphs[desc] = g
	}
	if g.users == 0 {
		c.forget(desc)
	}
	g.users++
	return g, nil
}

// release ends one use.
func (c *graphCache) release(desc any, g *graph) {
	g.users--
	switch {
	case c.graphs[desc] != g: // the device is closed
		if g.users == 0 {
			C.mtl_graph_free(g.h)
		}
	case g.users == 0:
		c.idle = append(c.idle, desc)
		if len(c.idle) > maxIdleGraphs {
			oldest := c.idle[0]
			c.forget(oldest)
			C.mtl_graph_free(c.graphs[oldest].h)
			delete(c.graphs, oldest)
		}
	}
}

func (c *graphCache) forget(desc any) {
	for i, d := range c.idle {
		if d == desc {
			c.idle = append(c.idle[:i], c.idle[i+1:]...)
			return
		}
	}
}

// clear releases the graphs without a user; the others go with their last.
func (c *graphCache) clear() {
	for _, desc := range c.idle {
		C.mtl_graph_free(c.graphs[desc].h)
	}
	*c = graphCache{}
}

// compiled is the use of the graph of one descriptor.
type compiled[D comparable] struct {
	cache *graphCache
	g     *graph // nil after Close
	desc  D
}

// descriptor is a MatMulDesc or Conv2DDesc.
type descriptor interface {
	comparable
	String() string
	sizes() (operands []int, result int, err error)
}

// newCompiled returns the graph of a descriptor, which compile fills in if there is none yet.
func newCompiled[D descriptor](d *Device, desc D, compile func(g *graph) C.mtl_error_t) (compiled[D], error) {
	g, err := d.graphs.use(desc, func() (*graph, error) {
		g := &graph{name: desc.String()}
		if d.h == nil {
			return nil, closed(g.name, "the device")
		}
		var err error
		if g.operands, g.result, err = desc.sizes(); err != nil {
			return nil, err
		}
		return g, take(g.name, compile(g))
	})
	return compiled[D]{&d.graphs, g, desc}, err
}

// Desc is what it was made from.
func (c *compiled[D]) Desc() D { return c.desc }

// Close ends the use; the device keeps what was compiled for the next user.
func (c *compiled[D]) Close() {
	if c.g != nil {
		c.cache.release(c.desc, c.g)
	}
	*c = compiled[D]{}
}

// MatMul is a product of matrices, compiled for one shape.
type MatMul struct{ compiled[MatMulDesc] }

// NewMatMul compiles a product, or returns that of the same descriptor.
func (d *Device) NewMatMul(desc MatMulDesc) (*MatMul, error) {
	m, err := newCompiled(d, desc, func(g *graph) C.mtl_error_t {
		c := C.struct_mtl_matmul_desc{
			batch: C.uint32_t(desc.Batch), m: C.uint32_t(desc.M), n: C.uint32_t(desc.N), k: C.uint32_t(desc.K),
			a_type: C.uint32_t(desc.A), b_type: C.uint32_t(desc.B),
			transpose_b: C.bool(desc.TransposeB), bias: C.bool(desc.Bias), upcast: C.bool(desc.Upcast),
		}
		return C.mtl_matmul_new(d.h, &c, &g.h)
	})
	if err != nil {
		return nil, err
	}
	return &MatMul{m}, nil
}

// Conv2D is a convolution, compiled for one shape.
type Conv2D struct{ compiled[Conv2DDesc] }

// NewConv2D compiles a convolution, or returns that of the same descriptor.
func (d *Device) NewConv2D(desc Conv2DDesc) (*Conv2D, error) {
	v, err := newCompiled(d, desc, func(g *graph) C.mtl_error_t {
		c := C.struct_mtl_conv2d_desc{
			n: C.uint32_t(desc.N), h: C.uint32_t(desc.H), w: C.uint32_t(desc.W), c: C.uint32_t(desc.C),
			out: C.uint32_t(desc.Out), kernel_h: C.uint32_t(desc.KernelH), kernel_w: C.uint32_t(desc.KernelW),
			stride: C.uint32_t(desc.Stride),
			top:    C.uint32_t(desc.Top), bottom: C.uint32_t(desc.Bottom),
			left: C.uint32_t(desc.Left), right: C.uint32_t(desc.Right),
			data_type: C.uint32_t(desc.Data), weight_type: C.uint32_t(desc.Weights),
			bias: C.bool(desc.Bias), upcast: C.bool(desc.Upcast),
		}
		return C.mtl_conv2d_new(d.h, &c, &g.h)
	})
	if err != nil {
		return nil, err
	}
	return &Conv2D{v}, nil
}
