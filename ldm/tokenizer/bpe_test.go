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

// bytesAnd is a vocabulary of all bytes, within a word and at its end, and of more tokens, with the
// ids of CLIP's own, and the merges as a file. What the merges make follows the bytes.
func bytesAnd(merges string, more ...string) (vocab, file string) {
	ids := map[string]int{}
	add := func(token string) {
		if _, ok := ids[token]; !ok {
			ids[token] = len(ids)
		}
	}
	for _, mark := range []string{"", endMark} {
		for _, c := range "!\"#$%&'()*+,-./0123456789:;<=>?@[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~" {
			add(string(c) + mark)
		}
		for _, c := range alphabet {
			add(string(c) + mark)
		}
	}
	lines := strings.Split(merges, ",")
	for _, line := range lines {
		add(strings.ReplaceAll(line, " ", ""))
	}
	for _, token := range append(more, startOfText, endOfText) {
		add(token)
	}
	data, err := json.Marshal(ids)
	if err != nil {
		panic(err)
	}
	return string(data), "#version: 0.2\n" + strings.Join(lines, "\n") + "\n"
}

func bpeOf(t testing.TB, vocab, merges, config string) *BPE {
	t.Helper()
	var cfg BPEConfig
	if err := json.Unmarshal([]byte(config), &cfg); err != nil {
		t.Fatal(err)
	}
	b, err := NewBPE(strings.NewReader(vocab), strings.NewReader(merges), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const someMerges = "a a,c a,ca t</w>,' s</w>,d o,do g</w>,Ï Ĥ</w>,Ï ĥ</w>,' Å,'Å ¿</w>"

// Every line was seen to be CLIPTokenizer's answer.
func TestBPEPieces(t *testing.T) {
	const (
		plain = `{}`
		sd2   = `{"pad_token": "!"}`
		added = `{"added_tokens_decoder": {"0": {"content": "!"}, "9000": {"content": "<Cat>"}}}`
	)
	for _, test := range []struct{ name, config, text, want string }{
		{"nothing", plain, "", ""},
		{"only removed runes", plain, "\x00\ufffd\u200b\u00ad\x0b", ""},
		{"white space", plain, " \t\r\n\u2028\u3000", ""},
		{"words", plain, "Cat  dog", "cat</w> dog</w>"},
		{"a run of one symbol", plain, "aaaaac", "aa aa a c</w>"},
		{"contraction", plain, "dog's", "dog</w> 's</w>"},
		{"contraction with a long s", plain, "dog'\u017f", "dog</w> 'Å¿</w>"},
		{"quote before a word", plain, "'dog", "' d</w> o g</w>"},
		{"digits one by one", plain, "12½", "1</w> 2</w> Â ½</w>"},
		{"other characters together", plain, "?-!a", "? - !</w> a</w>"},
		{"ideographs one by one", plain, "中国", "ä ¸ Ń</w> å Ľ ½</w>"},
		{"runes dropped within a word", plain, "c\u200ba\u00adt", "cat</w>"},
		{"composed", plain, "e\u0301", "Ã ©</w>"},
		{"final sigma", plain, "ΣΣ", "Ï ĥ ÏĤ</w>"},
		{"sigma before a letter", plain, "ΣA", "Ï ĥ a</w>"},
		{"dotted capital I", plain, "İ", "i</w> Ì ĩ</w>"},
		{"iota below, alone", plain, "\u0345", ""},
		{"special tokens", plain, "cat<|endoftext|>dog", "cat</w> <|endoftext|> dog</w>"},
		{"special token in capitals", plain, "<|ENDOFTEXT|>", "<|endoftext|>"},
		{"special token with a dropped rune", plain, "<|end\u200boftext|>", "<|endoftext|>"},
		{"exclamation marks", plain, "!!", "! !</w>"},
		{"exclamation marks that pad", sd2, "!! cat!", "! ! cat</w> !"},
		{"added tokens", added, "<Cat><cat>!", "<Cat> <</w> cat</w> ></w> !"},
	} {
		vocab, merges := bytesAnd(someMerges)
		b := bpeOf(t, vocab, merges, test.config)
		if got := strings.Join(b.Pieces(test.text), " "); got != test.want {
			t.Errorf("%s: %q: %q, want %q", test.name, test.text, got, test.want)
		}
	}
}

// The published test of CLIPTokenizer (huggingface/transformers
// tests/models/clip/test_tokenization_clip.py).
func TestBPEPublished(t *testing.T) {
	tokens := []string{"l", "o", "w", "e", "r", "s", "t", "i", "d", "n", "lo", "l</w>", "w</w>", "r</w>", "t</w>",
		"low</w>", "er</w>", "lowest</w>", "newer</w>", "wider", "<unk>", startOfText, endOfText}
	ids := map[string]int{}
	for i, token := range tokens {
		ids[token] = i
	}
	vocab, err := json.Marshal(ids)
	if err != nil {
		t.Fatal(err)
	}
	b := bpeOf(t, string(vocab), "#version: 0.2\nl o\nlo w</w>\ne r</w>", `{"unk_token": "<unk>"}`)
	if got, want := b.Pieces("lower newer"), strings.Fields("lo w er</w> n e w er</w>"); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	got, pieces, truncated := b.Encode("lower newer <unk>!", 11)
	if want := []int32{21, 10, 2, 16, 9, 3, 2, 16, 20, 20, 22}; !slices.Equal(got, want) || truncated != 0 {
		t.Errorf("%d (%q) and %d truncated, want %d", got, pieces, truncated, want)
	}
}

func TestBPEEncode(t *testing.T) {
	vocab, merges := bytesAnd(someMerges)
	for _, test := range []struct {
		config, text string
		length       int
		want         string
		truncated    int
	}{
		{`{}`, "", 3, "<|startoftext|> <|endoftext|> <|endoftext|>", 0},
		{`{"pad_token": "!"}`, "cat", 5, "<|startoftext|> cat</w> <|endoftext|> ! !", 0},
		{`{}`, "cat dog", 3, "<|startoftext|> cat</w> <|endoftext|>", 1},
		{`{}`, "cat", 1, "<|startoftext|>", 1},
		{`{}`, "cat", 0, "", 1},
		{`{"bos_token": {"content": "a"}, "eos_token": "b", "pad_token": "c", "unk_token": "d"}`, "!a", 5, "a !</w> a b c", 0},
	} {
		_, pieces, truncated := bpeOf(t, vocab, merges, test.config).Encode(test.text, test.length)
		if got := strings.Join(pieces, " "); got != test.want || truncated != test.truncated {
			t.Errorf("%q in %d: %q and %d truncated, want %q and %d", test.text, test.length, got,
				truncated, test.want, test.truncated)
		}
	}
}

// A merge is done wherever it occurs before those that its result makes possible, even where these
// are higher up in the list; of two places that overlap the left one counts. Every line was seen to
// be CLIPTokenizer's answer.
func TestBPEOrder(t *testing.T) {
	for _, test := range []struct{ merges, text, want string }{
		{"ab a,a b", "ababé", "ab ab"},
		{"ab a,a b", "abaabé", "aba ab"},
		{"a a,aa a", "aaaaaé", "aa aaa"},
		{"a b,b a", "babé", "b ab"},
		{"a b,a b,b c", "abcé", "ab c"},
		{"a b,b c,a b", "abcé", "a bc"},
	} {
		vocab, merges := bytesAnd(test.merges)
		b := bpeOf(t, vocab, merges, `{}`)
		if got := strings.Join(b.Pieces(test.text), " "); got != test.want+" Ã ©</w>" {
			t.Errorf("%q by %q: %q, want %q", test.text, test.merges, got, test.want)
		}
	}
}

func TestBPEFiles(t *testing.T) {
	vocab, merges := bytesAnd("a b")
	for name, text := range map[string]string{
		"LF": merges, "CR LF": strings.ReplaceAll(merges, "\n", "\r\n"), "CR": strings.ReplaceAll(merges, "\n", "\r"),
		"no last line end": strings.TrimSpace(merges), "blank lines at the end": merges + "\n\n",
	} {
		if got := bpeOf(t, vocab, text, `{}`).Pieces("ab!"); !slices.Equal(got, []string{"a", "b</w>", "!</w>"}) {
			t.Errorf("%s: %q", name, got)
		}
		if got := bpeOf(t, vocab, text, `{}`).Pieces("abc"); !slices.Equal(got, []string{"ab", "c</w>"}) {
			t.Errorf("%s: %q", name, got)
		}
	}
	// A list that is longer counts as far as CLIP's own.
	vocab, merges = bytesAnd("a b,c d")
	long := strings.Replace(merges, "c d", strings.Repeat("a b\n", maxMerges-1)+"c d", 1)
	if got := bpeOf(t, vocab, long, `{}`).Pieces("abcd\u00e9"); !slices.Equal(got, []string{"ab", "c", "d", "Ã", "©</w>"}) {
		t.Errorf("merge %d counts: %q", maxMerges+1, got)
	}
}

func TestNewBPERefuses(t *testing.T) {
	vocab, merges := bytesAnd("a b")
	failing := errors.New("disk on fire")
	few := `{"a": 0, "<|startoftext|>": 1, "<|endoftext|>": 2`
	for _, test := range []struct {
		name, vocab, merges string
		config              string
		want                string
	}{
		{"empty", "", "", `{}`, "vocab.json is no object of tokens and ids"},
		{"list", `["a"]`, "", `{}`, "vocab.json is no object of tokens and ids"},
		{"UTF-16", "\xff\xfe{\x00", "", `{}`, "vocab.json is not UTF-8"},
		{"too large", strings.Repeat(" ", maxVocabulary+1), "", `{}`, "vocab.json is larger than 67108864 bytes"},
		{"no number", few + `, "x": "3"}`, "", `{}`, `vocab.json: token "x" has "\"3\""`},
		{"null", few + `, "x": null}`, "", `{}`, `vocab.json: token "x" has "null"`},
		{"fraction", few + `, "x": 3.5}`, "", `{}`, `vocab.json: token "x" has "3.5"`},
		{"negative", few + `, "x": -1}`, "", `{}`, `vocab.json: token "x" has id -1, want 0 to 1048575`},
		{"huge", few + `, "x": 1048576}`, "", `{}`, `vocab.json: token "x" has id 1048576`},
		{"two tokens with one id", few + `, "x": 2}`, "", `{}`, `vocab.json: tokens "<|endoftext|>" and "x" have the id 2`},
		{"no start", `{"<|endoftext|>": 0}`, "", `{}`, `vocab.json of 1 tokens lacks the bos_token "<|startoftext|>"`},
		{"no pad", few + `}`, "", `{"pad_token": "!"}`, `vocab.json of 3 tokens lacks the pad_token "!"`},
		{"added token elsewhere", few + `}`, "", `{"added_tokens_decoder": {"7": {"content": "a"}}}`, `added tokens: token "a" has the ids 0 and 7`},
		{"added token in a place taken", few + `}`, "", `{"added_tokens_decoder": {"0": {"content": "b"}}}`, `added tokens: tokens "a" and "b" have the id 0`},
		{"added token beyond", few + `}`, "", `{"added_tokens_decoder": {"1048576": {"content": "b"}}}`, `token "b" has id 1048576`},
		{"added token that strips", few + `}`, "", `{"added_tokens_decoder": {"0": {"content": "a", "lstrip": true}}}`, `added token "a" is lstrip`},
		{"long added token", few + `}`, "", `{"added_tokens_decoder": {"3": {"content": "` + strings.Repeat("a", 257) + `"}}}`, "has 257 bytes, want at most 256"},
		{"merge of three", vocab, merges + "a b c\n", `{}`, `merges.txt: merge 2 is "a b c", want two symbols`},
		{"merge of none", vocab, merges + "\na b\n", `{}`, `merges.txt: merge 2 is "", want two symbols`},
		{"merge without an id", vocab, merges + "a c\n", `{}`, `merges.txt: merge 2 makes "ac", and vocab.json lacks "ac"`},
		{"merge of a symbol without an id", vocab, merges + "xy z\n", `{}`, `merges.txt: merge 2 makes "xyz", and vocab.json lacks "xy"`},
		{"merges in Latin-1", vocab, "#\n\xc4 b\n", `{}`, "merges.txt is not UTF-8"},
	} {
		var cfg BPEConfig
		if err := json.Unmarshal([]byte(test.config), &cfg); err != nil {
			t.Fatal(err)
		}
		if _, err := NewBPE(strings.NewReader(test.vocab), strings.NewReader(test.merges), cfg); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want %q", test.name, err, test.want)
		}
	}
	for _, files := range [][2]io.Reader{
		{iotest.ErrReader(failing), strings.NewReader(merges)}, {strings.NewReader(vocab), iotest.ErrReader(failing)},
	} {
		if _, err := NewBPE(files[0], files[1], BPEConfig{}); !errors.Is(err, failing) {
			t.Errorf("error %v, want %v", err, failing)
		}
	}
}
