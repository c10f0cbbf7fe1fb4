//go:build linux || darwin

package checkpoint_test

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
	"testing/fstest"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/tensor"
)

var sink byte

// readable tells whether memory can be read, by reading it.
func readable(data []byte) (ok bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { ok = recover() == nil }()
	sink = data[0] + data[len(data)-1]
	return true
}

// TestMappingOutlivesFile reads a bound weight after the file was closed, for as long as it is
// retained.
func TestMappingOutlivesFile(t *testing.T) {
	const index = "index.json"
	dir := onDisk(t, fstest.MapFS{
		index:           {Data: []byte(`{"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}`)},
		"1.safetensors": {Data: write(t, nil, zeros("a", 1000))},
		"2.safetensors": {Data: write(t, nil, zeros("b", 1000))},
		"single":        {Data: write(t, nil, zeros("a", 1000), zeros("b", 1000))},
	})
	for _, name := range []string{index, "single"} {
		file, err := checkpoint.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		model := struct {
			A *tensor.Weight `weight:"a"`
			B *tensor.Weight `weight:"b"`
		}{tensor.NewWeight(1000), tensor.NewWeight(1000)}
		if err := checkpoint.Bind(&model, file, ""); err != nil {
			t.Fatal(err)
		}
		m, data := model.A.Mapping, model.A.Data
		if m == nil || (m == model.B.Mapping) != (name == "single") {
			t.Fatalf("%s: the weights lie in the mappings %p and %p", name, m, model.B.Mapping)
		}
		if pages, offset, ok := m.Pages(data); !ok || &pages[offset] != &data[0] {
			t.Errorf("%s: the weight lies at %d of %d bytes (%t)", name, offset, len(pages), ok)
		}
		m.Retain()
		if err := file.Close(); err != nil {
			t.Error(err)
		}
		if !readable(data) {
			t.Errorf("%s: a weight that is retained went with the file", name)
		}
		if err := m.Release(); err != nil {
			t.Error(err)
		}
		if readable(data) {
			t.Errorf("%s: the file stays mapped", name)
		}
	}
}

// TestNoMapping has weights that lie in Go's memory: those of a file in memory, and of what had to be
// inflated or put in order.
func TestNoMapping(t *testing.T) {
	program := pickled(tensorOf(storageOf("FloatStorage", 6, ""), 0, ints(2, 3), ints(3, 1)))
	transposed := pickled(tensorOf(storageOf("FloatStorage", 6, ""), 0, ints(3, 2), ints(1, 3)))
	members := func(pickle string) map[string]string { return map[string]string{"data.pkl": pickle, "data/0": raw} }
	for _, c := range []struct {
		name   string
		data   []byte
		mapped bool
	}{
		{"stored", torchZip(t, zip.Store, members(program)), true},
		{"deflated", torchZip(t, zip.Deflate, members(program)), false},
		{"transposed", torchZip(t, zip.Store, members(transposed)), false},
		{"empty", write(t, nil, zeros("a", 0), zeros("b", 5)), false},
	} {
		path := filepath.Join(t.TempDir(), c.name)
		if err := os.WriteFile(path, c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := checkpoint.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if w, _ := file.Weight("a"); (w.Mapping != nil) != c.mapped {
			t.Errorf("%s: the weight lies in the mapping %p", c.name, w.Mapping)
		}
		file.Close()
		memory, err := checkpoint.OpenBytes(path, bytes.Clone(c.data))
		if err != nil {
			t.Fatal(err)
		}
		if w, _ := memory.Weight("a"); w.Mapping != nil {
			t.Errorf("%s: a weight in memory lies in a mapping", c.name)
		}
	}
}
