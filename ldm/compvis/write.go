package compvis

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/tensor"
)

// WriteOptions say how a model is written.
type WriteOptions struct {
	DType    *tensor.DType           // of all floating-point weights, F16 or F32; nil for every bit as it is
	Program  string                  // for Provenance
	Progress func(done, total int64) // told the bytes read for digests and written, and of how many; may be nil
}

// writer writes the weights of a model.
type writer struct {
	ctx         context.Context
	options     WriteOptions
	provenance  string // of Provenance, in JSON
	done, total int64
}

// newWriter digests the model's files.
func newWriter(ctx context.Context, folder *checkpoint.Folder, o WriteOptions) (*writer, error) {
	if o.DType != nil && *o.DType != tensor.F16 && *o.DType != tensor.F32 {
		return nil, fmt.Errorf("compvis: weights cannot be written as %s, want F16 or F32", *o.DType)
	}
	w := &writer{ctx: ctx, options: o}
	names, err := weightFiles(folder)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		file, err := folder.OpenFile(name)
		if err != nil {
			return nil, err
		}
		info, err := file.Stat()
		file.Close()
		if err != nil {
			return nil, err
		}
		w.total += info.Size()
	}
	for name, c := range folder.Components {
		if !hasWeights(c) {
			continue
		}
		file, err := folder.Weights(name)
		if err != nil {
			return nil, err
		}
		for _, name := range file.Names() {
			weight, _ := file.Weight(name)
			w.total += int64(weight.Shape.Elements() * w.dtype(weight).Size())
		}
		file.Close()
	}
	sums, err := digests(ctx, folder, w.count)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(Provenance{baseName(folder.Path()), sums, o.Program})
	w.provenance = string(text)
	return w, err
}

func (w *writer) count(n int) {
	w.done += int64(n)
	if w.options.Progress != nil {
		w.options.Progress(w.done, w.total)
	}
}

// dtype is the type that a weight is written with.
func (w *writer) dtype(weight *tensor.Weight) tensor.DType {
	if w.options.DType == nil || !weight.DType.Float() {
		return weight.DType
	}
	return *w.options.DType
}

// write writes tensors to a file that must not exist. A file that is not finished is removed.
func (w *writer) write(path string, sources []checkpoint.Source, metadata map[string]string) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			file.Close()
			os.Remove(path)
		}
	}()
	buffered := bufio.NewWriterSize(file, 1<<20)
	if err := checkpoint.WriteSafetensors(buffered, sources, metadata); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	return file.Close()
}

// source is a weight under another name and of another shape, with the type that all are written
// with.
func (w *writer) source(name string, shape tensor.Shape, weight *tensor.Weight) checkpoint.Source {
	return checkpoint.Source{Name: name, DType: w.dtype(weight), Shape: shape, Write: func(out io.Writer) error {
		return w.copy(out, weight, 0, weight.Shape.Elements())
	}}
}

// chunk is the number of elements written at a time.
const chunk = 1 << 18

// copy writes the elements of a weight from begin to end.
func (w *writer) copy(out io.Writer, weight *tensor.Weight, begin, end int) error {
	from, to := weight.DType, w.dtype(weight)
	for ; begin < end; begin += chunk {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		data := weight.Data[begin*from.Size() : min(end, begin+chunk)*from.Size()]
		if from != to {
			values := make([]float32, len(data)/from.Size())
			if err := tensor.DecodeFloats(values, data, from); err != nil {
				return err
			}
			if err := fits(weight.Name, values, begin, to); err != nil {
				return err
			}
			data = tensor.EncodeFloats(nil, values, to)
		}
		n, err := out.Write(data)
		w.count(n)
		if err != nil {
			return err
		}
	}
	return nil
}

// maxF16 is the smallest number that half precision rounds to infinity.
const maxF16 = 65520

// fits refuses numbers that would become infinite.
func fits(name string, values []float32, begin int, d tensor.DType) error {
	if d != tensor.F16 {
		return nil
	}
	for i, v := range values {
		if math.Abs(float64(v)) >= maxF16 && !math.IsInf(float64(v), 0) {
			return fmt.Errorf("element %d of %q is %g, which F16 cannot hold", begin+i, name, v)
		}
	}
	return nil
}

// temporary makes an empty folder beside path, which must not exist, to be renamed or removed.
func temporary(path string) (string, error) {
	if _, err := os.Lstat(path); err == nil {
		return "", fmt.Errorf("compvis: %q exists already", path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return "", err
	}
	return os.MkdirTemp(filepath.Dir(path), ".ldm-mac-*")
}
