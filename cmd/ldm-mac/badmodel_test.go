package main

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/rogpeppe/go-internal/testscript"
)

// safetensors is a file of that format taken apart.
type safetensors struct {
	header map[string]map[string]any
	data   []byte
}

func (s *safetensors) bytes() ([]byte, error) {
	header, err := json.Marshal(s.header)
	if err != nil {
		return nil, err
	}
	out := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(out, header...), s.data...), nil
}

// first is the name of the first tensor whose data is not empty.
func (s *safetensors) first() string {
	names := slices.Sorted(maps.Keys(s.header))
	names = slices.DeleteFunc(names, func(name string) bool { return name == "__metadata__" })
	return names[0]
}

// damages are ways to spoil a file of weights, from its bytes and its parts.
var damages = map[string]func(raw []byte, s *safetensors) ([]byte, error){
	"truncated": func(raw []byte, _ *safetensors) ([]byte, error) { return raw[:len(raw)-100], nil },
	"header": func(raw []byte, _ *safetensors) ([]byte, error) {
		binary.LittleEndian.PutUint64(raw, 1<<40)
		return raw, nil
	},
	"overlap": func(_ []byte, s *safetensors) ([]byte, error) {
		names := slices.Sorted(maps.Keys(s.header))
		a, b := names[len(names)-1], names[len(names)-2]
		s.header[a]["data_offsets"] = s.header[b]["data_offsets"]
		s.header[a]["shape"] = s.header[b]["shape"]
		s.header[a]["dtype"] = s.header[b]["dtype"]
		return s.bytes()
	},
	"shape": func(_ []byte, s *safetensors) ([]byte, error) {
		t := s.header[s.first()]
		t["shape"] = append([]any{1}, t["shape"].([]any)...)
		return s.bytes()
	},
	"key": func(_ []byte, s *safetensors) ([]byte, error) {
		name := s.first()
		s.header[name+".renamed"] = s.header[name]
		delete(s.header, name)
		return s.bytes()
	},
	"nan": func(raw []byte, s *safetensors) ([]byte, error) {
		at := s.header[s.first()]["data_offsets"].([]any)[0].(float64)
		start := 8 + int(binary.LittleEndian.Uint64(raw)) + int(at)
		if s.header[s.first()]["dtype"] == "F16" {
			binary.LittleEndian.PutUint16(raw[start:], 0x7e00)
		} else {
			binary.LittleEndian.PutUint32(raw[start:], math.Float32bits(float32(math.NaN())))
		}
		return raw, nil
	},
	"nothing": func(raw []byte, _ *safetensors) ([]byte, error) { // a value, to one as good
		raw[len(raw)-1] ^= 1
		return raw, nil
	},
	"gone": func([]byte, *safetensors) ([]byte, error) { return nil, os.ErrNotExist },
}

// badModel copies the tiny model with its U-Net's weights damaged, and sets FILE and TENSOR to
// what a message has to name: badmodel truncated DIR.
func badModel(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[1])
	ts.Check(os.CopyFS(dir, os.DirFS(ts.Getenv("TINY"))))
	file := filepath.Join(dir, "unet", "diffusion_pytorch_model.safetensors")
	raw, err := os.ReadFile(file)
	ts.Check(err)
	var s safetensors
	end := 8 + binary.LittleEndian.Uint64(raw)
	ts.Check(json.Unmarshal(raw[8:end], &s.header))
	s.data = raw[end:]
	ts.Setenv("FILE", file)
	ts.Setenv("TENSOR", s.first())
	bad, err := damages[args[0]](slices.Clone(raw), &s)
	ts.Check(os.Remove(file))
	if err == nil {
		ts.Check(os.WriteFile(file, bad, 0o666))
	}
}
