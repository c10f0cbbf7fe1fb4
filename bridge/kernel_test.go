//go:build (darwin || softmetal) && cgo

package bridge

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// source has kernels for these tests: y = a·x + b with a from the arguments and b a constant, and a
// sum over a threadgroup.
const source = `
#include <metal_stdlib>
using namespace metal;

constant float shift [[function_constant(0)]];
constant bool negate [[function_constant(1)]];
constant int times [[function_constant(2)]];
constant uint extra [[function_constant(3)]];

struct scale_args { float factor; uint count; };

kernel void scale(constant scale_args &args [[buffer(0)]], device const float *x [[buffer(1)]],
		device float *y [[buffer(2)]], uint i [[thread_position_in_grid]]) {
	if (i >= args.count) return;
	y[i] = args.factor * x[i];
}

kernel void affine(constant scale_args &args [[buffer(0)]], device const float *x [[buffer(1)]],
		device float *y [[buffer(2)]], uint i [[thread_position_in_grid]]) {
	if (i >= args.count) return;
	float v = args.factor * x[i] + shift;
	v = v * float(times) + float(extra);
	y[i] = negate ? -v : v;
}

kernel void total(device const float *x [[buffer(1)]], device float *sum [[buffer(2)]],
		threadgroup float *part [[threadgroup(0)]], uint i [[thread_index_in_threadgroup]],
		uint n [[threads_per_threadgroup]]) {
	part[i] = x[i];
	threadgroup_barrier(mem_flags::mem_threadgroup);
	if (i != 0) return;
	float s = 0.0f;
	for (uint k = 0; k < n; k++) s += part[k];
	sum[0] = s;
}
`

type scaleArgs struct {
	factor float32
	count  uint32
}

var constants = []Constant{{0, float32(0.5)}, {1, true}, {2, int32(-3)}, {3, uint32(7)}}

func TestDispatch(t *testing.T) {
	d := open(t)
	l := closer[*Library](t)(d.NewLibrary(source))
	scale := closer[*Pipeline](t)(l.NewPipeline("scale", nil, nil))
	affine := closer[*Pipeline](t)(l.NewPipeline("affine", constants, nil))
	total := closer[*Pipeline](t)(l.NewPipeline("total", nil, nil))
	l.Close() // pipelines live on
	if scale.Name() != "scale" || scale.SIMDWidth() != 32 || scale.MaxThreads() < 256 || scale.ThreadgroupMemory() < 0 {
		t.Errorf("the pipeline has name %q, width %d, at most %d threads", scale.Name(), scale.SIMDWidth(), scale.MaxThreads())
	}
	const n = 100
	values := randoms(n, Float32, 1)
	x, y := filled(t, d, Float32, values), filled(t, d, Float32, make([]float32, n+1))
	sum := closer[*Buffer](t)(d.NewBuffer(8))
	args := scaleArgs{2, n}
	bindings := []Binding{{Buffer: x}, {y, 4}}
	run(t, d, func(c *Commands) error {
		if err := c.Dispatch(scale, bytesOfValue(&args), bindings, Size{4, 1, 1}, Size{32, 1, 1}, 0); err != nil {
			return err
		}
		args.count = 0 // Dispatch has copied it
		bindings[0] = Binding{y, 4}
		again := scaleArgs{1, n}
		if err := c.Dispatch(affine, bytesOfValue(&again), bindings, Size{4, 1, 1}, Size{32, 1, 1}, 0); err != nil {
			return err
		}
		return c.Dispatch(total, nil, []Binding{{y, 4}, {sum, 4}}, Size{1, 1, 1}, Size{n, 1, 1}, n*4)
	})
	got, want := numbers(y, Float32)[1:], float64(0)
	for i, v := range values {
		// A compiler may fuse each multiplication with its addition: the last bits differ.
		if w := -((2*v+0.5)*-3 + 7); math.Abs(float64(got[i]-w)) > 4e-6 {
			t.Fatalf("element %d is %g, want %g", i, got[i], w)
		}
		want += float64(got[i])
	}
	if e := distance(view[float32](sum)[1:], []float64{want}); e > 1e-5 { // 100 roundings of 6e-8
		t.Errorf("the sum is off by %g", e)
	}
}

