package pipeline

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/goldentest"
)

// TestGoldenLoadTokenizer reads the tokenizers of both kinds from models' folders.
func TestGoldenLoadTokenizer(t *testing.T) {
	for _, name := range []string{"text2img-tiny", "sd-tiny", "sd2-v-tiny", "sd-inpaint-tiny"} {
		var cases struct{ Prompts []string }
		f := goldentest.Open(t, name, &cases)
		folder, err := checkpoint.OpenFolder(f.Path("model"))
		if err != nil {
			t.Fatal(err)
		}
		tokenizer, length, err := LoadTokenizer(folder)
		if err != nil {
			t.Fatal(err)
		}
		want, shape := f.Ints("tokens/ids")
		if length != shape[1] {
			t.Fatalf("%s: %d tokens, want %d", name, length, shape[1])
		}
		for i, prompt := range cases.Prompts {
			ids, _, _ := tokenizer.Encode(prompt, length)
			if row := want[i*length:][:length]; !slices.EqualFunc(ids, row, func(a int32, b int64) bool { return int64(a) == b }) {
				t.Errorf("%s: %q: %d, want %d", name, prompt, ids, row)
			}
		}
		f.Count(len(cases.Prompts))
	}
}

// stableDiffusion is the small part of a model's folder that says how texts are read.
func stableDiffusion() fstest.MapFS {
	files := map[string]string{
		"model_index.json": `{"_class_name": "StableDiffusionPipeline", "tokenizer": ["transformers", "CLIPTokenizer"],
			"text_encoder": ["transformers", "CLIPTextModel"]}`,
		"text_encoder/config.json":        `{"vocab_size": 10}`,
		"tokenizer/tokenizer_config.json": `{"model_max_length": 77}`,
		"tokenizer/vocab.json":            `{"!": 0, "a": 1, "b": 2, "a</w>": 3, "b</w>": 4, "ab</w>": 5, "<|startoftext|>": 6, "<|endoftext|>": 7}`,
		"tokenizer/merges.txt":            "#version: 0.2\na b</w>\n",
	}
	out := fstest.MapFS{}
	for name, text := range files {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

// changed is a folder with other texts by name; an empty one removes the file.
func changed(files fstest.MapFS, texts map[string]string) *checkpoint.Folder {
	files = maps.Clone(files)
	for name, text := range texts {
		files[name] = &fstest.MapFile{Data: []byte(text)}
		if text == "" {
			delete(files, name)
		}
	}
	folder, err := checkpoint.OpenFolderFS("model", files)
	if err != nil {
		panic(err)
	}
	return folder
}

func TestLoadTokenizerSettings(t *testing.T) {
	const config = "tokenizer/tokenizer_config.json"
	for _, test := range []struct {
		name   string
		texts  map[string]string
		want   string // of "ab <c>!"
		length int
	}{
		{"as it is", nil, "ab</w> <|endoftext|> <|endoftext|> <|endoftext|> <|endoftext|>", 77},
		{"shorter", map[string]string{config: `{"model_max_length": 5}`}, "", 5},
		{"longer than the encoder", map[string]string{config: `{"model_max_length": 512}`}, "", 77},
		{"unknown", map[string]string{config: `{"model_max_length": 1000000000000000019884624838656}`}, "", 77},
		{"none", map[string]string{config: `{}`}, "", 77},
		{"nonsense", map[string]string{config: `{"model_max_length": -3}`}, "", 77},
		{"padding of an older folder", map[string]string{config: `{"pad_token": "<|endoftext|>"}`,
			"tokenizer/special_tokens_map.json": `{"pad_token": "!", "unk_token": {"content": "<|startoftext|>"}}`},
			"ab</w> <|startoftext|> <|startoftext|> <|startoftext|> !", 77},
		{"padding of a newer folder", map[string]string{config: `{"pad_token": "!", "added_tokens_decoder": {"0": {"content": "!"}}}`,
			"tokenizer/special_tokens_map.json": `{"pad_token": "b"}`}, "ab</w> <|endoftext|> <|endoftext|> <|endoftext|> !", 77},
		{"tokens added by an older program", map[string]string{"tokenizer/added_tokens.json": `{"<c>": 8}`}, "ab</w> <c> <|endoftext|>", 77},
		{"fast", map[string]string{"model_index.json": `{"_class_name": "StableDiffusionPipeline",
			"tokenizer": ["transformers", "CLIPTokenizerFast"], "text_encoder": ["transformers", "CLIPTextModel"]}`}, "", 77},
	} {
		tokenizer, length, err := LoadTokenizer(changed(stableDiffusion(), test.texts))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if got := strings.Join(tokenizer.Pieces("ab <c>!"), " "); test.want != "" && got != test.want || length != test.length {
			t.Errorf("%s: %q and %d tokens, want %q and %d", test.name, got, length, test.want, test.length)
		}
	}
}

func TestLoadTokenizerRefuses(t *testing.T) {
	index := func(tokenizer, encoder string) map[string]string {
		return map[string]string{"model_index.json": `{"_class_name": "X", "tokenizer": ["transformers", "` + tokenizer +
			`"], "text_encoder": ["transformers", "` + encoder + `"]}`}
	}
	tooMany := `{"<|startoftext|>": 6, "<|endoftext|>": 10}`
	for _, test := range []struct {
		name, path string
		texts      map[string]string
		want       string
	}{
		{"another tokenizer", "model", index("T5Tokenizer", "CLIPTextModel"), `tokenizer is of class "T5Tokenizer"`},
		{"another encoder", "model", index("CLIPTokenizer", "T5EncoderModel"), `text encoder "text_encoder" is of class "T5EncoderModel"`},
		{"no encoder", "model", map[string]string{"model_index.json": `{"_class_name": "X"}`}, `text encoder "bert" is of class ""`},
		{"encoder's config", "model/text_encoder/config.json", map[string]string{"text_encoder/config.json": `{"hidden_act": "relu"}`}, "hidden_act"},
		{"encoder's config is missing", "model/text_encoder", map[string]string{"text_encoder/config.json": ""}, ""},
		{"no vocab.json", "model/tokenizer/vocab.json", map[string]string{"tokenizer/vocab.json": ""}, ""},
		{"no merges.txt", "model/tokenizer/merges.txt", map[string]string{"tokenizer/merges.txt": ""}, ""},
		{"merges", "model/tokenizer", map[string]string{"tokenizer/merges.txt": "#\na b c"}, "merges.txt: merge 1"},
		{"vocab", "model/tokenizer", map[string]string{"tokenizer/vocab.json": `{"a": -1}`}, `vocab.json: token "a" has id -1`},
		{"more tokens than the encoder's", "model/tokenizer/vocab.json", map[string]string{"tokenizer/vocab.json": tooMany, "tokenizer/merges.txt": "#"}, "11 pieces for a vocabulary of 10"},
		{"special tokens", "model/tokenizer/special_tokens_map.json", map[string]string{"tokenizer/special_tokens_map.json": `[]`}, ""},
		{"added tokens", "model/tokenizer/added_tokens.json", map[string]string{"tokenizer/added_tokens.json": `{"<c>": "8"}`}, ""},
		{"WordPiece", "model/tokenizer/vocab.txt", index("BertTokenizer", "CLIPTextModel"), ""},
	} {
		_, _, err := LoadTokenizer(changed(stableDiffusion(), test.texts))
		var fault *checkpoint.Error
		if !errors.As(err, &fault) || fault.Path != filepath.FromSlash(test.path) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one of %s with %q", test.name, err, test.path, test.want)
		}
	}
}

// The folder of a text encoder is not looked into for weights.
func TestLoadTokenizerOpensNoWeights(t *testing.T) {
	var cases struct{}
	f := goldentest.Open(t, "sd-tiny", &cases)
	files := fstest.MapFS{}
	err := fs.WalkDir(os.DirFS(f.Path("model")), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(name, ".safetensors") {
			return err
		}
		data, err := os.ReadFile(f.Path("model", filepath.FromSlash(name)))
		files[name] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := LoadTokenizer(changed(files, nil)); err != nil {
		t.Error(err)
	}
}
