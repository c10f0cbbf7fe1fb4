package tokenizer

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// letters is a vocabulary in which every rune of the given text is a piece, at the start of a word
// and within it, after the special tokens.
func letters(text string, more ...string) string {
	lines := append([]string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}, more...)
	for _, r := range text {
		lines = append(lines, string(r), "##"+string(r))
	}
	return strings.Join(lines, "\n") + "\n"
}

func tokenizerOf(t testing.TB, vocab, config string) *WordPiece {
	t.Helper()
	var cfg Config
	if err := json.Unmarshal([]byte(config), &cfg); err != nil {
		t.Fatal(err)
	}
	w, err := NewWordPiece(strings.NewReader(vocab), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// Every line was seen to be BertTokenizer's answer.
func TestPieces(t *testing.T) {
	const (
		uncased = `{}`
		cased   = `{"do_lower_case": false}`
		accents = `{"strip_accents": false}`
		strip   = `{"do_lower_case": false, "strip_accents": true}`
		western = `{"tokenize_chinese_chars": false}`
		whole   = `{"never_split": ["a.b", "x"]}`
	)
	for _, test := range []struct{ name, config, text, want string }{
		{"nothing", uncased, "", ""},
		{"only removed runes", uncased, "\x00\ufffd\u200b\u0301\u00ad\U000f0000", ""},
		{"lower case", uncased, "aB", "a ##b"},
		{"dotted capital I", uncased, "İ", "i"},
		{"dotted capital I, accents stay", accents, "İ", "i ##\u0307"},
		{"dotless small i", uncased, "ı", "ı"},
		{"final sigma", uncased, "aΣ", "a ##σ"},
		{"capital sharp s", uncased, "ẞ", "ß"},
		{"accent", uncased, "É", "e"},
		{"combining accent", uncased, "e\u0301", "e"},
		{"accent composed", accents, "e\u0301", "é"},
		{"accent that only a small letter composes with", accents, "H\u0331", "ẖ"},
		{"accent cased", cased, "É", "É"},
		{"accent stripped cased", strip, "É", "E"},
		{"marks reordered", accents, "a\u0302\u0323", "ậ"},
		{"ideographs", uncased, "a博推b", "a 博 推 b"},
		{"ideographs in a word", western, "博推", "博 ##推"},
		{"compatibility ideograph", uncased, "\uf900", "豈"},
		{"Hangul", cased, "가", "가"},
		{"Hangul stripped", uncased, "가", "\u1100 ##\u1161"},
		{"Hangul composed", accents, "\u1100\u1161\u11a8", "각"},
		{"punctuation", uncased, "a,b--a", "a , b - - a"},
		{"ASCII symbols", uncased, "a$b", "a $ b"},
		{"other symbols", uncased, "a€", "a ##€"},
		{"solidus overlay", accents, "=\u0338", "≠"},
		{"white space", uncased, "a\tb\na\rb\u00a0a\u3000b\u2028a", "a b a b a b a"},
		{"controls that are no white space", uncased, "b\vb\fa\x1cb\u0085a", "b ##b ##ab ##a"},
		{"invalid bytes", uncased, "b\xffb\xe5\x8da\xed\xa0\x80", "b ##b ##a"},
		{"special", uncased, "a[MASK]b[SEP][CLS]", "a [MASK] b [SEP] [CLS]"},
		{"special in lower case", uncased, "[sep]", "[ [UNK] ]"},
		{"special with a removed rune", cased, "[MA\u200bSK]", "[MASK]"},
		{"special with a removed accent", strip, "[MÁSK]", "[MASK]"},
		{"special in pieces", uncased, "[MASK[SEP]", "[ [UNK] [SEP]"},
		{"unknown letter", uncased, "abq a", "[UNK] a"},
		{"words that stay whole", whole, "a.b a.b, X x", "a.b a . b , x x"},
		{"100 letters", uncased, strings.Repeat("a", 100), "a" + strings.Repeat(" ##a", 99)},
		{"100 letters of two bytes", uncased, strings.Repeat("ß", 100), "ß" + strings.Repeat(" ##ß", 99)},
		{"101 letters", uncased, strings.Repeat("a", 101) + " a", "[UNK] a"},
		{"60 letters with marks", uncased, strings.Repeat("e\u0301", 60), "e" + strings.Repeat(" ##e", 59)},
		{"longest piece first", uncased, "abababb", "aba ##b ##ab ##b"},
	} {
		vocab := letters("aEbeißσıé\u0307ẖÉậ博推豈가\u1100\u1161각,-.$€=≠[]", "aba", "##ab", "a.b")
		w := tokenizerOf(t, vocab, test.config)
		if got := strings.Join(w.Pieces(test.text), " "); got != test.want {
			t.Errorf("%s: %+q gives %+q, want %+q", test.name, test.text, got, test.want)
		}
	}
}

func TestEncode(t *testing.T) {
	w := tokenizerOf(t, letters("abc"), `{}`)
	for _, test := range []struct {
		text      string
		length    int
		want      string
		truncated int
	}{
		{"", 4, "[CLS] [SEP] [PAD] [PAD]", 0},
		{"a b", 5, "[CLS] a b [SEP] [PAD]", 0},
		{"a b", 4, "[CLS] a b [SEP]", 0},
		{"a b", 3, "[CLS] a [SEP]", 1},
		{"abc", 2, "[CLS] [SEP]", 3},
		{"abc", 1, "[CLS]", 3},
		{"abc", 0, "", 3},
		{"abc", -1, "", 3},
	} {
		ids, pieces, truncated := w.Encode(test.text, test.length)
		if got := strings.Join(pieces, " "); got != test.want || truncated != test.truncated {
			t.Errorf("%q in %d: %q and %d truncated, want %q and %d", test.text, test.length, got,
				truncated, test.want, test.truncated)
		}
		if !slices.Equal(w.piecesOf(ids), pieces) {
			t.Errorf("%q in %d: ids %d do not stand for %q", test.text, test.length, ids, pieces)
		}
	}
}

func TestVocabulary(t *testing.T) {
	for _, test := range []struct{ name, vocab, want string }{
		{"LF", "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n", "a"},
		{"no last line end", "[PAD]\n[UNK]\n[CLS]\n[SEP]\na", "a"},
		{"CR LF", "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\na\r\n", "a"},
		{"CR", "[PAD]\r[UNK]\r[CLS]\r[SEP]\ra\r", "a"},
		{"blank line", "[PAD]\n[UNK]\n\n[CLS]\n[SEP]\na\n", "a"},
		{"trailing space belongs to the token", "[PAD]\n[UNK]\n[CLS]\n[SEP]\na \n", "[UNK]"},
	} {
		w := tokenizerOf(t, test.vocab, `{}`)
		if got := w.Pieces("a"); !slices.Equal(got, []string{test.want}) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	w := tokenizerOf(t, "a\n[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n", `{}`)
	if ids, _, _ := w.Encode("a", 3); ids[1] != 5 {
		t.Errorf("of equal tokens, id %d counts, want the last, 5", ids[1])
	}
}

func TestNewWordPieceRefuses(t *testing.T) {
	no := false
	failing := errors.New("disk on fire")
	for _, test := range []struct {
		name  string
		vocab io.Reader
		cfg   Config
		want  string
	}{
		{"empty", strings.NewReader(""), Config{}, `vocabulary of 1 tokens lacks the unk_token "[UNK]"`},
		{"no class token", strings.NewReader("[UNK]\n[SEP]\n[PAD]\n"), Config{}, `lacks the cls_token "[CLS]"`},
		{"no pad token", strings.NewReader("[UNK]\n[CLS]\n[SEP]\n"), Config{}, `lacks the pad_token "[PAD]"`},
		{"other names", strings.NewReader(letters("a")), Config{SeparatorToken: "</s>"}, `lacks the sep_token "</s>"`},
		{"UTF-16", strings.NewReader("\xff\xfe[\x00P\x00"), Config{}, "not UTF-8"},
		{"too large", strings.NewReader(strings.Repeat("a", maxVocabulary+1)), Config{}, "larger than 67108864 bytes"},
		{"unreadable", iotest.ErrReader(failing), Config{}, "disk on fire"},
		{"not basic", strings.NewReader(letters("a")), Config{DoBasicTokenize: &no}, "do_basic_tokenize"},
	} {
		_, err := NewWordPiece(test.vocab, test.cfg)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", test.name, err, test.want)
		}
	}
}

func TestConfig(t *testing.T) {
	var cfg Config
	err := json.Unmarshal([]byte(`{"do_lower_case": false, "strip_accents": null, "never_split": null,
		"unk_token": {"content": "<unk>", "lstrip": false}, "pad_token": "<pad>", "cls_token": null,
		"model_max_length": 1000000000000000019884624838656, "tokenizer_class": "BertTokenizer"}`), &cfg)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.DoLowerCase == nil || *cfg.DoLowerCase || cfg.StripAccents != nil || cfg.UnknownToken != "<unk>" ||
		cfg.PadToken != "<pad>" || cfg.ClassToken != "" || cfg.ModelMaxLength < 1e30 {
		t.Errorf("%+v", cfg)
	}
	for _, bad := range []string{`{"unk_token": 3}`, `{"unk_token": {}}`, `{"unk_token": ["a"]}`} {
		if err := json.Unmarshal([]byte(bad), &cfg); err == nil || !strings.Contains(err.Error(), "special token") {
			t.Errorf("%s: error %v", bad, err)
		}
	}
}
