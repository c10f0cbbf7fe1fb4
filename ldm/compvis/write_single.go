package compvis

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/tensor"
)

// WriteSingle writes a model as one safetensors with the names of original checkpoints to path, which
// must not exist. Its metadata hold the small files of the folder, so that Open needs nothing beside
// it. A file that is not finished, for the end of ctx or an error, is removed.
//
// What originals do not have is left out: safety checkers and their like, and buffers that are
// computed. Weights without an original name are an error that lists them.
func WriteSingle(ctx context.Context, folder *checkpoint.Folder, path string, o WriteOptions) error {
	small, err := readSmall(folder)
	if err != nil {
		return err
	}
	parts, err := partsOf(folder, small)
	for _, p := range parts {
		defer p.file.Close()
	}
	if err != nil {
		return err
	}
	texts, err := embed(folder, small, parts)
	if err != nil {
		return err
	}
	made, err := temporary(path)
	if err != nil {
		return err
	}
	defer os.RemoveAll(made)
	w, err := newWriter(ctx, folder, o)
	if err != nil {
		return err
	}
	var sources []checkpoint.Source
	for _, p := range parts {
		more, err := w.originals(p)
		if err != nil {
			return err
		}
		sources = append(sources, more...)
	}
	if err := canOpen(parts[0].file, sources); err != nil {
		return err
	}
	file := filepath.Join(made, "model.safetensors")
	if err := w.write(file, sources, map[string]string{"format": "pt", folderKey: texts, provenanceKey: w.provenance}); err != nil {
		return err
	}
	return os.Rename(file, path)
}

// canOpen makes sure that Open will find the networks that the tensors are of: folders may have some
// that originals cannot.
func canOpen(file *checkpoint.File, sources []checkpoint.Source) error {
	s := &state{file: file, weights: map[string]*tensor.Weight{}}
	for _, source := range sources {
		s.weights[source.Name] = &tensor.Weight{Name: source.Name, Shape: source.Shape, DType: source.DType}
	}
	h, err := s.shapes()
	if err == nil {
		_, err = s.class(h)
	}
	if err != nil {
		return fmt.Errorf("original checkpoints have no place for this model: %w", err)
	}
	return nil
}

// embed is the small files for the metadata, a JSON object. Components that are left out are null in
// model_index.json.
func embed(folder *checkpoint.Folder, small map[string][]byte, parts []part) (string, error) {
	var index map[string]any
	if err := json.Unmarshal(small["model_index.json"], &index); err != nil {
		return "", err
	}
	texts := map[string]string{}
	for name, c := range folder.Components {
		kept := !hasWeights(c) && !strings.HasSuffix(c.Class, "Processor") && !strings.HasSuffix(c.Class, "Extractor")
		if !kept && !slices.ContainsFunc(parts, func(p part) bool { return p.component == name }) {
			index[name] = []any{nil, nil}
			continue
		}
		for _, file := range smallFiles {
			if text := small[name+"/"+file]; text != nil {
				if !utf8.Valid(text) {
					return "", &checkpoint.Error{Path: folder.Path(), Err: fmt.Errorf("%q is no UTF-8", name+"/"+file)}
				}
				texts[name+"/"+file] = string(text)
			}
		}
	}
	texts["model_index.json"] = string(encode(index))
	data, err := json.Marshal(texts)
	return string(data), err
}

// originals are the weights of a part as an original checkpoint has them.
func (w *writer) originals(p part) ([]checkpoint.Source, error) {
	found := map[string]map[int]*tensor.Weight{} // by original name, and by which of its parts it is
	var unnamed []string
	for _, name := range p.file.Names() {
		weight, _ := p.file.Weight(name)
		name = checkpoint.CurrentName(name)
		i, ok := p.table.byName[name]
		switch {
		case ok:
			pair := p.table.pairs[i]
			if found[pair.original] == nil {
				found[pair.original] = map[int]*tensor.Weight{}
			}
			found[pair.original][pair.form.part] = weight
		case !slices.Contains(computed, name):
			unnamed = append(unnamed, fmt.Sprintf("%q %s", name, weight.Shape))
		}
	}
	if len(unnamed) > 0 {
		return nil, &checkpoint.Error{Path: p.file.Path(),
			Err: fmt.Errorf("original checkpoints have no name for these weights (%d):\n\t%s", len(unnamed), list(unnamed))}
	}
	var sources []checkpoint.Source
	for _, original := range sortedKeys(found) {
		f, weights := p.table.pairs[p.table.byOriginal[original][0]].form, found[original]
		first := weights[f.part]
		if f.heads == 0 {
			sources = append(sources, w.source(original, f.shape(first.Shape), first))
			continue
		}
		joined, err := w.join(original, f, weights)
		if err != nil {
			return nil, &checkpoint.Error{Path: p.file.Path(), Err: err}
		}
		sources = append(sources, joined)
	}
	return sources, nil
}

// computed are weights of a folder that its library computes itself, or that only training needs
// (transformers CLIPTextModel; diffusers LDMBertModel).
var computed = []string{
	"text_model.embeddings.position_ids", "model.embed_positions.position_ids", "to_logits.weight", "to_logits.bias",
}

// join is the original weight that holds queries, keys and values, head by head.
func (w *writer) join(original string, f form, parts map[int]*tensor.Weight) (checkpoint.Source, error) {
	q := parts[0]
	for i := range 3 {
		p := parts[i]
		if p == nil || q == nil || !p.Shape.Equal(q.Shape) || p.DType != q.DType || len(p.Shape) == 0 || p.Shape[0]%f.heads != 0 {
			return checkpoint.Source{}, fmt.Errorf("%q needs queries, keys and values of one shape and type that %d heads divide", original, f.heads)
		}
	}
	shape := f.shape(q.Shape)
	return checkpoint.Source{Name: original, DType: w.dtype(q), Shape: shape, Write: func(out io.Writer) error {
		size := q.Shape.Elements() / f.heads
		for head := range f.heads {
			for i := range 3 {
				if err := w.copy(out, parts[i], head*size, (head+1)*size); err != nil {
					return err
				}
			}
		}
		return nil
	}}, nil
}
