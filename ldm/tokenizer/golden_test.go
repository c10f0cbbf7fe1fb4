package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ldm-mac/ldm/goldentest"
)

func TestGoldenTokenizer(t *testing.T) {
	var cases struct {
		Prompts []string
		Info    struct {
			Tokens [][]string `json:"tokens_of_prompts"`
		}
	}
	folder := goldentest.Open(t, "text2img-tiny", &cases)
	w := openFolder(t, folder.Path("model", "tokenizer"))
	if len(cases.Info.Tokens) != len(cases.Prompts) {
		t.Fatalf("%d lists of tokens for %d prompts", len(cases.Info.Tokens), len(cases.Prompts))
	}
	for _, name := range []string{"tokens/ids", "tokens/ids_fast"} {
		want, shape := folder.Ints(name)
		length := shape.Last()
		for i, prompt := range cases.Prompts {
			ids, pieces, truncated := w.Encode(prompt, length)
			if row := want[i*length : (i+1)*length]; !slices.EqualFunc(ids, row, func(a int32, b int64) bool { return int64(a) == b }) {
				t.Errorf("%s of %q: %d, want %d", name, prompt, ids, row)
			}
			tokens := cases.Info.Tokens[i]
			if n := min(len(tokens), length); !slices.Equal(pieces[:n-1], tokens[:n-1]) {
				t.Errorf("%q: %q, want %q", prompt, pieces, tokens)
			}
			if !slices.Equal(pieces, w.piecesOf(ids)) {
				t.Errorf("%q: pieces %q of ids %d", prompt, pieces, ids)
			}
			if n := len(w.Pieces(prompt)); truncated != max(0, n+2-length) {
				t.Errorf("%q: %d of %d pieces truncated to %d tokens", prompt, truncated, n, length)
			}
		}
	}
	folder.Count(len(cases.Prompts))
}

// openFolder reads a tokenizer folder of a model.
func openFolder(t *testing.T, dir string) *WordPiece {
	t.Helper()
	var cfg Config
	data, err := os.ReadFile(filepath.Join(dir, "tokenizer_config.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &cfg); err != nil {
		t.Fatal(err)
	}
	vocab, err := os.Open(filepath.Join(dir, "vocab.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer vocab.Close()
	w, err := NewWordPiece(vocab, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *WordPiece) piecesOf(ids []int32) (tokens []string) {
	for _, id := range ids {
		tokens = append(tokens, w.vocabulary.tokens[id])
	}
	return tokens
}

func TestGoldenBrokenTokenizer(t *testing.T) {
	var cases struct {
		Cases []struct{ File, Wrong, Must string }
	}
	folder := goldentest.Open(t, "broken", &cases)
	n := 0
	for _, c := range cases.Cases {
		if !strings.HasPrefix(c.File, "folder/tokenizer_") {
			continue
		}
		n++
		data, err := os.ReadFile(folder.Path(c.File))
		if err != nil {
			t.Fatal(err)
		}
		w, err := NewWordPiece(strings.NewReader(string(data)), Config{})
		switch {
		case c.Must == "refuse":
			if err == nil {
				t.Errorf("%s: read, although %s", c.File, c.Wrong)
			}
		case strings.HasPrefix(c.Must, "read"):
			if err != nil {
				t.Errorf("%s (%s): %v", c.File, c.Wrong, err)
				continue
			}
			for i, line := range strings.Fields(string(data)) {
				if last := w.vocabulary.ids[line]; int(last) < i || w.vocabulary.tokens[i] != line {
					t.Errorf("%s: %q on line %d has id %d", c.File, line, i, last)
				}
			}
		default:
			t.Errorf("%s must %q, which is neither read nor refuse", c.File, c.Must)
		}
	}
	folder.Count(n)
}
