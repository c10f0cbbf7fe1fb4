package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The special tokens of CLIP's vocabulary. The pattern of words knows them too.
const (
	startOfText = "<|startoftext|>"
	endOfText   = "<|endoftext|>"
)

// contractions are the ends of English words that are words themselves.
var contractions = []string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}

// kind says what match found.
type kind int

const (
	dropped  kind = iota // a rune that the pattern passes over
	ordinary             // a word to be encoded
	special              // a special token as it is in the vocabulary
)

// match is the pattern of words, which ignores case, at the start of a text in small letters that
// is not empty and has no white space:
//
//	<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+
func match(text string) (length int, kind kind) {
	for _, token := range []string{startOfText, endOfText} {
		if n := foldedPrefix(text, token); n > 0 {
			if text[:n] == token {
				return n, special
			}
			return n, ordinary
		}
	}
	for _, end := range contractions {
		if n := foldedPrefix(text, end); n > 0 {
			return n, ordinary
		}
	}
	first, n := utf8.DecodeRuneInString(text)
	in := isOther
	switch {
	case unicode.IsLetter(first):
		in = unicode.IsLetter
	case unicode.In(first, unicode.N):
		return n, ordinary
	case !isOther(first):
		return n, dropped
	}
	if end := strings.IndexFunc(text, func(r rune) bool { return !in(r) }); end >= 0 {
		return end, ordinary
	}
	return len(text), ordinary
}

// isOther reports whether [^\s\p{L}\p{N}] holds r. U+0345 it does not, although that is a mark:
// without regard to case it is the letter iota.
func isOther(r rune) bool {
	return r != '\u0345' && !unicode.In(r, unicode.L, unicode.N)
}

// foldedPrefix returns the length of the part of text that is prefix, which is ASCII in small
// letters, without regard to case, or 0. The long s is the only small letter that ASCII has too.
func foldedPrefix(text, prefix string) int {
	i, n := 0, 0
	for _, r := range text {
		if i == len(prefix) {
			break
		}
		if r == 'ſ' {
			n++ // it has two bytes
			r = 's'
		}
		if r != rune(prefix[i]) {
			return 0
		}
		i++
		n++
	}
	if i < len(prefix) {
		return 0
	}
	return n
}

// lowerWord returns a word in small letters, with the final form of a sigma that ends it (The
// Unicode Standard, section 3.13, Final_Sigma).
func lowerWord(word []rune) string {
	out := make([]rune, 0, len(word))
	for i, r := range word {
		if r == 'Σ' && isFinal(word, i) {
			out = append(out, 'ς')
			continue
		}
		out = lower(out, r)
	}
	return string(out)
}

// isFinal reports whether a cased letter is before place i and none after it, but for runes that
// case ignores.
func isFinal(word []rune, i int) bool {
	before := i - 1
	for before >= 0 && ignoresCase(word[before]) {
		before--
	}
	after := i + 1
	for after < len(word) && ignoresCase(word[after]) {
		after++
	}
	return before >= 0 && isCased(word[before]) && !(after < len(word) && isCased(word[after]))
}

// isCased is the property Cased.
func isCased(r rune) bool {
	return unicode.In(r, unicode.Lu, unicode.Ll, unicode.Lt, unicode.Other_Lowercase, unicode.Other_Uppercase)
}

// ignoresCase is the property Case_Ignorable: some categories, and the runes whose word break is
// MidLetter, MidNumLet or Single_Quote.
func ignoresCase(r rune) bool {
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Lm, unicode.Sk) ||
		strings.ContainsRune("'.:\u00b7\u0387\u055f\u05f4\u2018\u2019\u2024\u2027\ufe13\ufe52\ufe55\uff07\uff0e\uff1a", r)
}
