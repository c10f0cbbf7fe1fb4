package checkpoint_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/tensor"
)

func write(t testing.TB, metadata map[string]string, weights ...*tensor.Weight) []byte {
	t.Helper()
	var sources []checkpoint.Source
	for _, w := range weights {
		sources = append(sources, checkpoint.SourceOf(w))
	}
	var out bytes.Buffer
	if err := checkpoint.WriteSafetensors(&out, sources, metadata); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestWriteSafetensors(t *testing.T) {
	weights := []*tensor.Weight{
		tensor.WeightOf("b", []float32{1, 2, 3, 4, 5, 6}, 2, 3),
		tensor.WeightOf("empty", nil, 0, 3),
		tensor.WeightOf("a\"<\u00e9\n", []float32{-1}),
		{Name: "half", Shape: tensor.Shape{3}, DType: tensor.F16, Data: []byte{1, 2, 3, 4, 5, 6}},
		{Name: "wide", Shape: tensor.Shape{1}, DType: tensor.I64, Data: make([]byte, 8)},
	}
	metadata := map[string]string{"z": "1", "a": "\u2028"}
	data := write(t, metadata, weights...)
	reversed := slices.Clone(weights)
	slices.Reverse(reversed)
	if !bytes.Equal(data, write(t, metadata, reversed...)) {
		t.Error("another order of the same tensors gives another file")
	}
	header := binary.LittleEndian.Uint64(data)
	if header%8 != 0 {
		t.Errorf("header of %d bytes, want a multiple of 8", header)
	}
	name := filepath.Join(t.TempDir(), "w.safetensors")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	inMemory, err := checkpoint.OpenBytes("memory", data)
	if err != nil {
		t.Fatal(err)
	}
	onDisk, err := checkpoint.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []*checkpoint.File{inMemory, onDisk} {
		if n := len(file.Names()); n != len(weights) {
			t.Errorf("%d tensors, want %d", n, len(weights))
		}
		for _, w := range weights {
			got, ok := file.Weight(w.Name)
			if !ok || !got.Shape.Equal(w.Shape) || got.DType != w.DType || !bytes.Equal(got.Data, w.Data) {
				t.Errorf("%q came back as %+v, want %+v", w.Name, got, w)
			}
		}
		if fmt.Sprint(file.Metadata()) != fmt.Sprint(metadata) {
			t.Errorf("metadata %q, want %q", file.Metadata(), metadata)
		}
		for range 2 {
			if err := file.Close(); err != nil {
				t.Error(err)
			}
		}
		if names := file.Names(); len(names) != 0 {
			t.Errorf("a closed file holds %q", names)
		}
	}
}

func TestWriteSafetensorsRefuses(t *testing.T) {
	one := tensor.WeightOf("a", []float32{1}, 1)
	fails := errors.New("disk full")
	for what, sources := range map[string][]checkpoint.Source{
		"taken":          {checkpoint.SourceOf(one), checkpoint.SourceOf(one)},
		"not UTF-8":      {{Name: "\xff", Shape: tensor.Shape{0}}},
		"no file":        {{Name: "a", Shape: tensor.Shape{1 << 40, 1 << 40}}},
		"want 8":         {{Name: "a", Shape: tensor.Shape{2}, Write: checkpoint.SourceOf(one).Write}},
		fails.Error():    {{Name: "a", Shape: tensor.Shape{2}, Write: func(io.Writer) error { return fails }}},
		"__metadata__\"": {{Name: "__metadata__", Shape: tensor.Shape{0}}},
	} {
		err := checkpoint.WriteSafetensors(io.Discard, sources, nil)
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%v, want an error with %q", err, what)
		}
	}
}

func TestWriteSafetensorsEmpty(t *testing.T) {
	file, err := checkpoint.OpenBytes("memory", write(t, nil))
	if err != nil || len(file.Names()) != 0 || file.Metadata() != nil {
		t.Errorf("a file of nothing: %v, %v", file, err)
	}
}

func TestHeaderLength(t *testing.T) {
	sound := write(t, nil, tensor.WeightOf("a", []float32{1}, 1))
	for _, length := range []uint64{0, 1, uint64(len(sound)), 1 << 32, 1 << 40, 1 << 63, 1<<64 - 1} {
		data := slices.Clone(sound)
		binary.LittleEndian.PutUint64(data, length)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := checkpoint.OpenBytes("memory", data)
		runtime.ReadMemStats(&after)
		var model *checkpoint.Error
		if !errors.As(err, &model) {
			t.Errorf("length %d: %v, want an error", length, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("length %d: allocated %d bytes", length, n)
		}
	}
}

func TestHeaderErrors(t *testing.T) {
	const good = `"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}`
	for header, want := range map[string]string{
		`{` + good + `}`:              "",
		` {` + good + `}`:             "not a checkpoint",
		`{` + good + `} {}`:           "after the JSON object",
		`{` + good:                    "unexpected EOF",
		`{` + good + `,}`:             "invalid character",
		`{` + good + `,` + good + `}`: `"a" occurs twice`,
		`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}}`:        `unknown field "x"`,
		`{"a":{"dtype":"U8","shape":[1]}}`:                                   "want dtype, shape and data_offsets",
		`{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}`: `"dtype" occurs twice`,
		`{"a":{"dtype":8,"shape":[1],"data_offsets":[0,1]}}`:                 "want a string",
		`{"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}}`:            "want an integer",
		`{"a":{"dtype":"U8","shape":[1e0],"data_offsets":[0,1]}}`:            "want an integer",
		`{"a":{"dtype":"U8","shape":1,"data_offsets":[0,1]}}`:                "want [",
		`{"a":[]}`:                                    "want {",
		`{"__metadata__":{"a":1},` + good + `}`:       "want a string",
		`{"__metadata__":{"a":"b"},` + good + `}    `: "",
		strings.Repeat(`{"a":`, 1000000):              "unknown field",
	} {
		data := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
		data = append(append(data, header...), 7)
		file, err := checkpoint.OpenBytes("memory", data)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", header, err)
		case want == "" && len(file.Names()) != 1:
			t.Errorf("%s: holds %q", header, file.Names())
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%.80s: %v, want an error with %q", header, err, want)
		}
	}
}
