package compvis

import (
	"context"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"

	"ldm-mac/ldm/checkpoint"
)

// Description is what a model is, for people and, as JSON, for programs.
type Description struct {
	Path       string            `json:"path"`
	System     string            `json:"system,omitempty"` // the released one that it is, "" for another
	Class      string            `json:"class"`            // of the pipeline, as in model_index.json
	Convention string            `json:"convention"`       // see checkpoint.Folder
	Format     string            `json:"format"`           // see checkpoint.File, or "folder"
	Config     string            `json:"config,omitempty"` // where an original's configuration was found; "" for its weights alone
	EMA        string            `json:"ema,omitempty"`    // averages in the file: "used", "not used" or "" for none
	Components []Part            `json:"components"`       // by name
	Missing    []string          `json:"missing,omitempty"`
	Lacks      []string          `json:"lacks,omitempty"`   // keys of a YAML file without which the model cannot be opened
	Foreign    []string          `json:"foreign,omitempty"` // see checkpoint.File
	Notes      []string          `json:"notes,omitempty"`
	Provenance *Provenance       `json:"provenance,omitempty"` // of a model that this program wrote
	SHA256     map[string]string `json:"sha256,omitempty"`     // of the files of weights by their names in the folder; nil unless asked for
}

// Part is a component of a model.
type Part struct {
	Name       string   `json:"name"`
	Library    string   `json:"library"`
	Class      string   `json:"class"`
	Tensors    int      `json:"tensors,omitempty"`
	Parameters int64    `json:"parameters,omitempty"`
	Bytes      int64    `json:"bytes,omitempty"`
	DTypes     []string `json:"dtypes,omitempty"` // sorted
}

// Provenance says what a converted model was made of. It lies in the metadata of its safetensors.
type Provenance struct {
	Source  string            `json:"source"`            // name of the file or folder
	SHA256  map[string]string `json:"sha256"`            // of its files of weights, in hexadecimal
	Program string            `json:"program,omitempty"` // that converted it, with its version
}

// Describe looks through a model of any kind that Open opens, and also through an original of which
// only Lacks keeps it from being opened. With digest it reads all files of weights once, until ctx
// ends.
func Describe(ctx context.Context, path string, o Options, digest bool) (*Description, error) {
	d := &Description{Path: path, Format: "folder"}
	var folder *checkpoint.Folder
	var err error
	if Is(path) {
		folder, err = d.original(path, o)
	} else {
		folder, err = checkpoint.OpenFolder(path)
	}
	if err != nil {
		return nil, err
	}
	d.Class, d.Convention, d.Missing = folder.Class, folder.Convention, folder.Missing
	for _, name := range sortedKeys(folder.Components) {
		if err := d.component(folder, name); err != nil {
			return nil, err
		}
	}
	if digest {
		d.SHA256, err = digests(ctx, folder, nil)
	}
	return d, err
}

func (d *Description) original(path string, o Options) (*checkpoint.Folder, error) {
	m, err := openOriginal(path, o)
	if err != nil {
		return nil, err
	}
	d.Path, d.Format, d.Config, d.EMA, d.Foreign = m.source.path, m.format, m.config, m.ema, m.foreign
	d.Lacks = m.settings.lacks
	if k := m.known; k != nil {
		d.System = k.name
		if k.note != "" {
			d.Notes = append(d.Notes, k.note)
		}
		if k.alsoPrediction != "" && m.config == "" && m.settings.prediction == k.prediction {
			d.Notes = append(d.Notes, "taken for the model that predicts v, which its shapes do not tell from the one that predicts "+
				"the noise; v2-inference.yaml beside it makes it the other")
		}
	}
	return m.folder()
}

// component counts what a component's weights are.
func (d *Description) component(folder *checkpoint.Folder, name string) error {
	c := folder.Components[name]
	part := Part{Name: name, Library: c.Library, Class: c.Class}
	if hasWeights(c) {
		file, err := folder.Weights(name)
		if err != nil {
			return err
		}
		defer file.Close()
		for _, name := range file.Names() {
			w, _ := file.Weight(name)
			part.Tensors++
			part.Parameters += int64(w.Shape.Elements())
			part.Bytes += int64(len(w.Data))
			if t := w.DType.String(); !slices.Contains(part.DTypes, t) {
				part.DTypes = append(part.DTypes, t)
			}
		}
		slices.Sort(part.DTypes)
		if text := file.Metadata()[provenanceKey]; text != "" && d.Provenance == nil {
			var p Provenance
			if json.Unmarshal([]byte(text), &p) == nil { // another program may have put anything there
				d.Provenance = &p
			}
		}
	}
	d.Components = append(d.Components, part)
	return nil
}

// hasWeights reports whether a component of that class is a network.
func hasWeights(c checkpoint.Component) bool {
	return !slices.ContainsFunc([]string{"Scheduler", "Tokenizer", "TokenizerFast", "Processor", "Extractor"},
		func(suffix string) bool { return strings.HasSuffix(c.Class, suffix) })
}

// baseName is the last part of a model's path, also of one called ".".
func baseName(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		path = full
	}
	return filepath.Base(path)
}
