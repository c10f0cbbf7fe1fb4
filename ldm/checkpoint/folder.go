package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Component says which Python class a part of a pipeline is: Library "diffusers", Class
// "UNet2DConditionModel".
type Component struct {
	Library, Class string
}

// Folder is a model as diffusers' save_pretrained lays it out: model_index.json and a folder for
// each component with its config and weights.
type Folder struct {
	Class      string               // of the pipeline, such as "LDMTextToImagePipeline"
	Components map[string]Component // by folder name; those that are null in the index are left out

	// Convention says whose program the model's numbers follow where they differ (how a mask blackens
	// a picture, how many steps a sampler takes): Diffusers or CompVis.
	Convention string

	// Missing names, sorted, the components of a model made of a single file that the file cannot
	// hold, such as "tokenizer"; nil for folders on disk.
	Missing []string

	path    string
	fsys    fs.FS
	weights func(component string) (*File, error) // nil: the files of fsys
}

// The conventions of models.
const (
	Diffusers = "diffusers"
	CompVis   = "compvis"
)

// libraries are those that diffusers' pipelines name in model_index.json; "latent_diffusion" and
// "stable_diffusion" are its own modules (diffusers pipelines/__init__.py). "ldm-mac" is that of
// the components that diffusers has no class for. None is imported: another name only shows that
// the file was written by neither.
var libraries = []string{"diffusers", "transformers", "latent_diffusion", "stable_diffusion", "ldm-mac"}

// hubID is the form of a model's name on the Hugging Face Hub.
var hubID = regexp.MustCompile(`^[\w-][\w.-]*/[\w-][\w.-]*$`)

// OpenFolder opens a folder on disk. Its weights are mapped.
func OpenFolder(path string) (*Folder, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && hubID.MatchString(path):
		return nil, errorf(path, "no such folder: %w; if it is a model's name on the Hugging Face Hub, "+
			"download that repository and give the path of its folder", fs.ErrNotExist)
	case err != nil:
		return nil, errorf(path, "want a folder with model_index.json: %w", bare(err))
	case !info.IsDir():
		return nil, errorf(path, "is a file, want a folder with model_index.json")
	}
	return OpenFolderFS(path, os.DirFS(path))
}

// OpenFolderFS opens the folder that is the root of fsys, such as one embedded in the program;
// path is what messages call it. Weights are mapped where fsys opens them as *os.File and are
// read into memory otherwise.
func OpenFolderFS(path string, fsys fs.FS) (*Folder, error) {
	return newFolder(&Folder{path: path, fsys: fsys})
}

// newFolder reads the index of f.
func newFolder(f *Folder) (*Folder, error) {
	f.Components = map[string]Component{}
	var index map[string]json.RawMessage
	if err := f.readJSON("model_index.json", &index); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(index["_class_name"], &f.Class); err != nil || f.Class == "" {
		return nil, errorf(f.join("model_index.json"), "want the pipeline's class as the string _class_name")
	}
	f.Convention = Diffusers
	if value, ok := index["_convention"]; ok {
		if err := json.Unmarshal(value, &f.Convention); err != nil || f.Convention != Diffusers && f.Convention != CompVis {
			return nil, errorf(f.join("model_index.json"), "_convention is %.40q, want %q or %q", value, Diffusers, CompVis)
		}
	}
	for name, value := range index {
		var pair []*string
		if err := json.Unmarshal(value, &pair); err != nil || len(pair) != 2 || pair[0] == nil || pair[1] == nil {
			continue // a setting of the pipeline, or [null, null]
		}
		if !slices.Contains(libraries, *pair[0]) {
			return nil, errorf(f.join("model_index.json"), "component %q is of library %q, want one of %q",
				name, *pair[0], libraries)
		}
		f.Components[name] = Component{*pair[0], *pair[1]}
	}
	return f, nil
}

// Path is the folder's path, or what its opener called it.
func (f *Folder) Path() string { return f.path }

// join is the path of a file for messages. Files of a model made of a single file follow its name.
func (f *Folder) join(name string) string {
	if f.weights != nil {
		return f.path + "#" + name
	}
	return filepath.Join(f.path, filepath.FromSlash(name))
}

// maxFile bounds files that are read whole: configs, vocabularies.
const maxFile = 64 << 20

