package tokenizer

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"ldm-mac/ldm/goldentest"
)

// TestGoldenBPE compares with CLIPTokenizer, without ftfy, on every prompt.
func TestGoldenBPE(t *testing.T) {
	for _, name := range []string{"sd-tiny", "sd2-v-tiny", "sd-inpaint-tiny"} {
		t.Run(name, func(t *testing.T) {
			var cases struct{ Prompts []string }
			folder := goldentest.Open(t, name, &cases)
			b := openBPE(t, folder)
			want, shape := folder.Ints("tokens/ids")
			length := shape.Last()
			if shape[0] != len(cases.Prompts) {
				t.Fatalf("ids of %d prompts, want %d", shape[0], len(cases.Prompts))
			}
			cut := 0
			for i, prompt := range cases.Prompts {
				ids, pieces, truncated := b.Encode(prompt, length)
				if row := want[i*length : (i+1)*length]; !slices.EqualFunc(ids, row, func(a int32, b int64) bool { return int64(a) == b }) {
					t.Errorf("%q: %d, want %d", prompt, ids, row)
				}
				for j, id := range ids {
					if b.tokens[id] != pieces[j] {
						t.Errorf("%q: piece %q of id %d, which is %q", prompt, pieces[j], id, b.tokens[id])
					}
				}
				if n := len(b.Pieces(prompt)); truncated != max(0, n+2-length) {
					t.Errorf("%q: %d of %d pieces truncated to %d tokens", prompt, truncated, n, length)
				}
				if truncated > 0 {
					cut++
				}
			}
			if cut == 0 {
				t.Error("no prompt is truncated")
			}
			folder.Count(len(cases.Prompts))
		})
	}
}

// openBPE reads the tokenizer of a fixture.
func openBPE(t *testing.T, folder *goldentest.Folder) *BPE {
	t.Helper()
	var cfg BPEConfig
	data, err := os.ReadFile(folder.Path("model", "tokenizer", "tokenizer_config.json"))
	if err == nil {
		err = json.Unmarshal(data, &cfg)
	}
	if err != nil {
		t.Fatal(err)
	}
	vocab, err := os.Open(folder.Path("model", "tokenizer", "vocab.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer vocab.Close()
	merges, err := os.Open(folder.Path("model", "tokenizer", "merges.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer merges.Close()
	b, err := NewBPE(vocab, merges, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
