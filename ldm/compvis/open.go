package compvis

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"ldm-mac/ldm/checkpoint"
)

// Open opens a model: an original checkpoint, .ckpt or .safetensors, a folder with exactly one of
// them, or a diffusers folder. Nothing stays open: Folder.Weights maps the file again for each
// component, and gives weights in diffusers' names that are parts of the mapping wherever the
// original has them in the same order.
//
// Components that the file cannot hold and that were not found beside it, a tokenizer, are listed
// in Folder.Missing. All errors about the model are *checkpoint.Error.
func Open(path string, o Options) (*checkpoint.Folder, error) {
	if !Is(path) {
		return checkpoint.OpenFolder(path)
	}
	m, err := openOriginal(path, o)
	if err != nil {
		return nil, err
	}
	if err := m.settings.lacking(); err != nil {
		return nil, &checkpoint.Error{Path: m.source.path, Err: err}
	}
	return m.folder()
}

// Is reports whether Open looks for an original checkpoint at path: whether there is something, and it
// is no folder with model_index.json.
func Is(path string) bool {
	_, err := os.Stat(path)
	_, indexErr := os.Stat(filepath.Join(path, "model_index.json"))
	return err == nil && indexErr != nil
}

// original is an original checkpoint, looked through and closed again.
type original struct {
	source   source
	options  Options
	shapes   *shapes
	class    string
	known    *published        // nil for a system that was not released
	settings *settings         // without meaning when embedded is set, but for lacks, which is empty
	files    map[string][]byte // of the folder
	config   string            // where the configuration comes from, for people; "" for none
	ema      string            // see state
	format   string            // see checkpoint.File
	foreign  []string          // likewise
}

func openOriginal(path string, o Options) (*original, error) {
	where, err := locate(path)
	if err != nil {
		return nil, err
	}
	m := &original{source: where, options: o}
	s, err := m.open()
	if err != nil {
		return nil, err
	}
	defer s.file.Close()
	if err := m.read(s); err != nil {
		return nil, err
	}
	m.ema, m.format, m.foreign = s.ema, s.file.Format(), s.file.Foreign()
	return m, m.addTokenizer()
}

func (m *original) open() (*state, error) {
	file, err := checkpoint.Open(m.source.path)
	if err != nil {
		return nil, err
	}
	s, err := newState(file, m.options.RawWeights)
	if err != nil {
		file.Close()
		return nil, err
	}
	return s, nil
}

// The keys of a safetensors' metadata that belong to this program.
const (
	configKey     = "ldm-mac.config"     // the YAML file of the training
	folderKey     = "ldm-mac.folder"     // the small files of a diffusers folder, a JSON object by their names
	provenanceKey = "ldm-mac.provenance" // see Provenance
)

// read recognises the system.
func (m *original) read(s *state) (err error) {
	if m.shapes, err = s.shapes(); err != nil {
		return err
	}
	if embedded := s.file.Metadata()[folderKey]; embedded != "" && m.options.Config == "" {
		return m.readEmbedded(s, embedded)
	}
	if m.class, err = s.class(m.shapes); err != nil {
		return err
	}
	return m.configure(s, s.file.Metadata()[configKey])
}

// configure makes the files of the folder. embedded is a YAML file in the checkpoint, "" for none.
func (m *original) configure(s *state, embedded string) error {
	m.known = recognise(m.class, m.shapes.unet)
	document, err := m.readConfig(embedded)
	if err != nil {
		return err
	}
	m.settings, err = s.settings(m.shapes, m.class, m.known, document)
	if document != nil && document.err != nil {
		return &checkpoint.Error{Path: m.config, Err: document.err}
	}
	if err != nil {
		return err
	}
	m.files = m.shapes.files(m.class, m.settings)
	return nil
}

// readConfig reads the YAML file that was asked for, or is in the metadata, or lies beside; nil for
// none.
func (m *original) readConfig(embedded string) (*document, error) {
	data := []byte(embedded)
	switch {
	case m.options.Config != "":
		m.config = m.options.Config
	case embedded != "":
		m.config = m.source.path + "#" + configKey
	default:
		m.config = m.source.config()
	}
	if m.config == "" {
		return nil, nil
	}
	if m.options.Config != "" || embedded == "" {
		var err error
		if data, err = readFile(m.config, maxYAML); err != nil {
			return nil, err
		}
	}
	document, err := parseYAML(data)
	if err != nil {
		return nil, &checkpoint.Error{Path: m.config, Err: err}
	}
	return document, nil
}

// readEmbedded reads the files of the folder that the checkpoint was made of.
func (m *original) readEmbedded(s *state, embedded string) error {
	var files map[string]string
	if err := json.Unmarshal([]byte(embedded), &files); err != nil {
		return s.fault("metadata %q: %w", folderKey, err)
	}
	m.config, m.files, m.settings = m.source.path+"#"+folderKey, map[string][]byte{}, &settings{}
	for name, text := range files {
		m.files[name] = []byte(text)
	}
	var index struct {
		Class string `json:"_class_name"`
	}
	if err := json.Unmarshal(m.files["model_index.json"], &index); err != nil {
		return s.fault("metadata %q: model_index.json: %w", folderKey, err)
	}
	m.class = index.Class
	m.known = recognise(m.class, m.shapes.unet)
	return nil
}

// addTokenizer looks for the tokenizer that the system needs and the file lacks.
func (m *original) addTokenizer() error {
	var wanted []string
	switch {
	case m.class == textToImage:
		wanted = []string{"vocab.txt"}
	case stableDiffusion(m.class):
		wanted = []string{"vocab.json", "merges.txt"}
	default:
		return nil
	}
	if m.options.Tokenizer == "" && m.files["tokenizer/"+wanted[0]] != nil {
		return nil
	}
	files, err := m.source.tokenizer(m.options.Tokenizer, wanted...)
	if err != nil || files == nil {
		return err
	}
	maps.DeleteFunc(m.files, func(name string, _ []byte) bool { return strings.HasPrefix(name, "tokenizer/") })
	maps.Copy(m.files, files)
	if m.files["tokenizer/tokenizer_config.json"] == nil {
		m.files["tokenizer/tokenizer_config.json"] = encode(m.tokenizerConfig())
	}
	return nil
}

// tokenizerConfig is that of the tokenizers of CompVis' conditioners (modules.py).
func (m *original) tokenizerConfig() object {
	if m.class == textToImage {
		return object{"tokenizer_class": "BertTokenizer", "do_lower_case": true, "model_max_length": m.shapes.cond.positions}
	}
	const end = "<|endoftext|>"
	pad := end
	if m.shapes.cond.kind == openCLIPCond {
		pad = "!" // the token 0, with which open_clip fills
	}
	return object{"tokenizer_class": "CLIPTokenizer", "model_max_length": m.shapes.cond.positions,
		"bos_token": "<|startoftext|>", "eos_token": end, "unk_token": end, "pad_token": pad}
}
