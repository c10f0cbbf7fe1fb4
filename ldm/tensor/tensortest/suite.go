package tensortest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"ldm-mac/ldm/tensor"
)

// Run tests that backend computes every operator and keeps the contract of tensor.Backend, with
// activations stored as F32. The caller keeps backend.
func Run(t *testing.T, backend tensor.Backend) { RunStored(t, backend, tensor.F32) }

// RunStored is Run for graphs whose activations are stored as dtype: F32, F16 or BF16.
func RunStored(t *testing.T, backend tensor.Backend, dtype tensor.DType) {
	for _, c := range Checks() {
		t.Run(c.Name, func(t *testing.T) {
			if _, err := c.Run(backend, dtype); err != nil {
				t.Error(err)
			}
		})
	}
}

// Check is one property of a backend, for programs that test a device without package testing.
type Check struct {
	Name string // "conv2d/3x3_stride2", "program/bind"
	// Run returns an error when the property does not hold for graphs stored as dtype. used is the
	// part of the tolerance that the largest error takes; 0 where nothing is measured.
	Run func(backend tensor.Backend, dtype tensor.DType) (used float64, err error)
}

// Checks are all that Run runs.
func Checks() []Check {
	var all []Check
	for _, c := range cases() {
		all = append(all, Check{c.name, c.check})
	}
	for _, c := range []struct {
		name string
		run  func(tensor.Backend, tensor.DType) error
	}{
		{"program/batch", checkBatch},
		{"program/inputs", checkInputs},
		{"program/mistake", checkMistake},
		{"program/canceled", checkCanceled},
		{"program/bind", checkBind},
		{"program/bind_rows", checkRows},
		{"program/bind_errors", checkBindErrors},
		{"program/two_at_once", checkTwo},
	} {
		all = append(all, Check{c.name, func(b tensor.Backend, d tensor.DType) (float64, error) { return 0, c.run(b, d) }})
	}
	return all
}

// check compares every output of the case with the definition, and computes it three times: a
// program whose memory plan or inputs are wrong often gives something else the second time.
func (c testCase) check(backend tensor.Backend, dtype tensor.DType) (used float64, err error) {
	g, in := c.graph(dtype)
	want, err := Evaluate(g, in)
	if err != nil {
		return 0, err
	}
	program, err := backend.Compile(g)
	if err != nil {
		return 0, err
	}
	defer program.Close()
	first, err := run(program, in)
	if err != nil {
		return 0, err
	}
	if used, err = compareOutputs(g, first, want, c.gain); err != nil {
		return used, err
	}
	zeros := map[string]tensor.Array{}
	for name, a := range in {
		zeros[name] = tensor.NewArray(a.Shape...)
	}
	if _, err := run(program, zeros); err != nil {
		return 0, err
	}
	again, err := run(program, in)
	if err != nil {
		return 0, err
	}
	for _, o := range g.Outputs() {
		if !slices.Equal(first[o.Name].Data, again[o.Name].Data) {
			return used, fmt.Errorf("output %q differs when the same inputs are given again", o.Name)
		}
	}
	return used, nil
}

// run returns copies of the outputs, and checks that the inputs were left alone.
func run(program tensor.Program, in map[string]tensor.Array) (map[string]tensor.Array, error) {
	given := map[string]tensor.Array{}
	for name, a := range in {
		given[name] = tensor.Array{Shape: a.Shape, Data: slices.Clone(a.Data)}
	}
	out, err := program.Run(context.Background(), given)
	if err != nil {
		return nil, err
	}
	for name, a := range in {
		if !slices.Equal(a.Data, given[name].Data) {
			return nil, fmt.Errorf("run changed the caller's input %q", name)
		}
	}
	results := map[string]tensor.Array{}
	for name, a := range out {
		results[name] = tensor.Array{Shape: slices.Clone(a.Shape), Data: slices.Clone(a.Data)}
	}
	return results, nil
}

