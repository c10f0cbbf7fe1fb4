//go:build softmetal && linux && cgo

package metal_test

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ldm-mac/bridge/softmetal"
	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/cpu"
	"ldm-mac/ldm/goldentest"
	"ldm-mac/ldm/tensor"
	"ldm-mac/metal"
)

// layers is a small network. Of its weights, which a file holds as float16 in this order, the kernels
// read the first, the odd and the last as they lie there; the norm's is read as float32, and the two
// others begin 6 bytes after a multiple of 8.
type layers struct {
	First     *tensor.Weight `weight:"a.weight"`
	Norm      *tensor.Weight `weight:"b.weight"`
	Odd       *tensor.Weight `weight:"c.bias"`
	Unaligned *tensor.Weight `weight:"d.weight"`
	Even      *tensor.Weight `weight:"e.bias"`
	Last      *tensor.Weight `weight:"f.weight"`
}

// mappedBytes are the bytes of those that are read where they lie.
const mappedBytes = 2 * (40*24 + 3 + 1)

func newLayers() *layers {
	return &layers{
		tensor.NewWeight(40, 24), tensor.NewWeight(40), tensor.NewWeight(3), tensor.NewWeight(24, 40), tensor.NewWeight(1), tensor.NewWeight(1),
	}
}

// safetensors is the file of a network's weights.
func safetensors(t *testing.T, dtype tensor.DType, of *layers) []byte {
	t.Helper()
	var sources []checkpoint.Source
	checkpoint.Walk(of, func(name string, w *tensor.Weight) {
		values := weight(w.Shape...)
		if len(w.Shape) == 1 {
			values = tensor.WeightOf(name, ramp(w.Shape...).Data, w.Shape...)
		}
		floats, err := values.Floats(nil)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, checkpoint.SourceOf(&tensor.Weight{
			Name: name, Shape: w.Shape, DType: dtype, Data: tensor.EncodeFloats(nil, floats, dtype),
		}))
	})
	var file bytes.Buffer
	if err := checkpoint.WriteSafetensors(&file, sources, nil); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// bind gives a new network the weights of a file, which is closed at the end of the test unless it was
// before.
func bind(t *testing.T, file *checkpoint.File) *layers {
	t.Helper()
	t.Cleanup(func() { file.Close() })
	l := newLayers()
	if err := checkpoint.Bind(l, file, ""); err != nil {
		t.Fatal(err)
	}
	return l
}

// onDisk is a network with the weights of a file at path.
func onDisk(t *testing.T, dtype tensor.DType) (l *layers, file *checkpoint.File, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "mapped.safetensors")
	if err := os.WriteFile(path, safetensors(t, dtype, newLayers()), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return bind(t, file), file, path
}

// inMemory is the same network with weights in Go's memory.
func inMemory(t *testing.T, dtype tensor.DType) *layers {
	t.Helper()
	file, err := checkpoint.OpenBytes("memory", safetensors(t, dtype, newLayers()))
	if err != nil {
		t.Fatal(err)
	}
	return bind(t, file)
}

// graph computes rows of the network.
func (l *layers) graph(rows int) *tensor.Graph {
	g := tensor.NewGraph()
	h := tensor.Linear(g.Input("x", rows, 24), l.First, nil)
	h = tensor.LayerNorm(h, l.Norm, l.Norm, 1e-5)
	h = tensor.Linear(h, l.Unaligned, nil)
	h = tensor.Mul(tensor.Add(h, g.Param(l.Even)), g.Param(l.Last))
	g.Output("y", tensor.Add(h, tensor.Slice(g.Param(l.Odd), 0, 1, 2)))
	g.Output("weight", tensor.Affine(g.Param(l.First), 1, 0))
	return g
}

// forget is what a pipeline does when its networks are compiled.
func (l *layers) forget(t *testing.T, file *checkpoint.File) {
	t.Helper()
	checkpoint.Walk(l, func(_ string, w *tensor.Weight) { w.Data, w.Mapping = nil, nil })
	if err := file.Close(); err != nil {
		t.Error(err)
	}
}

// isMapped tells whether this process has the file in its memory.
func isMapped(t *testing.T, path string) bool {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(maps), path)
}

