package tokenizer

import (
	"errors"
	"io"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxWord is the number of code points above which a word is unknown
// (max_input_chars_per_word).
const maxWord = 100

// WordPiece is BERT's tokenizer: it splits a text at white space and punctuation, and each word
// greedily into the longest pieces of a vocabulary. It may be used concurrently.
type WordPiece struct {
	frame
	vocabulary *vocabulary
	unknown    int32

	lowerCase, noAccents, chinese bool

	specials   specials
	neverSplit map[string]bool // words that have no pieces
}

// NewWordPiece reads the vocabulary vocab.txt: one token a line in the order of their ids. Of equal
// tokens the last counts. The vocabulary must have the special tokens that cfg names, except the
// mask. It keeps nothing of cfg.
func NewWordPiece(vocab io.Reader, cfg Config) (*WordPiece, error) {
	isTrue := func(p *bool, standard bool) bool { return p == nil && standard || p != nil && *p }
	if !isTrue(cfg.DoBasicTokenize, true) {
		return nil, errors.New("tokenizer: do_basic_tokenize is false, want true")
	}
	v, err := readVocabulary(vocab)
	if err != nil {
		return nil, err
	}
	w := &WordPiece{frame: frame{tokens: v.tokens}, vocabulary: v, neverSplit: map[string]bool{}}
	w.lowerCase = isTrue(cfg.DoLowerCase, true)
	w.noAccents = isTrue(cfg.StripAccents, w.lowerCase)
	w.chinese = isTrue(cfg.TokenizeChineseChars, true)
	for _, t := range []struct {
		id           *int32
		field, token string
	}{
		{&w.unknown, "unk_token", cfg.UnknownToken.or("[UNK]")},
		{&w.start, "cls_token", cfg.ClassToken.or("[CLS]")},
		{&w.end, "sep_token", cfg.SeparatorToken.or("[SEP]")},
		{&w.pad, "pad_token", cfg.PadToken.or("[PAD]")},
	} {
		if *t.id, err = v.special(t.field, t.token); err != nil {
			return nil, err
		}
		if err := w.specials.add(t.token, *t.id); err != nil {
			return nil, err
		}
	}
	if mask := cfg.MaskToken.or("[MASK]"); v.has(mask) {
		if err := w.specials.add(mask, v.ids[mask]); err != nil {
			return nil, err
		}
	}
	for _, word := range cfg.NeverSplit {
		w.neverSplit[word] = true
	}
	return w, nil
}

// Pieces returns the tokens of text, nil when it has none, without those that Encode adds.
func (w *WordPiece) Pieces(text string) []string { return collect(w.tokensOf(text)) }

// Encode is as Tokenizer says, with the class token before the text and the separator after it.
// Time and memory are linear in the length of text; memory beyond the result is that of the
// longest word.
func (w *WordPiece) Encode(text string, length int) (ids []int32, pieces []string, truncated int) {
	return w.encode(w.tokensOf(text), length)
}

// tokensOf gives the tokens of text in order.
func (w *WordPiece) tokensOf(text string) func(yield) {
	return func(yield yield) {
		w.specials.split(text, func(text string) {
			eachWord(text, w.chinese, w.lowerCase, func(word []rune) { w.word(word, yield) })
		}, yield)
	}
}

// word normalises a word and splits it at punctuation.
func (w *WordPiece) word(runes []rune, yield yield) {
	word := string(runes)
	if !norm.NFC.IsNormalString(word) {
		word = string(compose(runes))
	}
	if w.noAccents && !isASCII(word) && !w.isWhole(word) {
		word = string(stripAccents([]rune(word)))
	}
	if w.isWhole(word) {
		w.pieces(word, yield)
		return
	}
	start := 0
	for i, r := range word {
		if isPunctuation(r) {
			w.pieces(word[start:i], yield)
			start = i + utf8.RuneLen(r)
			w.pieces(word[i:start], yield)
		}
	}
	w.pieces(word[start:], yield)
}

// isWhole reports whether a word is kept as it is. Special tokens can turn up here too, where
// removed characters had hidden them.
func (w *WordPiece) isWhole(word string) bool {
	return w.neverSplit[word] || w.specials.has(word)
}

// pieces gives yield the longest piece that starts the word, then the longest that goes on with
// it, until its end; a word that cannot be spelt so, or is too long, is unknown as a whole.
func (w *WordPiece) pieces(word string, yield yield) {
	v := w.vocabulary
	if w.neverSplit[word] {
		yield(word, v.idOr(word, w.unknown))
		return
	}
	unknown := func() { yield(v.tokens[w.unknown], w.unknown) }
	if len(word) > maxWord && utf8.RuneCountInString(word) > maxWord {
		unknown()
		return
	}
	var found [maxWord]int32
	n := 0
	for start := 0; start < len(word); n++ {
		id, length := v.longestPiece(word[start:], start > 0)
		if length == 0 {
			unknown()
			return
		}
		found[n] = id
		start += length
	}
	for _, id := range found[:n] {
		yield(v.tokens[id], id)
	}
}
