package tensor

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Errors that callers of a backend distinguish.
var (
	ErrUnsupported = errors.New("not supported by this backend")
	ErrOutOfMemory = errors.New("out of memory")
)

// Backend compiles graphs for one device. It serves one goroutine at a time.
type Backend interface {
	Name() string // "cpu", "metal: Apple M3 Max"
	// Compile makes a graph ready to run. It returns the graph's own error, and fails on
	// operators or sizes that the device cannot do. Weights are read, not kept; one that the device
	// reads where it lies has its Mapping retained until the program is closed.
	Compile(g *Graph) (Program, error)
	Close() error
}

// Program is a compiled graph; it owns its device memory.
type Program interface {
	// Run computes the outputs from one array per input that is not bound. The result and its
	// arrays belong to the program and are valid until its next Run or Close.
	Run(ctx context.Context, in map[string]Array) (map[string]Array, error)
	// Bind makes input read what the latest Run of source, of the same backend, left in its
	// output of that name, without a copy through the host. The shapes must be equal, and
	// source must stay open.
	Bind(input string, source Program, output string) error
	Close() error
}

// Array is a float32 tensor on the host, in row-major order.
type Array struct {
	Shape Shape
	Data  []float32
}

// NewArray is an array of zeros.
func NewArray(shape ...int) Array {
	return Array{Shape: shape, Data: make([]float32, Shape(shape).Elements())}
}

// CheckInputs reports an input of g that in lacks, that has another shape there, or that g does
// not know; inputs for which bound is true need none.
func (g *Graph) CheckInputs(in map[string]Array, bound func(name string) bool) error {
	given := 0
	for _, t := range g.nodes {
		if t.Op != OpInput || bound(t.Name) {
			continue
		}
		a, ok := in[t.Name]
		switch {
		case !ok:
			return fmt.Errorf("tensor: input %q is missing", t.Name)
		case !a.Shape.Equal(t.Shape) || len(a.Data) != t.Shape.Elements():
			return fmt.Errorf("tensor: input %q has shape %s and %d elements, want %s", t.Name, a.Shape, len(a.Data), t.Shape)
		}
		given++
	}
	if given == len(in) {
		return nil
	}
	for name := range in {
		open := func(t *Tensor) bool { return t.Op == OpInput && t.Name == name && !bound(name) }
		if !slices.ContainsFunc(g.nodes, open) {
			return fmt.Errorf("tensor: an array is given for %q, which is no open input", name)
		}
	}
	return nil
}