var byKernel = &metal.Tuning{Products: []metal.Rule{{Kernel: true}}, Convolutions: []metal.Rule{{Kernel: true}}}

// TestMappedWeights reads weights where they lie in a file that is closed meanwhile, and gets what
// weights in memory give, for which the device needs as much memory more.
func TestMappedWeights(t *testing.T) {
	for _, how := range tunings {
		for _, c := range []struct{ file, store tensor.DType }{
			{tensor.F16, tensor.F16}, {tensor.F16, tensor.F32}, {tensor.F32, tensor.F32}, {tensor.F32, tensor.F16}, {tensor.BF16, tensor.F32},
		} {
			t.Run(how.name+"/"+c.file.String()+"/"+c.store.String(), func(t *testing.T) {
				o := metal.Options{DType: c.store, Tuning: how.tuning, Notice: func(text string) { t.Error(text) }}
				copied := open(t, o)
				g := inMemory(t, c.file).graph(5)
				want := run(t, compile(t, copied, g), inputs(g))
				if n, size := copied.Mapped(); n != 0 || size != 0 {
					t.Errorf("%d weights in memory are mapped", n)
				}

				l, file, path := onDisk(t, c.file)
				b := open(t, o)
				p := compile(t, b, l.graph(5))
				l.forget(t, file)
				for range 2 {
					if got := run(t, p, inputs(g)); !slices.Equal(got, want) {
						t.Errorf("y begins with %g, want %g", got[:3], want[:3])
					}
				}
				n, size := b.Mapped()
				active, _ := b.Memory()
				if all, _ := copied.Memory(); all-active != size {
					t.Errorf("%d bytes are on the device, %d without a mapping of %d", active, all, size)
				}
				if c.file == tensor.F16 && c.store == tensor.F16 && how.name == "kernels" && (n != 3 || size != mappedBytes) {
					t.Errorf("%d weights of %d bytes are mapped, want 3 of %d", n, size, mappedBytes)
				}
				if c.file == tensor.BF16 && n != 0 {
					t.Errorf("%d weights are read as bfloat16", n)
				}
				if isMapped(t, path) != (n > 0) {
					t.Errorf("with %d weights in it, the file is mapped: %t", n, n == 0)
				}
				if err := p.Close(); err != nil {
					t.Error(err)
				}
				if n, _ := b.Mapped(); n != 0 || isMapped(t, path) {
					t.Errorf("after the last program was closed %d weights are mapped", n)
				}
			})
		}
	}
}

// TestMappingRefused converts what the device does not share.
func TestMappingRefused(t *testing.T) {
	for _, fault := range []softmetal.Faults{{NoSharing: true}, {Allocation: 3}} { // after the heap and the result
		l, _, _ := onDisk(t, tensor.F16)
		g := tensor.NewGraph()
		g.Output("y", tensor.Linear(g.Input("x", 5, 24), l.First, nil))
		b := open(t, metal.Options{DType: tensor.F16, Tuning: byKernel})
		want := run(t, compile(t, b, g), inputs(g))
		if n, _ := b.Mapped(); n != 1 {
			t.Fatalf("%d weights are mapped, want 1", n)
		}
		other := open(t, metal.Options{DType: tensor.F16, Tuning: byKernel})
		inject(t, fault)
		p := compile(t, other, g)
		if left := softmetal.Injected(); left.Allocation != 0 {
			t.Fatal("the weight's memory was not refused")
		}
		inject(t, softmetal.Faults{})
		if n, _ := other.Mapped(); n != 0 {
			t.Errorf("%+v: %d weights are mapped", fault, n)
		}
		if got := run(t, p, inputs(g)); !slices.Equal(got, want) {
			t.Errorf("%+v: y begins with %g, want %g", fault, got[:3], want[:3])
		}
	}
}

