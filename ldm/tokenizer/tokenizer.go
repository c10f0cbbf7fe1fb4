// Package tokenizer turns prompts into the ids that text encoders were trained on.
//
// The one idea: ids must equal those of the original tokenizer on every string, so each step is
// the original's, in its order, with its rules for Unicode 15.0. The originals are the classes that
// the folders of models name, Hugging Face's BertTokenizer and CLIPTokenizer, written in Python;
// the fast tokenizers beside them differ. BertTokenizerFast does in characters newer than Unicode
// 8, in ideographs from U+2B820 to U+2B91F, and by leaving out normal form C when accents stay.
// CLIPTokenizerFast keeps control and format characters and does not take ideographs apart, as
// CLIPTokenizer does too where the Python package ftfy is installed; without it, as here, it cleans
// texts like BertTokenizer.
//
// Source: huggingface/transformers src/transformers/models/bert/tokenization_bert.py,
// src/transformers/models/clip/tokenization_clip.py and src/transformers/tokenization_utils.py.
package tokenizer

import (
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

// Tokenizer is a *WordPiece or a *BPE.
type Tokenizer interface {
	// Encode returns ids [length] and their tokens: one that starts, those of text, one that ends,
	// and padding up to length. Tokens of text without a place are left out and counted in
	// truncated. A length of 1 has no place for the end; one below 1 gives nothing.
	Encode(text string, length int) (ids []int32, pieces []string, truncated int)
	// Pieces returns the tokens of text, nil when it has none, without those that Encode adds.
	Pieces(text string) []string
	// Size returns the number of ids: every id is from 0 to Size()-1.
	Size() int
}

// A yield takes a token and its id.
type yield func(piece string, id int32)

// frame holds the tokens around those of a text.
type frame struct {
	tokens          []string // by id, of the whole vocabulary
	start, end, pad int32
}

// Size returns the number of ids: every id is from 0 to Size()-1.
func (f *frame) Size() int { return len(f.tokens) }

// encode is Tokenizer.Encode for the tokens that each gives.
func (f *frame) encode(each func(yield), length int) (ids []int32, pieces []string, truncated int) {
	add := func(piece string, id int32) {
		ids = append(ids, id)
		pieces = append(pieces, piece)
	}
	if length > 0 {
		add(f.tokens[f.start], f.start)
	}
	each(func(piece string, id int32) {
		if len(ids) < length-1 {
			add(piece, id)
		} else {
			truncated++
		}
	})
	if len(ids) < length {
		add(f.tokens[f.end], f.end)
	}
	for len(ids) < length {
		add(f.tokens[f.pad], f.pad)
	}
	return ids, pieces, truncated
}

// collect is Tokenizer.Pieces for the tokens that each gives.
func collect(each func(yield)) (pieces []string) {
	each(func(piece string, _ int32) { pieces = append(pieces, piece) })
	return pieces
}

// maxSpecial bounds a special token in bytes, since a text is compared with it at every place.
const maxSpecial = 256

// specials are the tokens that are whole wherever they occur in a text.
type specials struct {
	ids     map[string]int32
	lengths []int // of the tokens in bytes, each once, the longest first
	first   [256]bool
}

// add gives a token its id; the empty token is never found.
func (s *specials) add(token string, id int32) error {
	if len(token) > maxSpecial {
		return fmt.Errorf("tokenizer: special token %.80q has %d bytes, want at most %d", token, len(token), maxSpecial)
	}
	if token == "" {
		return nil
	}
	if s.ids == nil {
		s.ids = map[string]int32{}
	}
	s.ids[token] = id
	s.first[token[0]] = true
	if !slices.Contains(s.lengths, len(token)) {
		s.lengths = append(s.lengths, len(token))
		slices.SortFunc(s.lengths, func(a, b int) int { return b - a })
	}
	return nil
}

func (s *specials) has(token string) bool {
	_, ok := s.ids[token]
	return ok
}

// at returns the longest special token that text starts with, or "".
func (s *specials) at(text string) string {
	if !s.first[text[0]] {
		return ""
	}
	for _, n := range s.lengths {
		if n <= len(text) && s.has(text[:n]) {
			return text[:n]
		}
	}
	return ""
}

// split gives yield the special tokens of text, and ordinary the parts between them.
func (s *specials) split(text string, ordinary func(text string), yield yield) {
	start := 0
	for i := 0; i < len(text); {
		token := s.at(text[i:])
		if token == "" {
			i++
			continue
		}
		ordinary(text[start:i])
		yield(token, s.ids[token])
		i += len(token)
		start = i
	}
	ordinary(text[start:])
}

// readText reads UTF-8 text of at most maxVocabulary bytes; name is what messages call it.
func readText(r io.Reader, name string) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxVocabulary+1))
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", name, err)
	}
	if len(data) > maxVocabulary {
		return nil, fmt.Errorf("tokenizer: %s is larger than %d bytes", name, maxVocabulary)
	}
	if !utf8.Valid(data) {
		return nil, fmt.Errorf("tokenizer: %s is not UTF-8 text", name)
	}
	return data, nil
}