// compareOutputs compares all outputs of g that come back to the host. used is the part of the
// tolerance that the worst takes.
func compareOutputs(g *tensor.Graph, got map[string]tensor.Array, want map[string][]float64, gain float64) (used float64, err error) {
	bound := tolerance(g, gain)
	for _, o := range g.Outputs() {
		if o.Resident {
			continue
		}
		a, ok := got[o.Name]
		if !ok {
			return used, fmt.Errorf("output %q is missing", o.Name)
		}
		if !a.Shape.Equal(o.Value.Shape) {
			return used, fmt.Errorf("output %q has shape %s, want %s", o.Name, a.Shape, o.Value.Shape)
		}
		part, err := compare(a.Data, want[o.Name], bound)
		used = max(used, part)
		if err != nil {
			return used, fmt.Errorf("output %q: %w", o.Name, err)
		}
	}
	return used, nil
}

// compileAndRun compiles and runs g once.
func compileAndRun(backend tensor.Backend, g *tensor.Graph, in map[string]tensor.Array) (map[string]tensor.Array, error) {
	program, err := backend.Compile(g)
	if err != nil {
		return nil, err
	}
	defer program.Close()
	return run(program, in)
}

// checkBatch computes three images at once and one by one.
func checkBatch(backend tensor.Backend, dtype tensor.DType) error {
	const images = 3
	blocks := func(n int) (*tensor.Graph, map[string]tensor.Array) {
		return testCase{name: "program/batch", build: func(b *builder) {
			time, context := b.input(n, 64), b.input(n, 7, 24)
			h := resBlock(b, b.input(n, 4, 4, 8), time, 40)
			b.Output("y", transformerBlock(b, tensor.Reshape(h, n, 16, 40), context, 5))
		}}.graph(dtype)
	}
	g, in := blocks(images)
	together, err := compileAndRun(backend, g, in)
	if err != nil {
		return err
	}
	single, alone := blocks(1)
	program, err := backend.Compile(single)
	if err != nil {
		return err
	}
	defer program.Close()
	for i := range images {
		for name, a := range alone {
			n := len(a.Data)
			alone[name] = tensor.Array{Shape: a.Shape, Data: in[name].Data[i*n : (i+1)*n]}
		}
		out, err := run(program, alone)
		if err != nil {
			return err
		}
		n := len(out["y"].Data)
		image := together["y"].Data[i*n : (i+1)*n]
		if _, err := compare(image, widen(out["y"].Data), 2*tolerance(single, 1)); err != nil {
			return fmt.Errorf("image %d of a batch: %w", i, err)
		}
	}
	return nil
}

// sum is a graph of two inputs "a" and "b" with the output "y".
func sum(dtype tensor.DType) *tensor.Graph {
	g := tensor.NewGraphOf(dtype)
	g.Output("y", tensor.Add(g.Input("a", 2, 3), g.Input("b", 2, 3)))
	return g
}

// checkInputs gives arrays that do not fit.
func checkInputs(backend tensor.Backend, dtype tensor.DType) error {
	program, err := backend.Compile(sum(dtype))
	if err != nil {
		return err
	}
	defer program.Close()
	a := tensor.NewArray(2, 3)
	for what, in := range map[string]map[string]tensor.Array{
		"no input":         nil,
		"a missing input":  {"a": a},
		"an unknown input": {"a": a, "b": a, "c": a},
		"another shape":    {"a": a, "b": tensor.NewArray(3, 2)},
		"too few elements": {"a": a, "b": {Shape: a.Shape, Data: a.Data[:5]}},
	} {
		if _, err := program.Run(context.Background(), in); err == nil {
			return fmt.Errorf("run accepts %s", what)
		}
	}
	_, err = run(program, map[string]tensor.Array{"a": a, "b": a}) // and still works
	return err
}

func checkMistake(backend tensor.Backend, dtype tensor.DType) error {
	g := sum(dtype)
	g.Output("wrong", tensor.Slice(g.Input("c", 2), 0, 1, 3))
	if _, err := backend.Compile(g); !errors.Is(err, g.Err()) {
		return fmt.Errorf("compile of a wrong graph returns %v, want %v", err, g.Err())
	}
	return nil
}

func checkCanceled(backend tensor.Backend, dtype tensor.DType) error {
	program, err := backend.Compile(sum(dtype))
	if err != nil {
		return err
	}
	defer program.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	a := tensor.NewArray(2, 3)
	if _, err := program.Run(ctx, map[string]tensor.Array{"a": a, "b": a}); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("run with a canceled context returns %v, want %v", err, context.Canceled)
	}
	return nil
}