// TestMappedForGraph compiles a second program, in which MPSGraph reads the weight that a kernel of the
// first reads in the file; the file is closed by then. Then the other way round.
func TestMappedForGraph(t *testing.T) {
	few := &metal.Tuning{Products: []metal.Rule{{MaxRows: 10, Kernel: true}}}
	for _, rows := range [][]int{{5, 20}, {20, 5}} {
		l, file, path := onDisk(t, tensor.F16)
		graph := func(rows int) *tensor.Graph {
			g := tensor.NewGraph()
			g.Output("y", tensor.Linear(g.Input("x", rows, 24), l.First, nil))
			return g
		}
		b := open(t, metal.Options{DType: tensor.F16, Tuning: few})
		first := compile(t, b, graph(rows[0]))
		l.forget(t, file)
		second := compile(t, b, graph(rows[1]))
		a, c := run(t, first, inputs(graph(rows[0]))), run(t, second, inputs(graph(rows[1])))
		for i := range min(len(a), len(c)) {
			// Sums of 24 products in two orders, rounded to float16.
			if math.Abs(float64(a[i]-c[i])) > math.Pow(2, -10) {
				t.Fatalf("element %d is %g and %g", i, a[i], c[i])
			}
		}
		first.Close()
		second.Close()
		if isMapped(t, path) {
			t.Error("the file stays mapped")
		}
	}
}

// TestMappedOverflow widens a sum that a kernel adds, so that another step reads the weight, of a file
// that is closed.
func TestMappedOverflow(t *testing.T) {
	residuals := &metal.Tuning{Products: []metal.Rule{{Residual: true, Kernel: true}}}
	l, file, _ := onDisk(t, tensor.F16)
	g := tensor.NewGraph()
	h := tensor.Linear(tensor.Affine(g.Input("x", 5, 24), 1e4, 0), l.First, nil)
	sum := tensor.Add(h, tensor.Affine(g.Input("r", 5, 40), 0, 6e4)).Named("sum")
	g.Output("y", tensor.Affine(sum, 1e-4, 0))
	oracle := cpu.New(1)
	defer oracle.Close()
	want := run(t, compile(t, oracle, g), inputs(g))
	var notices []string
	b := open(t, metal.Options{DType: tensor.F16, Tuning: residuals, Notice: func(text string) { notices = append(notices, text) }})
	p := compile(t, b, g)
	if plan := p.(*metal.Program).Plan(); plan.Graphs != 0 {
		t.Fatalf("MPSGraph computes %d products", plan.Graphs)
	}
	if n, _ := b.Mapped(); n != 1 {
		t.Fatalf("%d weights are mapped, want 1", n)
	}
	l.forget(t, file)
	// Four values of up to 8 are rounded to 2⁻¹¹ of themselves.
	goldentest.Compare(t, "y", run(t, p, inputs(g)), want, 4*math.Pow(2, -11))
	if len(notices) != 1 || !strings.HasPrefix(notices[0], "sum ") {
		t.Errorf("notices are %q, want one that names sum", notices)
	}
	if plan := p.(*metal.Program).Plan(); plan.Graphs != 1 {
		t.Errorf("MPSGraph computes %d products, want 1", plan.Graphs)
	}
}

// TestMappedOutput gives a weight back, and binds MPSGraph's operand to it.
func TestMappedOutput(t *testing.T) {
	l, file, _ := onDisk(t, tensor.F16)
	want, err := l.First.Floats(nil)
	if err != nil {
		t.Fatal(err)
	}
	from, to := tensor.NewGraph(), tensor.NewGraph()
	from.Output("y", from.Param(l.First))
	from.Keep("kept", from.Param(l.First))
	to.Output("y", tensor.MatMul(to.Input("x", 40, 40), to.Input("kept", 40, 24), false))
	for _, how := range tunings {
		// What is no weight may be no number, which is another reason to compute in float32.
		b := open(t, metal.Options{DType: tensor.F16, Tuning: how.tuning, Notice: func(text string) { t.Error(text) }})
		source, p := compile(t, b, from), compile(t, b, to)
		if n, _ := b.Mapped(); n != 1 {
			t.Fatalf("%d weights are mapped, want 1", n)
		}
		if got := run(t, source, nil); !slices.Equal(got, want) {
			t.Error("the weight is not what the file holds")
		}
		if err := p.Bind("kept", source, "kept"); err != nil {
			t.Fatal(err)
		}
		one := tensor.NewArray(40, 40)
		for i := range 40 {
			one.Data[41*i] = 1
		}
		if got := run(t, p, map[string]tensor.Array{"x": one}); !slices.Equal(got, want) {
			t.Errorf("%s: the weight that is bound is another", how.name)
		}
		source.Close()
	}
	file.Close()
}
