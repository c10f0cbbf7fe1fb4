package tokenizer

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// maxVocabulary bounds vocab.txt in bytes. The largest published BERT vocabulary, of LaBSE, has
// half a million tokens in 5 MB.
const maxVocabulary = 64 << 20

// vocabulary maps tokens to ids and back.
type vocabulary struct {
	tokens  []string // by id
	ids     map[string]int32
	follow  map[string]int32 // pieces within a word, without their mark
	longest int              // bytes of the longest token
}

// followMark starts the pieces that go on with a word.
const followMark = "##"

// newlines makes line ends of CR LF and CR what they are in Python's text files.
var newlines = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// readVocabulary reads one token a line; the line's number, from 0, is its id. The last of equal
// tokens counts.
func readVocabulary(r io.Reader) (*vocabulary, error) {
	data, err := readText(r, "vocabulary")
	if err != nil {
		return nil, err
	}
	text := newlines.Replace(string(data))
	v := &vocabulary{
		tokens: strings.Split(strings.TrimSuffix(text, "\n"), "\n"),
		ids:    map[string]int32{},
		follow: map[string]int32{},
	}
	for id, token := range v.tokens {
		v.ids[token] = int32(id)
		if piece, ok := strings.CutPrefix(token, followMark); ok {
			v.follow[piece] = int32(id)
		}
		v.longest = max(v.longest, len(token))
	}
	return v, nil
}

// special returns the id of a token that the vocabulary must have.
func (v *vocabulary) special(field, token string) (int32, error) {
	id, ok := v.ids[token]
	if !ok {
		return 0, fmt.Errorf("tokenizer: vocabulary of %d tokens lacks the %s %q", len(v.tokens), field, token)
	}
	return id, nil
}

func (v *vocabulary) has(token string) bool {
	_, ok := v.ids[token]
	return ok
}

func (v *vocabulary) idOr(token string, other int32) int32 {
	if id, ok := v.ids[token]; ok {
		return id
	}
	return other
}

// longestPiece returns the longest token that text starts with and its length in bytes, 0 when
// there is none. Within a word it looks for the pieces that follow others.
func (v *vocabulary) longestPiece(text string, within bool) (id int32, length int) {
	pieces := v.ids
	if within {
		pieces = v.follow
	}
	end := min(len(text), v.longest)
	for ; end > 0; end-- {
		if end < len(text) && !utf8.RuneStart(text[end]) {
			continue
		}
		if id, ok := pieces[text[:end]]; ok {
			return id, end
		}
	}
	return 0, 0
}
