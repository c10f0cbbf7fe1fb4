//go:build softmetal && linux && cgo

package metal_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ldm-mac/bridge"
	"ldm-mac/bridge/softmetal"
	"ldm-mac/ldm/cpu"
	"ldm-mac/ldm/tensor"
	"ldm-mac/ldm/tensor/tensortest"
	"ldm-mac/metal"
)

// TestMain checks that whatever the tests do, nothing of the bridge stays alive, and nothing was waited
// for that on a device would never end.
func TestMain(m *testing.M) {
	code := m.Run()
	if n := bridge.LiveObjects(); n != 0 {
		fmt.Fprintf(os.Stderr, "%d objects of the bridge are alive after all tests\n", n)
		code = 1
	}
	if n := softmetal.Count().Deadlocks; n != 0 {
		fmt.Fprintf(os.Stderr, "%d command buffers were waited for that waited in vain\n", n)
		code = 1
	}
	os.Exit(code)
}

func open(t *testing.T, o metal.Options) *metal.Backend {
	t.Helper()
	b, err := metal.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if active, _ := b.Memory(); active != 0 {
			t.Errorf("%d bytes are in use after all programs were closed", active)
		}
	})
	return b
}

// configure changes the stand-ins' settings for one test.
func configure(t *testing.T, change func(*softmetal.Settings)) {
	t.Helper()
	s := softmetal.Current()
	change(&s)
	former := softmetal.Configure(s)
	t.Cleanup(func() { softmetal.Configure(former) })
}

func inject(t *testing.T, f softmetal.Faults) {
	t.Helper()
	softmetal.Inject(f)
	t.Cleanup(func() { softmetal.Inject(softmetal.Faults{}) })
}

// tunings are all ways to compute products.
var tunings = []struct {
	name   string
	tuning *metal.Tuning
}{
	{"default", nil},
	{"graphs", &metal.Tuning{}},
	{"kernels", &metal.Tuning{
		Products: []metal.Rule{{Kernel: true}}, Convolutions: []metal.Rule{{Kernel: true}}, SmallTile: 2,
	}},
}

// TestSuite computes every case that a backend has to in every way, each under three orders of
// threads, with MPSGraph summing in float16 and in float32.
func TestSuite(t *testing.T) {
	for _, how := range tunings {
		for _, dtype := range []tensor.DType{tensor.F32, tensor.F16} {
			for seed := 1; seed <= 3; seed++ {
				t.Run(fmt.Sprint(how.name, dtype, "/seed", seed), func(t *testing.T) {
					configure(t, func(s *softmetal.Settings) {
						s.Seed = seed
						s.HalfSums = seed%2 == 1
						if how.name == "graphs" {
							s.ContinueEvery = 2
						} else {
							s.HeapAlignment = 16384 // a page of Apple's
						}
					})
					tensortest.RunStored(t, open(t, metal.Options{DType: dtype, Tuning: how.tuning}), dtype)
				})
			}
		}
	}
}

