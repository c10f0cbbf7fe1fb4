//go:build softmetal && linux && cgo

package metal_test

import (
	"context"
	"slices"
	"testing"

	"ldm-mac/bridge/softmetal"
	"ldm-mac/ldm/tensor"
	"ldm-mac/metal"
)

// byGraph lets MPSGraph compute all products, and byTurns some.
var (
	byGraph = &metal.Tuning{}
	byTurns = &metal.Tuning{Products: []metal.Rule{{Residual: true, Kernel: true}}}
)

// moods are how MPSGraph commits on its own, and when the device runs what is committed.
var moods = []struct {
	name          string
	continueEvery int
	eager         bool
}{{"late", 1, false}, {"eager", 1, true}, {"eager/now and then", 5, true}, {"eager/never", 0, true}}

// series are n sets of inputs of g, all different.
func series(g *tensor.Graph, n int) []map[string]tensor.Array {
	var all []map[string]tensor.Array
	for i := range n {
		in := inputs(g)
		for _, a := range in {
			for j := range a.Data {
				a.Data[j] *= 1 - float32(i)/8
			}
		}
		all = append(all, in)
	}
	return all
}

// alone are the outputs "y" of programs that run once each.
func alone(t *testing.T, b *metal.Backend, g *tensor.Graph, all []map[string]tensor.Array) [][]float32 {
	t.Helper()
	var want [][]float32
	for _, in := range all {
		p := compile(t, b, g)
		want = append(want, run(t, p, in))
		p.Close()
	}
	return want
}

// surprise runs a program, which then has the next evaluation encoded and knows where MPSGraph commits,
// which is nowhere; and then lets MPSGraph commit at every n-th graph, that of the next but one.
func surprise(t *testing.T, p tensor.Program, in map[string]tensor.Array, every int, eager bool) {
	t.Helper()
	configure(t, func(s *softmetal.Settings) { s.ContinueEvery, s.Eager = 0, eager })
	run(t, p, in)
	run(t, p, in)
	configure(t, func(s *softmetal.Settings) { s.ContinueEvery = every })
}

// TestAhead computes a series with a program that encodes ahead, while MPSGraph commits what it likes,
// and gets what programs give that do not.
func TestAhead(t *testing.T) {
	g := block(tensor.F32)
	all := series(g, 6)
	for _, how := range append(tunings, struct {
		name   string
		tuning *metal.Tuning
	}{"by turns", byTurns}) {
		b := open(t, metal.Options{Tuning: how.tuning})
		want := alone(t, b, g, all)
		for _, mood := range moods {
			for _, known := range []bool{false, true} {
				p := compile(t, b, g)
				if known { // MPSGraph commits in the first evaluation already
					configure(t, func(s *softmetal.Settings) { s.ContinueEvery, s.Eager = mood.continueEvery, mood.eager })
				} else {
					surprise(t, p, all[0], mood.continueEvery, mood.eager)
				}
				for i, in := range all {
					if !slices.Equal(run(t, p, in), want[i]) {
						t.Errorf("%s, %s, known %t: evaluation %d is another than alone", how.name, mood.name, known, i)
					}
				}
				p.Close()
			}
		}
	}
}

// TestAheadInParts computes a series whose evaluations take several command buffers, of which one is
// encoded ahead.
func TestAheadInParts(t *testing.T) {
	g := block(tensor.F32)
	all := series(g, 6)
	for _, how := range tunings {
		b := open(t, metal.Options{Tuning: how.tuning})
		want := alone(t, b, g, all)
		former := metal.SetMostFLOPs(1 << 20)
		defer metal.SetMostFLOPs(former)
		for _, every := range []int{0, 1} {
			p := compile(t, b, g).(*metal.Program)
			if n := p.Plan().CommandBuffers; n < 3 {
				t.Fatalf("an evaluation has %d command buffers, want some", n)
			}
			surprise(t, p, all[0], every, true)
			before := softmetal.Count()
			for i, in := range all {
				if !slices.Equal(run(t, p, in), want[i]) {
					t.Errorf("%s, %d: evaluation %d is another than in one command buffer", how.name, every, i)
				}
			}
			plan := p.Plan()
			if did, want := softmetal.Count().Since(before).Launches, len(all)*(plan.Launches+plan.Guard); every == 0 && did != want {
				t.Errorf("%s: %d launches, want %d", how.name, did, want)
			}
		}
		metal.SetMostFLOPs(former)
	}
}

