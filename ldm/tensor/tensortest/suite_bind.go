package tensortest

import (
	"context"
	"fmt"
	"maps"

	"ldm-mac/ldm/tensor"
)

// encoder keeps 2x and x+1 of its input x on the device.
func encoder(dtype tensor.DType) *tensor.Graph {
	g := tensor.NewGraphOf(dtype)
	x := g.Input("x", 2, 3)
	g.Keep("doubled", tensor.Affine(x, 2, 0))
	g.Keep("raised", tensor.Affine(x, 1, 1))
	g.Output("x", tensor.Affine(x, 1, 0))
	return g
}

// checkBind binds both inputs of one program to outputs of another and computes twice.
func checkBind(backend tensor.Backend, dtype tensor.DType) error {
	from, err := backend.Compile(encoder(dtype))
	if err != nil {
		return err
	}
	defer from.Close()
	g := tensor.NewGraphOf(dtype)
	a, b, c := g.Input("a", 2, 3), g.Input("b", 2, 3), g.Input("c", 2, 3)
	g.Output("y", tensor.Add(tensor.Mul(tensor.Affine(a, 1, 0), b), c))
	to, err := backend.Compile(g)
	if err != nil {
		return err
	}
	defer to.Close()
	if err := to.Bind("a", from, "doubled"); err != nil {
		return err
	}
	if err := to.Bind("b", from, "raised"); err != nil {
		return err
	}
	c1 := tensor.Array{Shape: tensor.Shape{2, 3}, Data: []float32{1, 1, 1, 2, 2, 2}}
	for _, x := range [][]float32{{1, 2, 3, 4, 5, 6}, {0, -1, -2, -3, 8, 9}} {
		if _, err := run(from, map[string]tensor.Array{"x": {Shape: c1.Shape, Data: x}}); err != nil {
			return err
		}
		for range 2 { // the bound values are still there for a second step
			out, err := run(to, map[string]tensor.Array{"c": c1})
			if err != nil {
				return err
			}
			for i, v := range x { // small integers: exact in every storage type
				if want := 2*v*(v+1) + c1.Data[i]; out["y"].Data[i] != want {
					return fmt.Errorf("bound inputs of %g give %g, want %g", v, out["y"].Data[i], want)
				}
			}
		}
	}
	if _, err := to.Run(context.Background(), map[string]tensor.Array{"a": c1, "c": c1}); err == nil {
		return fmt.Errorf("run accepts an array for a bound input")
	}
	return nil
}

// checkRows computes what belongs to each of many steps at once, and then takes the row of each.
func checkRows(backend tensor.Backend, dtype tensor.DType) error {
	const steps, channels = 2100, 24
	g, in := testCase{build: func(b *builder) {
		table := tensor.Linear(tensor.SiLU(b.input(steps, 8)), b.weight(tensor.F32, channels, 8), nil)
		row := tensor.Reshape(tensor.Row(table, b.Input("step", 1)), 1, 1, 1, channels)
		x := tensor.Conv2D(b.input(2, 4, 4, 4), b.weight(tensor.F32, channels, 4, 3, 3), nil, 1, tensor.Same(3))
		b.Output("y", tensor.Add(x, row))
	}}.graph(dtype)
	const times = "x0"
	once, rest := g.Hoist(times)
	from, err := backend.Compile(once)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := backend.Compile(rest)
	if err != nil {
		return err
	}
	defer to.Close()
	if len(once.Outputs()) != 1 {
		return fmt.Errorf("%d values are kept, want the table alone", len(once.Outputs()))
	}
	kept := once.Outputs()[0].Name
	if err := to.Bind(kept, from, kept); err != nil {
		return err
	}
	if _, err := run(from, map[string]tensor.Array{times: in[times]}); err != nil {
		return err
	}
	later := maps.Clone(in)
	delete(later, times)
	for _, step := range []float32{0, steps - 1, 1000, steps - 2} {
		index := tensor.Array{Shape: tensor.Shape{1}, Data: []float32{step}}
		in["step"], later["step"] = index, index
		want, err := Evaluate(g, in)
		if err != nil {
			return err
		}
		out, err := run(to, later)
		if err != nil {
			return err
		}
		if _, err := compareOutputs(g, out, want, 1); err != nil {
			return fmt.Errorf("step %g: %w", step, err)
		}
	}
	return nil
}

func checkBindErrors(backend tensor.Backend, dtype tensor.DType) error {
	from, err := backend.Compile(encoder(dtype))
	if err != nil {
		return err
	}
	defer from.Close()
	g := tensor.NewGraphOf(dtype)
	g.Output("y", tensor.Add(g.Input("a", 2, 3), tensor.Reshape(g.Input("other", 3, 2), 2, 3)))
	to, err := backend.Compile(g)
	if err != nil {
		return err
	}
	defer to.Close()
	for _, bad := range []struct{ input, output string }{{"none", "doubled"}, {"a", "none"}, {"other", "doubled"}} {
		if err := to.Bind(bad.input, from, bad.output); err == nil {
			return fmt.Errorf("bind of input %q to output %q succeeds", bad.input, bad.output)
		}
	}
	return nil
}

// checkTwo keeps two programs of one backend open, which must not share memory.
func checkTwo(backend tensor.Backend, dtype tensor.DType) error {
	first, err := backend.Compile(sum(dtype))
	if err != nil {
		return err
	}
	second, err := backend.Compile(sum(dtype))
	if err != nil {
		return err
	}
	in := func(v float32) map[string]tensor.Array {
		a := tensor.Array{Shape: tensor.Shape{2, 3}, Data: []float32{v, v, v, v, v, v}}
		return map[string]tensor.Array{"a": a, "b": a}
	}
	results, err := first.Run(context.Background(), in(1))
	if err != nil {
		return err
	}
	if _, err := second.Run(context.Background(), in(5)); err != nil {
		return err
	}
	if got := results["y"].Data[0]; got != 2 {
		return fmt.Errorf("a result changed from 2 to %g when another program ran", got)
	}
	if err := first.Close(); err != nil {
		return err
	}
	out, err := run(second, in(3))
	if err != nil {
		return err
	}
	if got := out["y"].Data[5]; got != 6 {
		return fmt.Errorf("a program gives %g after another was closed, want 6", got)
	}
	return second.Close()
}
