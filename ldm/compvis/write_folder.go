package compvis

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"ldm-mac/ldm/checkpoint"
)

// smallFiles are the names of the files beside the weights in a component's folder.
var smallFiles = append([]string{"config.json", "scheduler_config.json", "preprocessor_config.json"}, tokenizerFiles...)

// readSmall reads all small files of a model by their names in the folder.
func readSmall(folder *checkpoint.Folder) (map[string][]byte, error) {
	names := []string{"model_index.json"}
	for component := range folder.Components {
		for _, name := range smallFiles {
			names = append(names, component+"/"+name)
		}
	}
	files := map[string][]byte{}
	for _, name := range names {
		data, err := folder.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) && name != names[0] {
			continue
		}
		if err != nil {
			return nil, err
		}
		files[name] = data
	}
	return files, nil
}

// WriteFolder writes a model as a diffusers folder to dir, which must not exist: model_index.json, the
// configs, and one safetensors for each network. A folder that is not finished, for the end of ctx
// or an error, is removed. Components in folder.Missing are an error.
func WriteFolder(ctx context.Context, folder *checkpoint.Folder, dir string, o WriteOptions) error {
	if len(folder.Missing) > 0 {
		return &checkpoint.Error{Path: folder.Path(), Err: fmt.Errorf("the components %q are not in the file or beside it", folder.Missing)}
	}
	made, err := temporary(dir)
	if err != nil {
		return err
	}
	defer os.RemoveAll(made)
	small, err := readSmall(folder)
	if err != nil {
		return err
	}
	for name, data := range small {
		path := filepath.Join(made, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(path, data, 0o666); err != nil {
			return err
		}
	}
	w, err := newWriter(ctx, folder, o)
	if err != nil {
		return err
	}
	for _, name := range sortedKeys(folder.Components) {
		if c := folder.Components[name]; hasWeights(c) {
			if err := w.component(folder, name, filepath.Join(made, name), c); err != nil {
				return err
			}
		}
	}
	if err := os.Chmod(made, 0o755); err != nil {
		return err
	}
	return os.Rename(made, dir)
}

// component writes the weights of a component to its folder, under the name that its library looks
// for.
func (w *writer) component(folder *checkpoint.Folder, name, dir string, c checkpoint.Component) error {
	file, err := folder.Weights(name)
	if err != nil {
		return err
	}
	defer file.Close()
	var sources []checkpoint.Source
	for _, name := range file.Names() {
		weight, _ := file.Weight(name)
		sources = append(sources, w.source(weight.Name, weight.Shape, weight))
	}
	base := "diffusion_pytorch_model.safetensors"
	if c.Library != "diffusers" && c.Library != "ldm-mac" {
		base = "model.safetensors"
	}
	return w.write(filepath.Join(dir, base), sources, map[string]string{"format": "pt", provenanceKey: w.provenance})
}
