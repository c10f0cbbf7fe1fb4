package goldentest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/tensor"
)

// Errors are a fixture's measurements by quantity.
type Errors map[string]Error

// Bound is the tolerance of the first of the quantities that was measured: of one itself, or of
// the stage that it belongs to.
func (e Errors) Bound(t testing.TB, names ...string) float64 {
	t.Helper()
	for _, name := range names {
		if measured, ok := e[name]; ok {
			return Bound(measured.Max)
		}
	}
	t.Fatalf("no measured error for %q", names)
	return 0
}

// UnmarshalJSON reads the measurements; what is counted instead is left out.
func (e *Errors) UnmarshalJSON(data []byte) error {
	var entries map[string]any
	if err := json.Unmarshal(data, &entries); err != nil {
		return err
	}
	*e = Errors{}
	for name, entry := range entries {
		if measured, ok := entry.(map[string]any); ok {
			largest, _ := measured["max"].(float64)
			rms, _ := measured["rms"].(float64)
			(*e)[name] = Error{largest, rms}
		}
	}
	return nil
}

// Array is the named tensor as graphs have it: images [n, c, h, w] become [n, h, w, c].
func (f *Folder) Array(name string) tensor.Array {
	f.t.Helper()
	return ChannelsLast(f.Floats(name))
}

// ChannelsLast is a tensor in PyTorch's layout as graphs have it: images [n, c, h, w] become
// [n, h, w, c], other shapes stay.
func ChannelsLast(values []float32, shape tensor.Shape) tensor.Array {
	if len(shape) != 4 {
		return tensor.Array{Shape: shape, Data: values}
	}
	n, c, h, w := shape[0], shape[1], shape[2], shape[3]
	out := tensor.NewArray(n, h, w, c)
	for i := range values {
		image, channel, pixel := i/(c*h*w), i/(h*w)%c, i%(h*w)
		out.Data[(image*h*w+pixel)*c+channel] = values[i]
	}
	return out
}

// First is the first image, or sequence, of a batch.
func First(a tensor.Array) tensor.Array {
	shape := append(tensor.Shape{1}, a.Shape[1:]...)
	return tensor.Array{Shape: shape, Data: a.Data[:shape.Elements()]}
}

// Network binds model to the weights of a component of the fixture's model, whose config.json it
// decodes into config first; build makes the model of it.
func (f *Folder) Network(component string, config any, build func() (any, error)) {
	f.t.Helper()
	folder, err := checkpoint.OpenFolder(f.Path("model"))
	if err != nil {
		f.t.Fatal(err)
	}
	if err := folder.Config(component, config); err != nil {
		f.t.Fatal(err)
	}
	model, err := build()
	if err != nil {
		f.t.Fatal(err)
	}
	weights, err := folder.Weights(component)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { weights.Close() })
	if err := checkpoint.Bind(model, weights, ""); err != nil {
		f.t.Fatal(err)
	}
}

// Run computes the graph that build makes with an input for each of in.
func Run(t testing.TB, b tensor.Backend, in map[string]tensor.Array, build func(*tensor.Graph)) map[string]tensor.Array {
	t.Helper()
	g := tensor.NewGraph()
	build(g)
	return compute(t, b, in, g)
}

// Observe is Run with every node as an output, by its name.
func Observe(t testing.TB, b tensor.Backend, in map[string]tensor.Array, build func(*tensor.Graph)) map[string]tensor.Array {
	t.Helper()
	g := tensor.NewGraph()
	build(g)
	return compute(t, b, in, g.Observed())
}

func compute(t testing.TB, b tensor.Backend, in map[string]tensor.Array, g *tensor.Graph) map[string]tensor.Array {
	t.Helper()
	program, err := b.Compile(g)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	out, err := program.Run(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// LastOf is the result of a module among the nodes of a graph: its own, or that of its resampling,
// or of its last layer.
func LastOf(nodes map[string]tensor.Array, module string) (a tensor.Array, ok bool) {
	for _, name := range []string{
		module, module + ".downsamplers.0", module + ".upsamplers.0",
		module + ".downsamplers.0.conv", module + ".upsamplers.0.conv",
	} {
		if a, ok := nodes[name]; ok {
			return a, true
		}
	}
	for i := 0; ; i++ {
		layer, found := nodes[fmt.Sprint(module, ".resnets.", i)]
		if !found {
			return a, ok
		}
		a, ok = layer, true
		if attention, found := nodes[fmt.Sprint(module, ".attentions.", i)]; found && !strings.HasSuffix(module, "mid_block") {
			a = attention
		}
	}
}
