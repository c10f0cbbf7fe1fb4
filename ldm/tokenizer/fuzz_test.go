package tokenizer

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

var seeds = []string{
	"", "a painting of a squirrel", "[MASK]of[SEP]", "[MA\u200bSK]", "İΣẞ", "e\u0301\u0323\u0302", "H\u0331",
	"博推\uf900", "\x00\ufffd\xff\xed\xa0\x80", "a\u2028b\u3000c", "가\u1100\u1161\u11a8", "##a,b--c",
	strings.Repeat("a", 101), strings.Repeat("\u0308\u0323", 40), "never.split x", "\U0002b820\u1734",
}

// checkTokenizer holds a tokenizer to what is true of every text; tokens are those of its ids,
// nil where a piece may be a word that has no id.
func checkTokenizer(t *testing.T, w Tokenizer, tokens []string, text string, length int) {
	t.Helper()
	all := w.Pieces(text)
	ids, pieces, truncated := w.Encode(text, length)
	if len(ids) != max(length, 0) || len(pieces) != len(ids) {
		t.Fatalf("%q: %d ids and %d pieces, want %d", text, len(ids), len(pieces), length)
	}
	for i, id := range ids {
		if id < 0 || int(id) >= w.Size() || tokens != nil && tokens[id] != pieces[i] {
			t.Fatalf("%q: id %d of %d stands for %q", text, id, w.Size(), pieces[i])
		}
	}
	kept := min(len(all), max(length-2, 0))
	if truncated != len(all)-kept {
		t.Fatalf("%q: %d of %d pieces truncated to a length of %d", text, truncated, len(all), length)
	}
	if kept > 0 && !slices.Equal(pieces[1:1+kept], all[:kept]) {
		t.Fatalf("%q: encoded %q, pieces %q", text, pieces, all)
	}
}

// check is checkTokenizer, and more that is true of WordPiece.
func check(t *testing.T, w *WordPiece, text string, length int) {
	t.Helper()
	checkTokenizer(t, w, nil, text, length)
	pieces := w.Pieces(text)
	// What came out as words goes in again as the same words.
	var again strings.Builder
	for _, piece := range pieces {
		if piece == "[UNK]" {
			return
		}
		if word, ok := strings.CutPrefix(piece, followMark); ok {
			again.WriteString(word)
		} else {
			again.WriteString(" " + piece)
		}
	}
	if twice := w.Pieces(again.String()); !slices.Equal(twice, pieces) {
		t.Fatalf("%q: pieces %q, and of those %q", text, pieces, twice)
	}
}

const fuzzLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789,.-ßσıẖ博推豈가\u1100\u1161"

func FuzzWordPiece(f *testing.F) {
	var tokenizers []*WordPiece
	for _, config := range []string{
		`{}`, `{"do_lower_case": false}`, `{"strip_accents": false}`, `{"tokenize_chinese_chars": false}`,
		`{"do_lower_case": false, "strip_accents": true, "never_split": ["never.split", "x"]}`,
	} {
		tokenizers = append(tokenizers, tokenizerOf(f, letters(fuzzLetters, "ab", "##ab", "pain", "##ting"), config))
	}
	for i, text := range seeds {
		f.Add(text, i)
	}
	f.Fuzz(func(t *testing.T, text string, length int) {
		for _, w := range tokenizers {
			check(t, w, text, length%100)
		}
	})
}

func FuzzVocab(f *testing.F) {
	for _, vocab := range []string{
		letters("ab"), "", "\n", "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\na\r\n##\r\n", "[UNK]\n[UNK]\n", "\xef\xbb\xbf[PAD]\n", "\xff",
		"[PAD]\n[UNK]\n[CLS]\n[SEP]\n##a\na\n\n \n#\n##\n##b",
	} {
		f.Add(vocab)
	}
	f.Fuzz(func(t *testing.T, vocab string) {
		w, err := NewWordPiece(strings.NewReader(vocab), Config{})
		if err != nil {
			if !utf8.ValidString(err.Error()) {
				t.Errorf("error is not UTF-8: %q", err)
			}
			return
		}
		for _, text := range append(seeds, vocab) {
			checkTokenizer(t, w, w.tokens, text, 16)
		}
	})
}

// One megabyte each of the texts that cost most: time must be proportional to their length.
func BenchmarkEncode(b *testing.B) {
	w := tokenizerOf(b, letters(fuzzLetters, strings.Repeat("a", 90), "##"+strings.Repeat("a", 90)), `{"strip_accents": false}`)
	stripping := tokenizerOf(b, letters(fuzzLetters), `{}`)
	for _, bench := range []struct {
		name string
		unit string
		w    *WordPiece
	}{
		{"words", "a painting of a squirrel ", stripping},
		{"one word", "a", stripping},
		{"words of 100", strings.Repeat("ab", 50) + " ", w},
		{"punctuation", ",", stripping},
		{"marks", "\u0308\u0323", w},
		{"marks stripped", "\u0308\u0323", stripping},
		{"accents", "é", stripping},
		{"ideographs", "博", stripping},
		{"brackets", "[", stripping},
		{"specials", "[MASK]", stripping},
	} {
		text := strings.Repeat(bench.unit, 1<<20/len(bench.unit))
		b.Run(bench.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				bench.w.Encode(text, 77)
			}
		})
	}
}