// TestAheadNeedsTheWait shows that TestAhead would find what the wait for the event prevents.
func TestAheadNeedsTheWait(t *testing.T) {
	g := block(tensor.F32)
	all := series(g, 6)
	b := open(t, metal.Options{Tuning: byGraph})
	want := alone(t, b, g, all)
	p := compile(t, b, g)
	surprise(t, p, all[0], 1, true)
	inject(t, softmetal.Faults{NoWaits: true})
	wrong := 0
	for i, in := range all {
		if !slices.Equal(run(t, p, in), want[i]) {
			wrong++
		}
	}
	if wrong == 0 {
		t.Error("without the wait all evaluations are right")
	}
}

// endsDuring is a context that is done when it is asked a second time, in the middle of a Run.
type endsDuring struct {
	context.Context
	asked bool
}

func (c *endsDuring) Err() error {
	if !c.asked {
		c.asked = true
		return nil
	}
	return context.Canceled
}

// last runs a program as the last of a series, which encodes nothing ahead.
func last(t *testing.T, p tensor.Program, in map[string]tensor.Array) {
	t.Helper()
	if _, err := p.Run(&endsDuring{Context: context.Background()}, in); err != nil {
		t.Fatal(err)
	}
}

// TestAheadIsEncoded counts the encoders that a Run opens: none of its own if all was encoded ahead, and
// those of the rest where MPSGraph commits by itself.
func TestAheadIsEncoded(t *testing.T) {
	g := block(tensor.F32)
	in := inputs(g)
	for _, c := range []struct {
		name   string
		tuning *metal.Tuning
		every  int // n-th graph is committed by MPSGraph
	}{{"graphs", byGraph, 0}, {"kernels", byKernel, 0}, {"by turns", byTurns, 0}, {"graphs, committed", byGraph, 1}, {"by turns, committed", byTurns, 1}} {
		t.Run(c.name, func(t *testing.T) {
			configure(t, func(s *softmetal.Settings) { s.ContinueEvery = c.every })
			p := compile(t, open(t, metal.Options{Tuning: c.tuning}), g).(*metal.Program)
			did := func(f func()) softmetal.Counts {
				before := softmetal.Count()
				f()
				return softmetal.Count().Since(before)
			}
			first := did(func() { run(t, p, in) })
			second := did(func() { run(t, p, in) })
			third := did(func() { last(t, p, in) })
			if second.Encoders <= first.Encoders || second.Encoders+third.Encoders != 2*first.Encoders {
				t.Errorf("the runs open %d, %d and %d encoders", first.Encoders, second.Encoders, third.Encoders)
			}
			if c.every == 0 && third.Encoders != 0 {
				t.Errorf("a run that was encoded ahead opens %d encoders", third.Encoders)
			}
			plan := p.Plan()
			buffers := plan.CommandBuffers
			if c.every > 0 {
				buffers += plan.Graphs
			}
			for _, did := range []softmetal.Counts{first, second, third} {
				if did.CommandBuffers != buffers || did.Waits != buffers || did.Launches != plan.Launches+plan.Guard || did.Graphs != plan.Graphs {
					t.Errorf("an evaluation did %+v, the plan is %+v", did, plan)
				}
			}
		})
	}
}

// blocked compiles g and runs it until a part of the evaluation after stands in the queue and waits. It
// returns the inputs' output.
func blocked(t *testing.T, b *metal.Backend, g *tensor.Graph, in map[string]tensor.Array, eager bool) (tensor.Program, []float32) {
	t.Helper()
	p := compile(t, b, g)
	surprise(t, p, in, 1, eager)
	before := softmetal.Count()
	want := run(t, p, in)
	if did, own := softmetal.Count().Since(before).CommandBuffers, p.(*metal.Program).Plan().CommandBuffers; did != own+1 {
		t.Fatalf("%d command buffers are committed, want one more than the %d of an evaluation", did, own)
	}
	return p, want
}

