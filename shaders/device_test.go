//go:build (darwin || softmetal) && cgo

package shaders_test

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"ldm-mac/bridge"
	"ldm-mac/metal"
	"ldm-mac/shaders"
)

// device is what the tests run on: the software Metal on Linux, the machine's own GPU on macOS.
var device struct {
	*bridge.Device
	library   *bridge.Library
	pipelines map[string]*bridge.Pipeline // by kernel and constants
	err       error                       // of opening it
}

func TestMain(m *testing.M) {
	device.pipelines = map[string]*bridge.Pipeline{}
	if device.Device, device.err = bridge.Open(); device.err == nil {
		device.library, device.err = device.NewLibrary(shaders.Source())
	}
	code := m.Run()
	for _, p := range device.pipelines {
		p.Close()
	}
	if device.library != nil {
		device.library.Close()
	}
	if device.Device != nil {
		device.Close()
	}
	if live := bridge.LiveObjects(); live != 0 && code == 0 {
		fmt.Fprintf(os.Stderr, "%d objects of the bridge are still alive\n", live)
		code = 1
	}
	os.Exit(code)
}

// ready fails the test unless there is a device that has compiled the kernels.
func ready(t *testing.T) {
	t.Helper()
	if errors.Is(device.err, bridge.ErrNoDevice) {
		t.Skip(device.err)
	}
	if device.err != nil {
		t.Fatal(device.err)
	}
}

// pipeline is that of a kernel, and kept.
func pipeline(t *testing.T, l metal.Launch) *bridge.Pipeline {
	t.Helper()
	key := fmt.Sprint(l.Kernel, l.Constants)
	if p := device.pipelines[key]; p != nil {
		return p
	}
	p, err := device.library.NewPipeline(l.Kernel, l.Constants, nil)
	if err != nil {
		t.Fatal(err)
	}
	device.pipelines[key] = p
	return p
}

// dispatch runs a kernel on buffers 1, 2, … and reads them back; nil leaves one unbound.
func dispatch(t *testing.T, l metal.Launch, buffers [][]byte) {
	t.Helper()
	p := pipeline(t, l)
	if threads := l.Group.X * l.Group.Y * l.Group.Z; threads > p.MaxThreads() {
		t.Fatalf("kernel %s is launched with %d threads a group, at most %d fit", l.Kernel, threads, p.MaxThreads())
	}
	bindings := make([]bridge.Binding, len(buffers))
	for i, data := range buffers {
		if data == nil {
			continue
		}
		b, err := device.NewBuffer(len(data))
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		copy(b.Bytes(), data)
		bindings[i].Buffer = b
	}
	commands, err := device.Begin(t.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer commands.Close()
	if err := commands.Dispatch(p, l.Args, bindings, l.Grid, l.Group, 0); err != nil {
		t.Fatal(err)
	}
	if err := commands.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, err := commands.Wait(); err != nil {
		t.Fatal(err)
	}
	for i, b := range bindings {
		if b.Buffer != nil {
			copy(buffers[i], b.Buffer.Bytes())
		}
	}
}
