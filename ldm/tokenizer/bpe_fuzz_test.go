package tokenizer

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// A word of a megabyte, which in quadratic time would take an hour.
func TestBPELongWord(t *testing.T) {
	const n = 1 << 20
	vocab, merges := bytesAnd("a a,aa aa,aaaa aaaa,b a,ba b")
	b := bpeOf(t, vocab, merges, `{}`)
	for _, test := range []struct {
		unit, piece string
		pieces      int
	}{
		{"a", "aaaaaaaa", n/8 + 3}, // the last byte is another symbol, so it ends in aaaa, aa, a, a</w>
		{"bab", "bab", n/3 + 1},
		{"'", "'", n},
	} {
		text := strings.Repeat(test.unit, n)[:n]
		pieces := b.Pieces(text)
		if len(pieces) != test.pieces || pieces[0] != test.piece || pieces[n/10] != test.piece {
			t.Errorf("%s: %d pieces that begin with %q, want %d of %q", test.unit, len(pieces), pieces[0], test.pieces, test.piece)
		}
		if joined := strings.TrimSuffix(strings.Join(pieces, ""), endMark); joined != text {
			t.Errorf("%s: the pieces are not the text", test.unit)
		}
	}
}

// merged is the definition: while there is a merge for two neighbours, that of the lowest rank is
// done wherever it occurs, from left to right.
func merged(b *BPE, word string) (symbols []int32) {
	for i := range len(word) {
		symbols = append(symbols, b.within[word[i]])
	}
	symbols[len(word)-1] = b.last[word[len(word)-1]]
	for {
		var pair [2]int32
		best := merge{rank: maxMerges}
		for i := range len(symbols) - 1 {
			if m, ok := b.merges[pairKey(symbols[i], symbols[i+1])]; ok && m.rank < best.rank {
				pair, best = [2]int32{symbols[i], symbols[i+1]}, m
			}
		}
		if best.rank == maxMerges {
			return symbols
		}
		var out []int32
		for i := 0; i < len(symbols); i++ {
			if i+1 < len(symbols) && symbols[i] == pair[0] && symbols[i+1] == pair[1] {
				out = append(out, best.id)
				i++
			} else {
				out = append(out, symbols[i])
			}
		}
		symbols = out
	}
}

var bpeSeeds = append([]string{
	"dog's", "<|startoftext|>cat<|ENDOFTEXT|>", "<|\u017ftartoftext|>", "'\u017f", "\u0345\u03b9", "ΣA'Σ", "!!a!", "12½", "abababaab",
}, seeds...)

func FuzzBPE(f *testing.F) {
	vocab, merges := bytesAnd(someMerges+",xa b,ab a,a b,b x,b a,Ã ©", "xa")
	tokenizers := []*BPE{
		bpeOf(f, vocab, merges, `{}`), bpeOf(f, vocab, merges, `{"pad_token": "!"}`),
		bpeOf(f, vocab, merges, `{"added_tokens_decoder": {"9000": {"content": "<é>"}}}`),
	}
	for i, text := range bpeSeeds {
		f.Add(text, i)
	}
	f.Fuzz(func(t *testing.T, text string, length int) {
		for _, b := range tokenizers {
			checkTokenizer(t, b, b.tokens, text, length%100)
			if text == "" || len(text) > 1000 {
				continue
			}
			var ids []int32
			b.join(new(merger), text, func(id int32) { ids = append(ids, id) })
			if want := merged(b, text); !slices.Equal(ids, want) {
				t.Fatalf("%q: %d, want %d", text, ids, want)
			}
		}
	})
}

func FuzzBPEFiles(f *testing.F) {
	const config = `{"added_tokens_decoder": {"2": {"content": "a"}}}`
	f.Add(`{"<|startoftext|>": 0, "<|endoftext|>": 1, "a": 2, "b": 3, "ab": 4}`, "#\na b\n", config)
	f.Add(`{"<|startoftext|>": 0, "<|endoftext|>": 1, "": 1000000}`, "", `{}`)
	f.Add(`{"<|startoftext|>": 0, "<|startoftext|>": 0, "<|endoftext|>": 1e3}`, "#\r\na\u00a0b", `{"pad_token": null}`)
	f.Add("[[[[", "\xff", `{"added_tokens_decoder": {"-1": {}}}`)
	f.Fuzz(func(t *testing.T, vocab, merges, config string) {
		var cfg BPEConfig
		if json.Unmarshal([]byte(config), &cfg) != nil {
			return
		}
		b, err := NewBPE(strings.NewReader(vocab), strings.NewReader(merges), cfg)
		if err != nil {
			if !utf8.ValidString(err.Error()) {
				t.Errorf("error is not UTF-8: %q", err)
			}
			return
		}
		for _, text := range append(bpeSeeds, vocab, merges) {
			checkTokenizer(t, b, b.tokens, text, 16)
		}
	})
}
