package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/cond"
	"ldm-mac/ldm/tokenizer"
)

// LoadTokenizer reads what a model's text encoder was trained to read: its tokenizer, and the
// number of tokens that it takes of a prompt. The weights are not opened. All errors are
// *checkpoint.Error.
func LoadTokenizer(folder *checkpoint.Folder) (t tokenizer.Tokenizer, length int, err error) {
	name := "text_encoder"
	if _, ok := folder.Components[name]; !ok {
		name = "bert"
	}
	encoder, _, err := loadTextEncoder(folder, name)
	if err != nil {
		return nil, 0, err
	}
	length = encoder.Length()
	vocabulary := "tokenizer/vocab.txt"
	switch class := folder.Components["tokenizer"].Class; class {
	case "BertTokenizer", "BertTokenizerFast":
		t, err = loadWordPiece(folder, vocabulary)
	case "CLIPTokenizer", "CLIPTokenizerFast":
		vocabulary = "tokenizer/vocab.json"
		t, length, err = loadBPE(folder, vocabulary, length)
	default:
		return nil, 0, &checkpoint.Error{Path: folder.Path(), Err: fmt.Errorf(
			"tokenizer is of class %q, want BertTokenizer or CLIPTokenizer", class)}
	}
	if err != nil {
		return nil, 0, err
	}
	if n := t.Size(); n > encoder.Vocabulary() {
		return nil, 0, inFolder(folder, vocabulary, fmt.Errorf("%d pieces for a vocabulary of %d", n, encoder.Vocabulary()))
	}
	return t, length, nil
}

// loadTextEncoder builds the text encoder of the given name without its weights' data, and names the
// weights of its file that it does not need.
func loadTextEncoder(folder *checkpoint.Folder, name string) (encoder cond.TextEncoder, unused []string, err error) {
	switch class := folder.Components[name].Class; class {
	case "LDMBertModel":
		config := cond.DefaultBERTConfig()
		if err := folder.Config(name, &config); err != nil {
			return nil, nil, err
		}
		encoder, err = cond.NewBERT(&config)
		unused = cond.BERTUnused
	case "CLIPTextModel":
		config := cond.DefaultCLIPConfig()
		if err := folder.Config(name, &config); err != nil {
			return nil, nil, err
		}
		encoder, err = cond.NewCLIP(&config)
		unused = cond.CLIPUnused
	default:
		return nil, nil, &checkpoint.Error{Path: folder.Path(), Err: fmt.Errorf(
			"text encoder %q is of class %q, want LDMBertModel or CLIPTextModel", name, class)}
	}
	if err != nil {
		return nil, nil, inFolder(folder, name+"/config.json", err)
	}
	return encoder, unused, nil
}

func loadWordPiece(folder *checkpoint.Folder, vocabulary string) (*tokenizer.WordPiece, error) {
	var config tokenizer.Config
	if err := folder.Config("tokenizer", &config); err != nil {
		return nil, err
	}
	data, err := folder.ReadFile(vocabulary)
	if err != nil {
		return nil, err
	}
	w, err := tokenizer.NewWordPiece(bytes.NewReader(data), config)
	if err != nil {
		return nil, inFolder(folder, vocabulary, err)
	}
	return w, nil
}

// loadBPE returns the tokenizer and how many of the encoder's positions it fills: its
// model_max_length, unless that is no such number.
func loadBPE(folder *checkpoint.Folder, vocabulary string, positions int) (*tokenizer.BPE, int, error) {
	config, err := bpeConfig(folder)
	if err != nil {
		return nil, 0, err
	}
	vocab, err := folder.ReadFile(vocabulary)
	if err != nil {
		return nil, 0, err
	}
	merges, err := folder.ReadFile("tokenizer/merges.txt")
	if err != nil {
		return nil, 0, err
	}
	b, err := tokenizer.NewBPE(bytes.NewReader(vocab), bytes.NewReader(merges), config)
	if err != nil {
		return nil, 0, inFolder(folder, "tokenizer", err)
	}
	const fewest = 2 // the tokens around the text's
	if n := config.ModelMaxLength; n >= fewest && n < float64(positions) {
		positions = int(n)
	}
	return b, positions, nil
}

// bpeConfig reads tokenizer_config.json. Where it says nothing of added tokens, an older transformers
// wrote it, and special_tokens_map.json and added_tokens.json beside it count, if they exist
// (huggingface/transformers src/transformers/tokenization_utils_base.py, _from_pretrained).
func bpeConfig(folder *checkpoint.Folder) (config tokenizer.BPEConfig, err error) {
	if err := folder.Config("tokenizer", &config); err != nil || config.AddedTokens != nil {
		return config, err
	}
	var added map[string]int32
	for name, into := range map[string]any{"special_tokens_map.json": &config, "added_tokens.json": &added} {
		name = "tokenizer/" + name
		data, err := folder.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return config, err
		}
		if err := json.Unmarshal(data, into); err != nil {
			return config, inFolder(folder, name, err)
		}
	}
	config.AddedTokens = map[int32]tokenizer.AddedToken{}
	for token, id := range added {
		config.AddedTokens[id] = tokenizer.AddedToken{Content: token}
	}
	return config, nil
}

// inFolder is an error about a file of a model.
func inFolder(folder *checkpoint.Folder, name string, err error) error {
	return &checkpoint.Error{Path: filepath.Join(folder.Path(), name), Err: err}
}
