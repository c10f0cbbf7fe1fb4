// Package tokenizer turns prompts into the ids that text encoders were trained on.
//
// The one idea: ids must equal those of the original tokenizer on every string, so each step is
// the original's, in its order, with its rules for Unicode. The original is Hugging Face's
// BertTokenizer; their BertTokenizerFast differs from it in characters newer than Unicode 8, in
// ideographs from U+2B820 to U+2B91F, and by leaving out normal form C when accents stay.
//
// Source: huggingface/transformers src/transformers/models/bert/tokenization_bert.py and
// src/transformers/tokenization_utils.py; Unicode 15.0.
package tokenizer

import (
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxWord is the number of code points above which a word is unknown
// (max_input_chars_per_word).
const maxWord = 100

// WordPiece is BERT's tokenizer: it splits a text at white space and punctuation, and each word
// greedily into the longest pieces of a vocabulary. It may be used concurrently.
type WordPiece struct {
	vocabulary                     *vocabulary
	unknown, class, separator, pad int32

	lowerCase, noAccents, chinese bool

	special    []string        // whole wherever they occur, longest first
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
	w := &WordPiece{vocabulary: v, neverSplit: map[string]bool{}}
	w.lowerCase = isTrue(cfg.DoLowerCase, true)
	w.noAccents = isTrue(cfg.StripAccents, w.lowerCase)
	w.chinese = isTrue(cfg.TokenizeChineseChars, true)
	for _, t := range []struct {
		id           *int32
		field, token string
	}{
		{&w.unknown, "unk_token", cfg.UnknownToken.or("[UNK]")},
		{&w.class, "cls_token", cfg.ClassToken.or("[CLS]")},
		{&w.separator, "sep_token", cfg.SeparatorToken.or("[SEP]")},
		{&w.pad, "pad_token", cfg.PadToken.or("[PAD]")},
	} {
		if *t.id, err = v.special(t.field, t.token); err != nil {
			return nil, err
		}
		w.special = append(w.special, t.token)
	}
	if mask := cfg.MaskToken.or("[MASK]"); v.has(mask) {
		w.special = append(w.special, mask)
	}
	slices.SortFunc(w.special, func(a, b string) int { return len(b) - len(a) })
	for _, word := range cfg.NeverSplit {
		w.neverSplit[word] = true
	}
	return w, nil
}

// Size returns the number of ids: every id is from 0 to Size()-1.
func (w *WordPiece) Size() int { return len(w.vocabulary.tokens) }

// Pieces returns the tokens of text, nil when it has none, without those that Encode adds.
func (w *WordPiece) Pieces(text string) []string {
	var pieces []string
	w.each(text, func(piece string, _ int32) { pieces = append(pieces, piece) })
	return pieces
}

// Encode returns ids [length] and their tokens: the class token, the pieces of text, the separator,
// and the pad token up to length. Pieces without a place are left out and counted in truncated. A
// length of 1 has no place for the separator; one below 1 gives nothing. Time and memory are linear
// in the length of text; memory beyond the result is that of the longest word.
func (w *WordPiece) Encode(text string, length int) (ids []int32, pieces []string, truncated int) {
	add := func(piece string, id int32) {
		ids = append(ids, id)
		pieces = append(pieces, piece)
	}
	token := func(id int32) { add(w.vocabulary.tokens[id], id) }
	if length > 0 {
		token(w.class)
	}
	w.each(text, func(piece string, id int32) {
		if len(ids) < length-1 {
			add(piece, id)
		} else {
			truncated++
		}
	})
	if len(ids) < length {
		token(w.separator)
	}
	for len(ids) < length {
		token(w.pad)
	}
	return ids, pieces, truncated
}

// each gives yield the tokens of text in order.
func (w *WordPiece) each(text string, yield func(piece string, id int32)) {
	start := 0
	for i := 0; i < len(text); {
		token := w.specialAt(text[i:])
		if token == "" {
			i++
			continue
		}
		w.ordinary(text[start:i], yield)
		yield(token, w.vocabulary.ids[token])
		i += len(token)
		start = i
	}
	w.ordinary(text[start:], yield)
}

// specialAt returns the special token that text starts with, or "".
func (w *WordPiece) specialAt(text string) string {
	for _, token := range w.special {
		if strings.HasPrefix(text, token) {
			return token
		}
	}
	return ""
}

// ordinary splits a text without special tokens into words at white space and around ideographs.
// It lowers each rune before the words are normalised, which matters to marks that only a small
// letter composes with.
func (w *WordPiece) ordinary(text string, yield func(string, int32)) {
	var word []rune
	flush := func() {
		if len(word) > 0 {
			w.word(word, yield)
			word = word[:0]
		}
	}
	for _, r := range text { // a byte that is not UTF-8 reads as U+FFFD
		switch {
		case isDropped(r):
		case isSpace(r):
			flush()
		case w.chinese && isChinese(r):
			flush()
			word = append(word, r)
			flush()
		case w.lowerCase:
			word = lower(word, r)
		default:
			word = append(word, r)
		}
	}
	flush()
}

// word normalises a word and splits it at punctuation.
func (w *WordPiece) word(runes []rune, yield func(string, int32)) {
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
	return w.neverSplit[word] || slices.Contains(w.special, word)
}

// pieces gives yield the longest piece that starts the word, then the longest that goes on with
// it, until its end; a word that cannot be spelt so, or is too long, is unknown as a whole.
func (w *WordPiece) pieces(word string, yield func(string, int32)) {
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
