package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// eachWord is the cleaning that both tokenizers begin with (BasicTokenizer): it gives word the parts
// of a text between white space, and ideographs one by one where chinese says so, without what
// isDropped drops. It lowers each rune before words are normalised, which matters to marks that
// only a small letter composes with. A word's memory is used again for the next.
func eachWord(text string, chinese, lowerCase bool, word func([]rune)) {
	var runes []rune
	flush := func() {
		if len(runes) > 0 {
			word(runes)
			runes = runes[:0]
		}
	}
	for _, r := range text { // a byte that is not UTF-8 reads as U+FFFD
		switch {
		case isDropped(r):
		case isSpace(r):
			flush()
		case chinese && isChinese(r):
			flush()
			runes = append(runes, r)
			flush()
		case lowerCase:
			runes = lower(runes, r)
		default:
			runes = append(runes, r)
		}
	}
	flush()
}

// isDropped reports whether clean_text removes r: NUL, the replacement character, which stands for
// every byte that is not UTF-8, and the categories C* (control, format, private use, unassigned)
// except tab and line ends.
func isDropped(r rune) bool {
	switch {
	case r == '\t' || r == '\n' || r == '\r':
		return false
	case r < 0x7f:
		return r < ' '
	case r == unicode.ReplacementChar:
		return true
	}
	return !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z)
}

// isPunctuation reports whether r is a word by itself: all ASCII that is neither letter, digit,
// space nor control, and the categories P*.
func isPunctuation(r rune) bool {
	if r < 0x80 {
		return '!' <= r && r <= '/' || ':' <= r && r <= '@' || '[' <= r && r <= '`' || '{' <= r && r <= '~'
	}
	return unicode.IsPunct(r)
}

// isChinese reports whether r is in one of the blocks of CJK ideographs that BERT knows.
func isChinese(r rune) bool {
	switch {
	case r < 0x3400:
		return false
	case 0x4e00 <= r && r <= 0x9fff, 0x3400 <= r && r <= 0x4dbf, 0xf900 <= r && r <= 0xfaff:
		return true
	}
	return 0x20000 <= r && r <= 0x2a6df || 0x2a700 <= r && r <= 0x2ceaf || 0x2f800 <= r && r <= 0x2fa1f
}

// isSpace reports whether r separates words, among the runes that isDropped keeps.
func isSpace(r rune) bool {
	return r <= ' ' || r >= 0xa0 && unicode.Is(unicode.Z, r)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// lower appends the lower case of r by itself, Unicode's full mapping without context: only the
// dotted capital I becomes two runes, and a capital sigma that ends a word is not special.
func lower(dst []rune, r rune) []rune {
	if r == '\u0130' {
		return append(dst, 'i', '\u0307')
	}
	return append(dst, unicode.ToLower(r))
}