// ReadFile reads a small file of the folder; name has slashes, as in "tokenizer/vocab.txt".
func (f *Folder) ReadFile(name string) ([]byte, error) {
	data, err := f.readFile(name)
	if err != nil {
		return nil, &Error{f.join(name), err}
	}
	return data, nil
}

func (f *Folder) readFile(name string) ([]byte, error) {
	file, size, err := openRegular(f.fsys, name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if size > maxFile {
		return nil, fmt.Errorf("%d bytes, want at most %d", size, maxFile)
	}
	return io.ReadAll(io.LimitReader(file, maxFile))
}

// readJSON decodes a file as Config does.
func (f *Folder) readJSON(name string, into any) error {
	data, err := f.ReadFile(name)
	if err != nil {
		return err
	}
	if err := decodeJSON(data, into); err != nil {
		return &Error{f.join(name), err}
	}
	return nil
}

// Config decodes the config of a component, config.json or the scheduler's or tokenizer's own, into a pointer
// to a struct. Fields that into lacks are ignored, fields that the file lacks stay as they are.
// Python's NaN, Infinity and -Infinity arrive as strings of that name.
func (f *Folder) Config(component string, into any) error {
	name, err := f.first(component, []string{"config.json", "scheduler_config.json", "tokenizer_config.json"})
	if err != nil {
		return err
	}
	return f.readJSON(name, into)
}

// weightNames are the files that save_pretrained of diffusers and transformers write (their
// utils/constants.py and utils/__init__.py), the best first: without pickles, in full precision.
var weightNames = []string{
	"diffusion_pytorch_model.safetensors",
	"model.safetensors",
	"diffusion_pytorch_model.safetensors.index.json",
	"model.safetensors.index.json",
	"diffusion_pytorch_model.bin",
	"pytorch_model.bin",
	"diffusion_pytorch_model.bin.index.json",
	"pytorch_model.bin.index.json",
	"diffusion_pytorch_model.fp16.safetensors",
	"model.fp16.safetensors",
	"diffusion_pytorch_model.safetensors.index.fp16.json",
	"model.safetensors.index.fp16.json",
	"diffusion_pytorch_model.fp16.bin",
	"pytorch_model.fp16.bin",
}

// Weights opens the weights of a component, of which the caller owns the file.
func (f *Folder) Weights(component string) (*File, error) {
	if f.weights != nil {
		return f.weights(component)
	}
	name, err := f.first(component, weightNames)
	if err != nil {
		return nil, err
	}
	return openIn(f.fsys, f.join(name), name)
}

// WeightFiles are the names within the folder, with slashes, of the files that hold the weights of a
// component: one, or the shards of an index in the order of their names. They are not opened. For
// a model made of a single file that is the name of the file.
func (f *Folder) WeightFiles(component string) ([]string, error) {
	if f.weights != nil {
		return []string{filepath.Base(f.path)}, nil
	}
	name, err := f.first(component, weightNames)
	if err != nil || !strings.HasSuffix(name, ".json") {
		return []string{name}, err
	}
	data, err := f.ReadFile(name)
	if err != nil {
		return nil, err
	}
	index, err := weightMap(data)
	if err != nil {
		return nil, &Error{f.join(name), err}
	}
	shards := slices.Compact(slices.Sorted(maps.Values(index)))
	for i, shard := range shards {
		shards[i] = siblingName(name, shard)
	}
	return shards, nil
}

// OpenFile opens a file that WeightFiles named, to read its bytes.
func (f *Folder) OpenFile(name string) (fs.File, error) {
	file, err := f.fsys.Open(name)
	if err != nil {
		return nil, &Error{f.join(name), bare(err)}
	}
	return file, nil
}

// first returns the first of the names that exists in the component's folder.
func (f *Folder) first(component string, names []string) (string, error) {
	if !fs.ValidPath(component) {
		return "", errorf(f.path, "%q is no name of a component", component)
	}
	if _, err := fs.Stat(f.fsys, component); err != nil {
		return "", errorf(f.join(component), "component %q has no folder: %w", component, bare(err))
	}
	for _, name := range names {
		name = path.Join(component, name)
		if _, err := fs.Stat(f.fsys, name); err == nil {
			return name, nil
		}
	}
	return "", errorf(f.join(component), "%w: looked for %s", fs.ErrNotExist, strings.Join(names, ", "))
}
