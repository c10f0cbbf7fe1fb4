package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"ldm-mac/ldm/tensor"
)

// siblingName is the name of a file beside name.
func siblingName(name, sibling string) string { return path.Join(path.Dir(name), sibling) }

// parseIndex reads a shard index, {"weight_map": {tensor: file}}, and opens the shards. They lie
// in the index's own folder (transformers modeling_utils.py, diffusers save_pretrained), so a
// name with a folder in it is refused.
func (f *File) parseIndex(data []byte, shards func(string) (*File, error)) error {
	index, err := weightMap(data)
	if err != nil {
		return err
	}
	if shards == nil {
		return errors.New("a shard index in memory has no shards beside it")
	}
	f.weights = make(map[string]*tensor.Weight, len(index))
	opened := map[string]*File{}
	for _, name := range slices.Sorted(maps.Keys(index)) {
		shard := index[name]
		file := opened[shard]
		if file == nil {
			var err error
			if file, err = openShard(shard, shards); err != nil {
				return fmt.Errorf("shard %q of tensor %q: %w", shard, name, err)
			}
			opened[shard] = file
			f.shards = append(f.shards, file)
			f.foreign = append(f.foreign, file.foreign...)
		}
		w, ok := file.Weight(name)
		if !ok {
			return fmt.Errorf("the index places %q in shard %q, which does not hold it", name, shard)
		}
		f.weights[name] = w
	}
	slices.Sort(f.foreign)
	f.foreign = slices.Compact(f.foreign)
	return nil
}

// weightMap is the shard index's map from the names of tensors to those of files.
func weightMap(data []byte) (map[string]string, error) {
	if len(data) > maxHeader {
		return nil, fmt.Errorf("shard index of %d bytes, want at most %d", len(data), maxHeader)
	}
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(bytes.TrimPrefix(data, []byte("\ufeff")), &index); err != nil {
		return nil, fmt.Errorf("shard index: %w", err)
	}
	if len(index.WeightMap) == 0 {
		return nil, fmt.Errorf("%w: a JSON file without the weight_map of a shard index", ErrNotCheckpoint)
	}
	return index.WeightMap, nil
}

func openShard(shard string, shards func(string) (*File, error)) (*File, error) {
	if strings.ContainsAny(shard, `/\:`) || shard == "." || !filepath.IsLocal(shard) {
		return nil, errors.New("is no file name beside the index")
	}
	if strings.HasSuffix(shard, ".json") {
		return nil, errors.New("is an index itself")
	}
	file, err := shards(shard)
	if wrapped, ok := err.(*Error); ok {
		err = wrapped.Err // the caller names the shard
	}
	return file, err
}
