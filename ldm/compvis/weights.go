package compvis

import (
	"fmt"
	"io/fs"
	"strings"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/tensor"
)

// folder is the model as a folder.
func (m *original) folder() (*checkpoint.Folder, error) {
	f, err := checkpoint.NewFolder(m.source.path, m.files, func(component string) (*checkpoint.File, error) {
		tables, err := m.tables()
		if err != nil {
			return nil, err
		}
		if tables[component] == nil {
			return nil, &checkpoint.Error{Path: m.source.path, Err: fmt.Errorf("%w: component %q has no weights", fs.ErrNotExist, component)}
		}
		s, err := m.open()
		if err != nil {
			return nil, err
		}
		weights, err := s.part(component, tables[component])
		if err != nil {
			s.file.Close()
			return nil, err
		}
		file, err := s.file.Renamed(weights)
		if err != nil {
			s.file.Close()
		}
		return file, err
	})
	if err != nil {
		return nil, err
	}
	_, err = m.tables() // the configs in a file's metadata may contradict its weights
	return f, err
}

// part is the weights of a component under their names in a folder. Names that the table lacks
// stay as they are, and are the U-Net's when they are nobody's, so that binding reports them.
func (s *state) part(component string, t *table) ([]*tensor.Weight, error) {
	var out []*tensor.Weight
	for _, name := range sortedKeys(s.weights) {
		w := s.weights[name]
		if owner(name) != ownerOf(component) {
			continue
		}
		weights, err := t.names(w)
		if err != nil {
			return nil, s.fault("%w", err)
		}
		if weights == nil && !t.passed(name) {
			weights = []*tensor.Weight{w}
		}
		out = append(out, weights...)
	}
	return out, nil
}

// owner is the prefix of the network that a weight of an original checkpoint belongs to.
func owner(name string) string {
	for _, prefix := range []string{stagePrefix, condPrefix} {
		if strings.HasPrefix(name, prefix) {
			return prefix
		}
	}
	return unetPrefix
}

// ownerOf is the prefix of a component's network.
func ownerOf(component string) string {
	switch component {
	case "unet":
		return unetPrefix
	case "vae", "vqvae":
		return stagePrefix
	}
	return condPrefix
}
