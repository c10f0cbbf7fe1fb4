package arch

import (
	"bufio"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/tensor"
)

// WriteRandom writes the named architecture, one of Names, to dir, which must not exist: as the
// diffusers folder in which the system is published or, where diffusers has no pipeline for it, as
// the folder of CompVis' convention that its original checkpoint becomes. Weights are stored as dtype,
// F16 or F32; the same seed gives the same folder. A folder that is not finished, for the end of ctx
// or an error, is removed. progress, which may be nil, is told how many bytes of weights are written,
// and of how many.
func WriteRandom(ctx context.Context, name, dir string, seed uint64, dtype tensor.DType, progress func(done, total int64)) error {
	a, err := find(name)
	if err != nil {
		return err
	}
	return a.write(ctx, dir, seed, dtype, progress)
}

func (a *architecture) write(ctx context.Context, dir string, seed uint64, dtype tensor.DType, progress func(done, total int64)) error {
	if _, err := os.Lstat(dir); err == nil {
		return fmt.Errorf("arch: %q exists already", dir)
	}
	parts, err := a.parts()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(filepath.Dir(dir), ".ldm-mac-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temporary)
	texts, err := a.texts(parts)
	if err != nil {
		return err
	}
	for name, text := range texts {
		path := filepath.Join(temporary, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			return err
		}
	}
	w := writer{ctx: ctx, seed: seed, dtype: dtype, progress: progress}
	for _, p := range parts {
		checkpoint.Walk(p.model, func(_ string, t *tensor.Weight) {
			w.total += int64(t.Shape.Elements() * dtype.Size())
		})
	}
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		p := parts[name]
		if p.model == nil {
			continue
		}
		if err := w.write(filepath.Join(temporary, name, p.weights), p.model); err != nil {
			return err
		}
	}
	if err := os.Chmod(temporary, 0o755); err != nil {
		return err
	}
	return os.Rename(temporary, dir)
}

type writer struct {
	ctx         context.Context
	seed        uint64
	dtype       tensor.DType
	done, total int64
	progress    func(done, total int64)
}

// write writes one network's weights.
func (w *writer) write(path string, model any) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	var sources []checkpoint.Source
	checkpoint.Walk(model, func(name string, t *tensor.Weight) {
		sources = append(sources, checkpoint.Source{Name: name, DType: w.dtype, Shape: t.Shape,
			Write: func(out io.Writer) error { return w.fill(out, name, t.Shape) }})
	})
	buffered := bufio.NewWriterSize(file, 1<<20)
	if err := checkpoint.WriteSafetensors(buffered, sources, map[string]string{"format": "pt"}); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	return file.Close()
}

// chunk is the number of weights made at a time.
const chunk = 1 << 16

// fill writes the values of one tensor: norms keep what they normalise, biases are 0, and other
// weights are uniform with variance 1/inputs, so that activations neither vanish nor grow.
func (w *writer) fill(out io.Writer, name string, shape tensor.Shape) error {
	constant, limit := float32(0), 0.0
	switch {
	case strings.HasSuffix(name, ".bias"):
	case len(shape) == 1:
		constant = 1
	default:
		limit = math.Sqrt(3 / float64(shape[1:].Elements()))
	}
	hash := fnv.New64a()
	io.WriteString(hash, name)
	random := rand.NewPCG(w.seed, hash.Sum64())
	values, data := make([]float32, min(chunk, shape.Elements())), []byte(nil)
	for left := shape.Elements(); left > 0; left -= len(values) {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		values = values[:min(left, len(values))]
		for i := range values {
			values[i] = constant
			if limit > 0 {
				values[i] = float32(limit * (float64(random.Uint64()>>11)/(1<<52) - 1))
			}
		}
		data = tensor.EncodeFloats(data[:0], values, w.dtype)
		if _, err := out.Write(data); err != nil {
			return err
		}
		w.done += int64(len(data))
		if w.progress != nil {
			w.progress(w.done, w.total)
		}
	}
	return nil
}