func TestDispatchErrors(t *testing.T) {
	d := open(t)
	l := closer[*Library](t)(d.NewLibrary(source))
	p := closer[*Pipeline](t)(l.NewPipeline("scale", nil, nil))
	b := closer[*Buffer](t)(d.NewBuffer(64))
	c := closer[*Commands](t)(d.Begin("errors"))
	one, args := Size{1, 1, 1}, make([]byte, 8)
	for name, err := range map[string]error{
		"too many arguments":  c.Dispatch(p, make([]byte, 4096), nil, one, one, 0),
		"too many bindings":   c.Dispatch(p, args, make([]Binding, 31), one, one, 0),
		"too many threads":    c.Dispatch(p, args, nil, one, Size{p.MaxThreads() + 1, 1, 1}, 0),
		"no threads":          c.Dispatch(p, args, nil, one, Size{1, 0, 1}, 0),
		"no grid":             c.Dispatch(p, args, nil, Size{1, 1, 0}, one, 0),
		"odd memory":          c.Dispatch(p, args, nil, one, one, 4),
		"offset beyond":       c.Dispatch(p, args, []Binding{{b, 64}}, one, one, 0),
		"odd offset":          c.Dispatch(p, args, []Binding{{b, 2}}, one, one, 0),
		"closed pipeline":     c.Dispatch(&Pipeline{}, args, nil, one, one, 0),
		"closed list":         (&Commands{}).Dispatch(p, args, nil, one, one, 0),
		"no such kernel":      func() error { _, err := l.NewPipeline("missing", nil, nil); return err }(),
		"missing constants":   func() error { _, err := l.NewPipeline("affine", nil, nil); return err }(),
		"constant of no type": func() error { _, err := l.NewPipeline("affine", []Constant{{0, "1"}}, nil); return err }(),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		} else if name != "closed pipeline" && !strings.Contains(err.Error(), "kernel") {
			t.Errorf("%s: the kernel is not named: %v", name, err)
		}
	}
}

func TestSourceThatDoesNotCompile(t *testing.T) {
	d := open(t)
	_, err := d.NewLibrary("kernel void broken() {\n\tundeclared = 1;\n}\n")
	if err == nil || !strings.Contains(err.Error(), "undeclared") || !strings.Contains(err.Error(), ":2:") {
		t.Errorf("the error does not name line 2 and what is undeclared: %v", err)
	}
	if _, err := d.NewLibrary("\xff"); err == nil || !strings.Contains(err.Error(), "UTF-8") {
		t.Errorf("bytes that are no text: %v", err)
	}
}

func TestArchive(t *testing.T) {
	d := open(t)
	l := closer[*Library](t)(d.NewLibrary(source))
	path := filepath.Join(t.TempDir(), "kernels")
	a := closer[*Archive](t)(d.OpenArchive(path))
	closer[*Pipeline](t)(l.NewPipeline("scale", nil, a))
	closer[*Pipeline](t)(l.NewPipeline("affine", constants, a))
	check(t, a.Save())
	a.Close()
	a.Close()

	a = closer[*Archive](t)(d.OpenArchive(path))
	closer[*Pipeline](t)(l.NewPipeline("affine", constants, a))
	before, err := os.Stat(path)
	check(t, err)
	check(t, a.Save()) // nothing was added
	after, err := os.Stat(path)
	check(t, err)
	if !os.SameFile(before, after) {
		t.Error("an archive that did not change was written")
	}
	closer[*Pipeline](t)(l.NewPipeline("total", nil, a))
	check(t, a.Save())
	if after, err = os.Stat(path); err != nil || os.SameFile(before, after) {
		t.Error("an archive that changed was not replaced")
	}

	check(t, os.WriteFile(path, []byte("damaged"), 0o600))
	if _, err := d.OpenArchive(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a damaged archive: %v", err)
	}
	a = closer[*Archive](t)(d.OpenArchive(filepath.Join(t.TempDir(), "none", "kernels")))
	closer[*Pipeline](t)(l.NewPipeline("scale", nil, a))
	if err := a.Save(); err == nil {
		t.Error("an archive was saved in a folder that is not there")
	}
}
