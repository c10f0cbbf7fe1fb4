package msl

import (
	"fmt"
	"strconv"
	"strings"
)

type kind byte

const (
	punctuation kind = iota
	identifier
	number
	text   // a string or a character
	ending // after the last token
)

// A token is one word of the source with the white space, comments and directives before it.
// Passes change word; file and line stay those of the source.
type token struct {
	before string
	word   string
	kind   kind
	file   string
	line   int
}

// operators of more than one character. No ">>": it closes two template argument lists.
var operators = []string{"<<=", "...", "->*", "::", "->", "++", "--", "<=", ">=", "==", "!=",
	"&&", "||", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<", "##"}

// A lexer cuts preprocessed source into tokens and follows its line markers.
type lexer struct {
	src  string
	at   int
	file string
	line int
}

// margin is the number of tokens without a word around those of the source, so that passes may look
// at neighbours without asking whether there are any.
const margin = 4

// lex returns the tokens of preprocessed source between margins, the last ones of kind ending.
func lex(file, src string) ([]token, error) {
	l := lexer{src: src, file: file, line: 1}
	tokens := make([]token, margin)
	for {
		start := l.at
		if err := l.skipSpace(); err != nil {
			return nil, err
		}
		before := src[start:l.at]
		if l.at == len(src) {
			for range margin {
				tokens = append(tokens, token{before: before, kind: ending, file: l.file, line: l.line})
				before = ""
			}
			return tokens, nil
		}
		t := token{before: before, file: l.file, line: l.line}
		start = l.at
		if err := l.skipWord(&t); err != nil {
			return nil, err
		}
		t.word = src[start:l.at]
		tokens = append(tokens, t)
	}
}

func (l *lexer) skipSpace() error {
	for l.at < len(l.src) {
		rest := l.src[l.at:]
		switch {
		case rest[0] == '\n':
			l.line++
			l.at++
		case strings.IndexByte(" \t\r\f\v", rest[0]) >= 0:
			l.at++
		case rest[0] == '#' && l.startsLine():
			n := lineLength(rest)
			l.directive(rest[:n])
			l.at += n
		case strings.HasPrefix(rest, "//"):
			l.at += lineLength(rest)
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest, "*/")
			if end < 0 {
				return fmt.Errorf("%s:%d: error: a comment without an end", l.file, l.line)
			}
			l.line += strings.Count(rest[:end], "\n")
			l.at += end + len("*/")
		default:
			return nil
		}
	}
	return nil
}

func lineLength(s string) int {
	if n := strings.IndexByte(s, '\n'); n >= 0 {
		return n
	}
	return len(s)
}

// startsLine tells whether only white space stands before l.at on its line.
func (l *lexer) startsLine() bool {
	line := l.src[strings.LastIndexByte(l.src[:l.at], '\n')+1 : l.at]
	return strings.TrimSpace(line) == ""
}

// directive follows a line marker, # line "file" flags; other directives are the compiler's.
func (l *lexer) directive(s string) {
	fields := strings.Fields(s)
	if len(fields) < 3 || fields[0] != "#" {
		return
	}
	n, err := strconv.Atoi(fields[1])
	name, err2 := strconv.Unquote(fields[2])
	if err == nil && err2 == nil {
		l.file, l.line = name, n-1 // the marker's own end of line follows
	}
}

func (l *lexer) skipWord(t *token) error {
	c := l.src[l.at]
	rest := l.src[l.at:]
	switch {
	case isDigit(c), c == '.' && len(rest) > 1 && isDigit(rest[1]):
		t.kind = number
		l.skipNumber()
	case isLetter(c):
		t.kind = identifier
		for l.at < len(l.src) && (isLetter(l.src[l.at]) || isDigit(l.src[l.at])) {
			l.at++
		}
	case c == '"' || c == '\'':
		t.kind = text
		for l.at++; ; l.at++ {
			if l.at >= len(l.src) || l.src[l.at] == '\n' {
				return fmt.Errorf("%s:%d: error: a string without an end", l.file, l.line)
			}
			if l.src[l.at] == c {
				break
			}
			if l.src[l.at] == '\\' {
				l.at++
			}
		}
		l.at++
	default:
		l.at++
		for _, o := range operators {
			if strings.HasPrefix(rest, o) {
				l.at += len(o) - 1
				break
			}
		}
	}
	return nil
}

// skipNumber passes a preprocessing number: digits, letters, points, and signs after exponents.
func (l *lexer) skipNumber() {
	hex := strings.HasPrefix(l.src[l.at:], "0x") || strings.HasPrefix(l.src[l.at:], "0X")
	for start := l.at; l.at < len(l.src); l.at++ {
		c := l.src[l.at]
		sign := (c == '+' || c == '-') && l.at > start
		if sign {
			e := l.src[l.at-1] | 0x20
			sign = e == 'p' || e == 'e' && !hex
		}
		if !isDigit(c) && !isLetter(c) && c != '.' && !sign {
			return
		}
	}
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c >= 0x80
}

// isFloat tells whether a number is a floating-point literal.
func isFloat(word string) bool {
	if strings.HasPrefix(word, "0x") || strings.HasPrefix(word, "0X") {
		return strings.ContainsAny(word, "pP")
	}
	return strings.ContainsAny(word, ".eE") || strings.HasSuffix(word, "h") || strings.HasSuffix(word, "H")
}

// hasFloatSuffix tells whether a floating-point literal names its type.
func hasFloatSuffix(word string) bool {
	return strings.ContainsAny(word[len(word)-1:], "fFhH")
}

// closing returns the index of the bracket that closes the one at i, or -1.
func closing(t []token, i int) int {
	depth := 0
	for ; i < len(t); i++ {
		switch t[i].word {
		case "(", "[", "{":
			depth++
		case ")", "]", "}":
			depth--
			if depth == 0 {
				return i
			}
		}
	}
	return -1
}

// closingAngle returns the index of the > that closes the template list opened at i, or -1 where
// the < at i is a comparison.
func closingAngle(t []token, i int) int {
	depth := 0
	for ; i < len(t); i++ {
		switch t[i].word {
		case "(", "[", "{":
			end := closing(t, i)
			if end < 0 {
				return -1
			}
			i = end
		case "<":
			depth++
		case ">":
			depth--
			if depth == 0 {
				return i
			}
		case ";", "&&", "||", ")", "]", "}":
			return -1
		}
	}
	return -1
}

// index returns the first place of a word outside of brackets and template lists, or -1.
func index(t []token, word string) int {
	for i := 0; i < len(t); i++ {
		if t[i].word == word {
			return i
		}
		switch t[i].word {
		case "(", "[", "{":
			if end := closing(t, i); end >= 0 {
				i = end
			}
		case "<":
			if end := closingAngle(t, i); end >= 0 {
				i = end
			}
		}
	}
	return -1
}

// split cuts at the commas that are outside of brackets and template lists.
func split(t []token) [][]token {
	var parts [][]token
	for len(t) > 0 {
		i := index(t, ",")
		if i < 0 {
			break
		}
		parts = append(parts, t[:i])
		t = t[i+1:]
	}
	if len(t) > 0 {
		parts = append(parts, t)
	}
	return parts
}

// has tells whether a word occurs anywhere.
func has(t []token, word string) bool {
	for i := range t {
		if t[i].word == word {
			return true
		}
	}
	return false
}

// spell joins words with single spaces.
func spell(t []token) string {
	var words []string
	for i := range t {
		if t[i].word != "" {
			words = append(words, t[i].word)
		}
	}
	return strings.Join(words, " ")
}
