package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/tensor"
)

// noise is the tensor "noise" of a file, from which sampling starts, or one such as "step.003", from
// which it goes on.
type noise struct {
	tensor.Array // [n, c, h, w]
	file, tensor string
	start        int    // evaluations that are behind the tensor; 0 for noise
	sha256       string // of the file
}

// readNoise reads the noise of a safetensors file, or the tensor whose name stands behind its path and
// a colon.
func readNoise(path string) (*noise, error) {
	name, start := "noise", 0
	if at := strings.LastIndexByte(path, ':'); at >= 0 {
		if number, ok := strings.CutPrefix(path[at+1:], "step."); ok {
			step, err := strconv.Atoi(number)
			if err != nil || step < 0 {
				return nil, usagef("--latents %s: %q is no step, want a name such as step.003", path, path[at+1:])
			}
			path, name, start = path[:at], path[at+1:], step+1
		}
	}
	n, err := parseNoise(path, name)
	if err != nil {
		return nil, inputError(err)
	}
	n.start = start
	return n, nil
}

func parseNoise(path, name string) (*noise, error) {
	file, err := checkpoint.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	w, ok := file.Weight(name)
	switch {
	case !ok:
		return nil, fmt.Errorf("%s holds no tensor %q; it has %.200q", path, name, file.Names())
	case len(w.Shape) != 4 || w.Shape.Elements() == 0:
		return nil, fmt.Errorf("%s: the tensor %q has shape %s, want [n, c, h, w]", path, name, w.Shape)
	}
	n := &noise{file: path, tensor: name, Array: tensor.Array{Shape: w.Shape}}
	if n.Data, err = w.Floats(nil); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for i, v := range n.Data {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("%s: the tensor %q holds %v at element %d", path, name, v, i)
		}
	}
	n.sha256, err = fileHash(path)
	return n, err
}

// row keeps only the noise of one picture.
func (n *noise) row(i int) error {
	if i < 0 || i >= n.Shape[0] {
		return inputError(fmt.Errorf("%s holds noise for %d pictures, want number %d, counted from 0", n.file, n.Shape[0], i))
	}
	size := len(n.Data) / n.Shape[0]
	n.Array = tensor.Array{Shape: append(tensor.Shape{1}, n.Shape[1:]...), Data: n.Data[i*size : (i+1)*size]}
	return nil
}

func fileHash(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// recorder keeps what pipeline.Request's OnTensor shows, with the pictures of all batches one
// after the other.
type recorder struct {
	names   []string
	tensors map[string]tensor.Array
}

func (r *recorder) record(name string, value tensor.Array) {
	t, known := r.tensors[name]
	if !known {
		if r.tensors == nil {
			r.tensors = map[string]tensor.Array{}
		}
		r.names = append(r.names, name)
		t.Shape = append(tensor.Shape{0}, value.Shape[1:]...)
	}
	t.Shape[0] += value.Shape[0]
	t.Data = append(t.Data, value.Data...)
	r.tensors[name] = t
}

// write writes everything as safetensors.
func (r *recorder) write(w io.Writer) error {
	var sources []checkpoint.Source
	for _, name := range r.names {
		t := r.tensors[name]
		sources = append(sources, checkpoint.SourceOf(tensor.WeightOf(name, t.Data, t.Shape...)))
	}
	return checkpoint.WriteSafetensors(w, sources, nil)
}
