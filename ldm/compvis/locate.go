package compvis

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ldm-mac/ldm/checkpoint"
)

// Options say where the parts of a model lie that are not in its checkpoint. The zero value looks
// beside it.
type Options struct {
	Config     string // the YAML file of the training; "" for one in the file itself, or beside it
	Tokenizer  string // vocab.txt, or a folder with that or with vocab.json and merges.txt
	RawWeights bool   // not the averages over the training, although the file has them
}

// source is where a model was found.
type source struct {
	path   string // the checkpoint
	folder string // of all that may lie beside it
	alone  bool   // no other checkpoint lies in the folder
}

// locate finds the checkpoint that path is, or that is the only one in it.
func locate(path string) (source, error) {
	fail := func(format string, args ...any) (source, error) {
		return source{}, &checkpoint.Error{Path: path, Err: fmt.Errorf(format, args...)}
	}
	info, err := os.Stat(path)
	if err != nil {
		return fail("%w", bare(err))
	}
	if !info.IsDir() {
		folder := filepath.Dir(path)
		found, _ := checkpointsIn(folder)
		return source{path, folder, len(found) <= 1}, nil
	}
	found, err := checkpointsIn(path)
	switch {
	case err != nil:
		return fail("%w", bare(err))
	case len(found) == 0:
		return fail("want model_index.json, or one .ckpt or .safetensors in the folder")
	case len(found) > 1:
		return fail("%d checkpoints are in the folder, want one, or the path of one: %q", len(found), found[:min(len(found), maxListed)])
	}
	return source{filepath.Join(path, found[0]), path, true}, nil
}

// checkpointsIn lists the files of a folder that are checkpoints by their names.
func checkpointsIn(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	var found []string
	for _, e := range entries {
		kind := strings.ToLower(filepath.Ext(e.Name()))
		if !e.IsDir() && (kind == ".ckpt" || kind == ".safetensors") {
			found = append(found, e.Name())
		}
	}
	return found, err
}

// bare strips the operation and the path, which checkpoint.Error names already.
func bare(err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return pathError.Err
	}
	return err
}

// commonConfigs are names of configurations that say nothing of a checkpoint's. The published ones
// of Stable Diffusion are read only where there is one checkpoint that they can belong to.
var commonConfigs = []string{"config.yaml", "project.yaml", "model.yaml"}

var publishedConfigs = []string{
	"v1-inference.yaml", "v1-inpainting-inference.yaml", "v2-inference-v.yaml", "v2-inference.yaml",
	"v2-inpainting-inference.yaml", "x4-upscaling.yaml",
}

// config is the path of the configuration that lies beside the checkpoint; "" when there is none.
func (s source) config() string {
	stem := strings.TrimSuffix(filepath.Base(s.path), filepath.Ext(s.path))
	names := append([]string{stem + ".yaml", stem + ".yml"}, commonConfigs...)
	if s.alone {
		names = append(names, publishedConfigs...)
	}
	for _, name := range names {
		if path := filepath.Join(s.folder, name); isRegular(path) {
			return path
		}
	}
	return ""
}

func isRegular(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// maxVocabulary bounds the files of a tokenizer.
const maxVocabulary = 64 << 20

// readFile reads a small file.
func readFile(path string, most int64) ([]byte, error) {
	fail := func(err error) ([]byte, error) { return nil, &checkpoint.Error{Path: path, Err: bare(err)} }
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fail(err)
	case !info.Mode().IsRegular():
		return fail(fmt.Errorf("is no regular file (%s)", info.Mode()))
	case info.Size() > most:
		return fail(fmt.Errorf("%d bytes, want at most %d", info.Size(), most))
	}
	file, err := os.Open(path)
	if err != nil {
		return fail(err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, most))
	if err != nil {
		return fail(err)
	}
	return data, nil
}

// tokenizerFiles are those of a tokenizer that save_pretrained of transformers writes.
var tokenizerFiles = []string{
	"vocab.txt", "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
}

// tokenizer finds the files of a tokenizer that has the vocabulary files wanted, by their names in
// the folder "tokenizer": in the place that was asked for, else beside the checkpoint. Nil when
// there are none.
func (s source) tokenizer(asked string, wanted ...string) (map[string][]byte, error) {
	places := []string{filepath.Join(s.folder, "tokenizer"), s.folder}
	if asked != "" {
		places = []string{asked}
	}
	for _, place := range places {
		if isRegular(place) && len(wanted) == 1 {
			data, err := readFile(place, maxVocabulary)
			return map[string][]byte{"tokenizer/" + wanted[0]: data}, err
		}
		if slices.ContainsFunc(wanted, func(name string) bool { return !isRegular(filepath.Join(place, name)) }) {
			continue
		}
		names := wanted
		if place != s.folder { // a folder of a tokenizer alone; beside a checkpoint, other files may be of anything
			names = tokenizerFiles
		}
		files := map[string][]byte{}
		for _, name := range names {
			if path := filepath.Join(place, name); isRegular(path) {
				data, err := readFile(path, maxVocabulary)
				if err != nil {
					return nil, err
				}
				files["tokenizer/"+name] = data
			}
		}
		return files, nil
	}
	if asked != "" {
		return nil, &checkpoint.Error{Path: asked, Err: fmt.Errorf("no tokenizer: want %s in it", strings.Join(wanted, " and "))}
	}
	return nil, nil
}
