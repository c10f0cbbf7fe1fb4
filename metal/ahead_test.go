//go:build softmetal && linux && cgo

package metal_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"ldm-mac/bridge"
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

// TestAheadOverflow overflows at some place of a series: the evaluation is repeated, although a part of
// the next one may wait in the queue, and what is encoded ahead of the program that is compiled anew is
// of no use.
func TestAheadOverflow(t *testing.T) {
	g := tensor.NewGraph()
	sum := tensor.Affine(tensor.Linear(g.Input("x", 2, 8), weight(16, 8), nil), 8e4, 0).Named("sum")
	g.Output("y", tensor.Affine(tensor.Linear(sum, weight(8, 16), nil), 1e-4, 0))
	for _, eager := range []bool{false, true} {
		for small := range 3 { // evaluations before the first that overflows
			all := series(g, 6)
			all = append(all[6-small:], all[:6-small]...)
			notices := 0
			b := open(t, metal.Options{DType: tensor.F16, Tuning: byGraph, Notice: func(string) { notices++ }})
			var want [][]float32
			for i, in := range all {
				before := notices
				want = append(want, alone(t, b, g, []map[string]tensor.Array{in})[0])
				if overflows := notices > before; i <= small && overflows != (i == small) {
					t.Fatalf("evaluation %d overflows: %t", i, overflows)
				}
			}
			p := compile(t, b, g)
			surprise(t, p, series(g, 6)[5], 1, eager)
			notices = 0
			for i, in := range all {
				got := run(t, p, in)
				if wide := notices > 0; wide != (i >= small) {
					t.Errorf("after evaluation %d a node is wide: %t", i, wide)
				}
				if i <= small && !slices.Equal(got, want[i]) { // later ones profit from the wide node
					t.Errorf("evaluation %d of which %d do not overflow is another than alone", i, small)
				}
			}
			if notices != 1 {
				t.Errorf("%d nodes are widened, want 1", notices)
			}
		}
	}
}

// TestAheadCanceled drops what is encoded ahead when a Run is canceled, and goes on after.
func TestAheadCanceled(t *testing.T) {
	g := block(tensor.F32)
	in := inputs(g)
	for _, eager := range []bool{false, true} {
		b := open(t, metal.Options{Tuning: byGraph})
		p, want := blocked(t, b, g, in, eager)
		canceled, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := p.Run(canceled, in); !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v, want Canceled", err)
		}
		if b.Ahead() {
			t.Error("a canceled Run leaves something encoded ahead")
		}
		for range 3 {
			if !slices.Equal(run(t, p, in), want) {
				t.Error("after a canceled Run the results are others")
			}
		}
	}
}

// TestAheadClosed closes in every order while a part of an evaluation waits in the queue.
func TestAheadClosed(t *testing.T) {
	g := block(tensor.F32)
	in := inputs(g)
	live, objects := bridge.LiveObjects(), softmetal.Count().Objects
	for _, eager := range []bool{false, true} {
		for _, order := range []string{"program", "backend", "other"} {
			b, err := metal.Open(metal.Options{Tuning: byGraph})
			if err != nil {
				t.Fatal(err)
			}
			p, _ := blocked(t, b, g, in, eager)
			other := compile(t, b, g)
			active, _ := b.Memory()
			switch order {
			case "program":
				p.Close()
			case "backend":
				b.Close()
			case "other":
				other.Close()
			}
			if now, _ := b.Memory(); order != "backend" && now >= active || b.Ahead() {
				t.Errorf("%s is closed: %d bytes of %d are in use, something is encoded ahead: %t", order, now, active, b.Ahead())
			}
			for _, close := range []func() error{other.Close, p.Close, b.Close} {
				if err := close(); err != nil {
					t.Error(err)
				}
			}
			if n := bridge.LiveObjects(); n != live || softmetal.Count().Objects != objects {
				t.Fatalf("%s first: %d objects are alive, want %d; of the stand-ins %d, want %d", order, n, live, softmetal.Count().Objects, objects)
			}
		}
	}
}

// TestAheadFails ends each command buffer of a series in an error in turn, also those that MPSGraph
// commits ahead; the evaluation after it is right.
func TestAheadFails(t *testing.T) {
	g := tensor.NewGraph()
	h := tensor.Linear(g.Input("x", 4, 8), weight(16, 8), nil)
	g.Output("y", tensor.Linear(tensor.SiLU(h), weight(8, 16), nil))
	all := series(g, 4)
	for _, eager := range []bool{false, true} {
		b := open(t, metal.Options{Tuning: byGraph})
		want := alone(t, b, g, all)
		for n, failures := 1, 1; failures > 0; n++ {
			p := compile(t, b, g)
			surprise(t, p, all[0], 1, eager)
			inject(t, softmetal.Faults{CommandBuffer: n, Code: 8})
			failures = 0
			for i, in := range all {
				out, err := p.Run(context.Background(), in)
				switch {
				case err != nil && !errors.Is(err, tensor.ErrOutOfMemory):
					t.Errorf("command buffer %d fails with %v, want ErrOutOfMemory", n, err)
				case err != nil:
					failures++
				case !slices.Equal(out["y"].Data, want[i]):
					t.Errorf("command buffer %d fails: evaluation %d is another than alone", n, i)
				}
			}
			if failures > 1 {
				t.Errorf("command buffer %d fails: so do %d evaluations", n, failures)
			}
			p.Close()
			failures = 1
			if softmetal.Injected().CommandBuffer != 0 { // not so many were run
				failures = 0
			}
			inject(t, softmetal.Faults{})
		}
	}
}

// TestAheadWithoutEvent computes on a device that gives no events, and encodes ahead only what needs none.
func TestAheadWithoutEvent(t *testing.T) {
	g := block(tensor.F32)
	all := series(g, 4)
	for _, tuning := range []*metal.Tuning{byGraph, byKernel} {
		b := open(t, metal.Options{Tuning: tuning})
		want := alone(t, b, g, all)
		p := compile(t, b, g)
		for i, in := range all {
			inject(t, softmetal.Faults{Event: 1})
			if !slices.Equal(run(t, p, in), want[i]) {
				t.Errorf("evaluation %d is another than alone", i)
			}
		}
		if b.Ahead() != (tuning == byKernel) {
			t.Errorf("without events, an evaluation is encoded ahead: %t", b.Ahead())
		}
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
