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

// This file tests how what is encoded ahead ends without having been run.

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