// run runs a program once and returns a copy of its output "y".
func run(t *testing.T, p tensor.Program, in map[string]tensor.Array) []float32 {
	t.Helper()
	out, err := p.Run(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(out["y"].Data)
}

func compile(t *testing.T, b tensor.Backend, g *tensor.Graph) tensor.Program {
	t.Helper()
	p, err := b.Compile(g)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// inputs has an array of small values for every input of g.
func inputs(g *tensor.Graph) map[string]tensor.Array {
	in := map[string]tensor.Array{}
	for _, node := range g.Nodes() {
		if node.Op == tensor.OpInput {
			in[node.Name] = ramp(node.Shape...)
		}
	}
	return in
}

// TestOverflow computes a sum that float16 does not hold between two nodes that are small. The guard
// widens what overflows, and tells so once.
func TestOverflow(t *testing.T) {
	g := tensor.NewGraph()
	x := g.Input("x", 2, 3, 8)
	large := tensor.Add(tensor.Affine(x, 5e4, 0).Named("first"), tensor.Affine(x, 6e4, 0).Named("second")).Named("sum")
	g.Output("y", tensor.Affine(large, 1e-5, 0))
	in := inputs(g)
	oracle := cpu.New(1)
	defer oracle.Close()
	want := run(t, compile(t, oracle, g), in)

	var notices []string
	b := open(t, metal.Options{DType: tensor.F16, Notice: func(text string) { notices = append(notices, text) }})
	p := compile(t, b, g)
	for range 2 {
		got := run(t, p, in)
		for i, v := range want {
			// Storing three values in float16 rounds each to 2⁻¹¹ of itself.
			if math.Abs(float64(got[i]-v)) > 3*math.Pow(2, -11)*math.Abs(float64(v)) {
				t.Fatalf("y[%d] = %g, want %g", i, got[i], v)
			}
		}
	}
	if len(notices) != 1 || !strings.HasPrefix(notices[0], "sum ") {
		t.Errorf("notices are %q, want one that names sum", notices)
	}
}

// TestOverflowOfReader reads a large sum by a product that is float32 for that reason, and as large: what
// reads the product in turn reads float32 too.
func TestOverflowOfReader(t *testing.T) {
	g := tensor.NewGraph()
	one := make([]float32, 64)
	for i := range 8 {
		one[9*i] = 1
	}
	sum := tensor.Affine(g.Input("x", 2, 8), 1, 6e4)
	sum = tensor.Linear(tensor.Affine(sum, 2, 0).Named("sum"), tensor.WeightOf("one", one, 8, 8), nil).Named("product")
	g.Output("y", tensor.Affine(sum, 0.25, 0))
	var notices []string
	p := compile(t, open(t, metal.Options{DType: tensor.F16, Notice: func(text string) { notices = append(notices, text) }}), g)
	for _, v := range run(t, p, map[string]tensor.Array{"x": tensor.NewArray(2, 8)}) {
		if v != 3e4 {
			t.Fatalf("y has %g, want 30000", v)
		}
	}
	if len(notices) != 2 || !strings.HasPrefix(notices[0], "sum ") || !strings.HasPrefix(notices[1], "product ") {
		t.Errorf("notices are %q, want one of sum and one of product", notices)
	}
}

// TestNotFinite gives an infinity: no type holds it, so it comes back.
func TestNotFinite(t *testing.T) {
	g := tensor.NewGraph()
	g.Output("y", tensor.Affine(g.Input("x", 4), 1, 0))
	p := compile(t, open(t, metal.Options{DType: tensor.F16}), g)
	inf := float32(math.Inf(1))
	got := run(t, p, map[string]tensor.Array{"x": {Shape: tensor.Shape{4}, Data: []float32{1, inf, 2, 3}}})
	if got[1] != inf || got[3] != 3 {
		t.Errorf("y = %g", got)
	}
}

// TestOverflowOfSource widens an output that another program is bound to.
func TestOverflowOfSource(t *testing.T) {
	b := open(t, metal.Options{DType: tensor.F16})
	from := tensor.NewGraph()
	from.Keep("large", tensor.Affine(from.Input("x", 4), 1e5, 0))
	to := tensor.NewGraph()
	to.Output("y", tensor.Affine(to.Input("large", 4), 0.5, 0))
	source, p := compile(t, b, from), compile(t, b, to)
	if err := p.Bind("large", source, "large"); err != nil {
		t.Fatal(err)
	}
	for _, x := range []float32{0.25, 0.5} {
		if _, err := source.Run(context.Background(), map[string]tensor.Array{"x": {Shape: tensor.Shape{4}, Data: []float32{x, x, x, x}}}); err != nil {
			t.Fatal(err)
		}
		if got, want := run(t, p, nil)[0], 5e4*x; math.Abs(float64(got-want)) > float64(want)/1024 {
			t.Errorf("y = %g, want %g", got, want)
		}
	}
}

// TestAllocationFails refuses each allocation of Open, Compile and the first Run in turn.
func TestAllocationFails(t *testing.T) {
	g := block(tensor.F32)
	in := inputs(g)
	live := bridge.LiveObjects()
	attempt := func() error {
		b, err := metal.Open(metal.Options{DType: tensor.F16})
		if err != nil {
			return err
		}
		defer b.Close()
		p, err := b.Compile(g)
		if err != nil {
			return err
		}
		defer p.Close()
		_, err = p.Run(context.Background(), in)
		return err
	}
	failures := 0
	for n := 1; ; n++ {
		inject(t, softmetal.Faults{Allocation: n})
		err := attempt()
		if bridge.LiveObjects() != live {
			t.Fatalf("allocation %d: %d objects are alive, want %d (error %v)", n, bridge.LiveObjects(), live, err)
		}
		if err == nil {
			break
		}
		failures++
		if !errors.Is(err, tensor.ErrOutOfMemory) {
			t.Errorf("allocation %d fails with %v, want ErrOutOfMemory", n, err)
		}
	}
	if failures < 5 {
		t.Errorf("only %d allocations failed", failures)
	}
}

// TestCommandsFail ends an evaluation in an error; the next one is right again.
func TestCommandsFail(t *testing.T) {
	g := block(tensor.F32)
	p := compile(t, open(t, metal.Options{}), g)
	want := run(t, p, inputs(g))
	inject(t, softmetal.Faults{CommandBuffer: 1, Code: 8})
	if _, err := p.Run(context.Background(), inputs(g)); !errors.Is(err, tensor.ErrOutOfMemory) {
		t.Errorf("the error is %v, want ErrOutOfMemory", err)
	}
	if got := run(t, p, inputs(g)); !slices.Equal(got, want) {
		t.Error("the evaluation after an error is another")
	}
}

func TestNoDevice(t *testing.T) {
	inject(t, softmetal.Faults{NoDevice: true})
	if _, err := metal.Open(metal.Options{}); !errors.Is(err, bridge.ErrNoDevice) {
		t.Errorf("the error is %v, want ErrNoDevice", err)
	}
	inject(t, softmetal.Faults{NoCompiler: true})
	if _, err := metal.Open(metal.Options{}); err == nil || bridge.LiveObjects() != 0 {
		t.Errorf("error %v and %d live objects without a compiler", err, bridge.LiveObjects())
	}
}

// TestEvaluations repeats an evaluation: objects and memory stay as they are, and the device did what
// the plan says.
func TestEvaluations(t *testing.T) {
	const evaluations = 1000
	g := block(tensor.F32)
	b := open(t, metal.Options{DType: tensor.F16})
	p := compile(t, b, g)
	in := inputs(g)
	want := run(t, p, in)
	run(t, p, in) // encodes the third
	live, before := bridge.LiveObjects(), softmetal.Count()
	active, _ := b.Memory()
	for range evaluations {
		if got := run(t, p, in); !slices.Equal(got, want) {
			t.Fatal("the same inputs give other outputs")
		}
	}
	did := softmetal.Count().Since(before)
	plan := p.(*metal.Program).Plan()
	for _, c := range []struct {
		what      string
		got, want int
	}{
		{"launches", did.Launches, evaluations * (plan.Launches + plan.Guard)},
		{"graphs", did.Graphs, evaluations * plan.Graphs},
		{"command buffers", did.CommandBuffers, evaluations * plan.CommandBuffers},
		{"waits", did.Waits, evaluations * plan.Waits},
		{"copies", did.Copies, 0},
		{"new libraries", did.Libraries, 0},
		{"new pipelines", did.Pipelines, 0},
		{"objects of the stand-ins", softmetal.Count().Objects, before.Objects},
		{"live objects", int(bridge.LiveObjects()), int(live)},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", c.what, c.got, c.want)
		}
	}
	if now, _ := b.Memory(); now != active {
		t.Errorf("%d bytes after %d evaluations, %d before", now, evaluations, active)
	}
}

// TestCounts compares the plan of products and convolutions alone with what the device did.
func TestCounts(t *testing.T) {
	g := tensor.NewGraph()
	x := tensor.Conv2D(g.Input("x", 2, 8, 8, 16), weight(32, 16, 3, 3), weight(32), 2, tensor.Same(3))
	x = tensor.Linear(x, weight(24, 32), nil)
	g.Output("y", tensor.MatMul(tensor.Reshape(x, 2, 16, 24), g.Input("b", 2, 24, 10), false))
	p := compile(t, open(t, metal.Options{Tuning: &metal.Tuning{}}), g)
	before := softmetal.Count()
	run(t, p, inputs(g))
	did, plan := softmetal.Count().Since(before), p.(*metal.Program).Plan()
	if int64(did.FLOPs) != plan.FLOPs || int64(did.Bytes) != plan.Bytes || plan.FLOPs != plan.NeededFLOPs || plan.Bytes != plan.MinBytes {
		t.Errorf("the device did %d FLOPs on %d bytes, the plan is %+v", did.FLOPs, did.Bytes, plan)
	}
}

// TestCloseOrder closes the backend before its programs.
func TestCloseOrder(t *testing.T) {
	live := bridge.LiveObjects()
	b, err := metal.Open(metal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g := block(tensor.F32)
	p, err := b.Compile(g)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := p.Run(context.Background(), inputs(g)); err == nil {
		t.Error("a program runs after its backend was closed")
	}
	if _, err := b.Compile(g); err == nil {
		t.Error("a closed backend compiles")
	}
	for range 2 {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := p.Run(context.Background(), inputs(g)); err == nil {
		t.Error("a closed program runs")
	}
	if n := bridge.LiveObjects(); n != live {
		t.Errorf("%d objects are alive, want %d", n, live)
	}
}

// TestClosedSource runs a program after the one that it is bound to was closed.
func TestClosedSource(t *testing.T) {
	b := open(t, metal.Options{})
	from, to := tensor.NewGraph(), tensor.NewGraph()
	from.Keep("k", tensor.Affine(from.Input("x", 4), 2, 0))
	to.Output("y", tensor.Affine(to.Input("k", 4), 2, 0))
	source, p := compile(t, b, from), compile(t, b, to)
	if err := p.Bind("k", source, "k"); err != nil {
		t.Fatal(err)
	}
	source.Close()
	if _, err := p.Run(context.Background(), nil); err == nil || !strings.Contains(err.Error(), `"k"`) {
		t.Errorf("the error is %v, want one that names the input", err)
	}
}

// TestArchive compiles kernels once for two backends, and again when the file is damaged.
func TestArchive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kernels")
	g := block(tensor.F32)
	compiled := func() int {
		before := softmetal.Count()
		b, err := metal.Open(metal.Options{Archive: path})
		if err != nil {
			t.Fatal(err)
		}
		p, err := b.Compile(g)
		if err != nil {
			t.Fatal(err)
		}
		p.Close()
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		return softmetal.Count().Since(before).Pipelines
	}
	first := compiled()
	if again := compiled(); first == 0 || again != 0 {
		t.Errorf("%d kernels are compiled at first and %d then, want some and none", first, again)
	}
	if err := os.WriteFile(path, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if after := compiled(); after != first {
		t.Errorf("%d kernels are compiled after damage, want %d", after, first)
	}
	if again := compiled(); again != 0 {
		t.Errorf("%d kernels are compiled after the repair, want none", again)
	}
}