// TestAheadOfOthers runs another program while a part of the one before waits in the queue, which would
// wait forever behind it; and the first one again.
func TestAheadOfOthers(t *testing.T) {
	g := block(tensor.F32)
	other := tensor.NewGraph()
	other.Output("y", tensor.Linear(other.Input("x", 9, 16), weight(24, 16), nil))
	in, otherIn := inputs(g), inputs(other)
	for _, eager := range []bool{false, true} {
		b := open(t, metal.Options{Tuning: byGraph})
		otherWant := alone(t, b, other, series(other, 1))[0]
		first, want := blocked(t, b, g, in, eager)
		second := compile(t, b, other)
		for range 3 {
			for range 3 {
				if !slices.Equal(run(t, second, otherIn), otherWant) {
					t.Error("the other program gives something else")
				}
			}
			for range 3 {
				if !slices.Equal(run(t, first, in), want) {
					t.Error("the first program gives something else")
				}
			}
			if !slices.Equal(run(t, second, otherIn), otherWant) || !slices.Equal(run(t, first, in), want) {
				t.Error("programs in turn give something else")
			}
		}
	}
}

// TestAheadNotInTurn encodes nothing ahead for programs that run in turn, that run once, or that keep
// results for others.
func TestAheadNotInTurn(t *testing.T) {
	b := open(t, metal.Options{})
	g := block(tensor.F32)
	first, second := compile(t, b, g), compile(t, b, g)
	kept := tensor.NewGraph()
	kept.Keep("k", tensor.Affine(kept.Input("x", 4), 2, 0))
	keeps := compile(t, b, kept)
	none := func(what string) {
		t.Helper()
		if b.Ahead() {
			t.Errorf("%s is encoded ahead", what)
		}
	}
	for range 3 {
		run(t, first, inputs(g))
		none("a program that runs in turn")
		run(t, second, inputs(g))
		none("a program that runs in turn")
	}
	for range 3 {
		run(t, keeps, inputs(kept))
		none("a program that keeps its results")
	}
}

// TestAheadBound encodes ahead what reads another program's result, which then gets other memory:
// because it overflowed, or because the input is bound anew.
func TestAheadBound(t *testing.T) {
	for _, eager := range []bool{false, true} {
		b := open(t, metal.Options{DType: tensor.F16, Tuning: byGraph})
		from := func(scale float32) tensor.Program {
			g := tensor.NewGraph()
			g.Keep("k", tensor.Affine(g.Input("x", 4, 8), scale, 0))
			return compile(t, b, g)
		}
		ones := tensor.NewArray(4, 8)
		for i := range ones.Data {
			ones.Data[i] = 1
		}
		in := map[string]tensor.Array{"x": ones}
		to := tensor.NewGraph()
		identity := make([]float32, 64)
		for i := range 8 {
			identity[9*i] = 1
		}
		to.Output("y", tensor.Affine(tensor.Linear(tensor.Affine(to.Input("k", 4, 8), 1, 0), tensor.WeightOf("one", identity, 8, 8), nil), 0.5, 0))
		large, small := from(4e4), from(3)
		p := compile(t, b, to)
		bind := func(source tensor.Program) {
			if err := p.Bind("k", source, "k"); err != nil {
				t.Fatal(err)
			}
		}
		run(t, large, in)
		run(t, small, in)
		bind(large)
		surprise(t, p, nil, 1, eager)
		expect := func(want float32) {
			t.Helper()
			for range 3 {
				for _, v := range run(t, p, nil) {
					if v != want {
						t.Fatalf("eager %t: y has %g, want %g", eager, v, want)
					}
				}
			}
		}
		expect(2e4)
		for i := range ones.Data {
			ones.Data[i] = 2
		}
		run(t, large, in) // 8e4 is no float16
		expect(4e4)
		if !b.Ahead() {
			t.Error("nothing is encoded ahead")
		}
		bind(small)
		expect(1.5)
	}
}

// BenchmarkEvaluation is a series of evaluations: beside the time on the device, that of the host.
func BenchmarkEvaluation(b *testing.B) {
	backend, err := metal.Open(metal.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer backend.Close()
	g := block(tensor.F32)
	compiled, err := backend.Compile(g)
	if err != nil {
		b.Fatal(err)
	}
	defer compiled.Close()
	p, in, seconds := compiled.(*metal.Program), inputs(g), 0.0
	for b.Loop() {
		if _, err := p.Run(context.Background(), in); err != nil {
			b.Fatal(err)
		}
		seconds += p.Seconds()
	}
	runs := float64(b.N)
	b.ReportMetric(seconds/runs*1e3, "device-ms/op")
	b.ReportMetric((b.Elapsed().Seconds()-seconds)/runs*1e3, "host-ms/op")
}
