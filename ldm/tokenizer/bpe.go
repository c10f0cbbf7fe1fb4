package tokenizer

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// BPE is CLIP's tokenizer, byte-pair encoding (Sennrich et al. 2016, arXiv:1508.07909, algorithm 1)
// of bytes: it splits a text into words by a fixed pattern, and joins the bytes of each word by a
// list of merges. It may be used concurrently.
type BPE struct {
	frame
	ids     map[string]int32
	unknown int32

	specials specials
	within   [256]int32 // ids of the symbols of single bytes; missing where the vocabulary has none
	last     [256]int32 // ids of those that end a word
	merges   map[uint64]merge
}

const (
	missing = -1     // is no id
	endMark = "</w>" // ends the symbols that end a word
	maxID   = 1 << 20
	// maxMerges is how many lines of merges.txt count: those of CLIP's vocabulary of 49,408, less the
	// bytes and the two special tokens. The list that it was made from is longer.
	maxMerges = 49152 - 256 - 2
)

// NewBPE reads vocab.json, an object of tokens and their ids, and merges.txt, whose first line is a
// heading and whose others are two symbols each, the earliest to be merged first. Every symbol of a
// merge and their union must have an id, as the special tokens that cfg names. It keeps nothing of
// cfg.
func NewBPE(vocab, merges io.Reader, cfg BPEConfig) (*BPE, error) {
	b := &BPE{}
	if err := b.readVocabulary(vocab); err != nil {
		return nil, err
	}
	if err := b.addTokens(cfg.AddedTokens); err != nil {
		return nil, err
	}
	for _, t := range []struct {
		id           *int32
		field, token string
	}{
		{&b.unknown, "unk_token", cfg.UnknownToken.or(endOfText)},
		{&b.start, "bos_token", cfg.StartToken.or(startOfText)},
		{&b.end, "eos_token", cfg.EndToken.or(endOfText)},
		{&b.pad, "pad_token", cfg.PadToken.or(endOfText)},
	} {
		id, ok := b.ids[t.token]
		if !ok {
			return nil, fmt.Errorf("tokenizer: vocab.json of %d tokens lacks the %s %q", len(b.ids), t.field, t.token)
		}
		if err := b.specials.add(t.token, id); err != nil {
			return nil, err
		}
		*t.id = id
	}
	for c := range 256 {
		symbol := string(alphabet[c])
		b.within[c], b.last[c] = b.idOr(symbol, missing), b.idOr(symbol+endMark, missing)
	}
	return b, b.readMerges(merges)
}

func (b *BPE) readVocabulary(r io.Reader) error {
	data, err := readText(r, "vocab.json")
	if err != nil {
		return err
	}
	var records map[string]json.RawMessage
	if err := json.Unmarshal(data, &records); err != nil {
		return fmt.Errorf("tokenizer: vocab.json is no object of tokens and ids: %w", err)
	}
	b.ids = make(map[string]int32, len(records))
	for token, record := range records {
		id, err := strconv.Atoi(string(record))
		if err != nil {
			return fmt.Errorf("tokenizer: vocab.json: token %.80q has %.80q, want an id", token, record)
		}
		if err := b.name(id, token); err != nil {
			return fmt.Errorf("tokenizer: vocab.json: %w", err)
		}
	}
	return nil
}

// name gives an id its token, and the token its id.
func (b *BPE) name(id int, token string) error {
	if id < 0 || id >= maxID {
		return fmt.Errorf("token %.80q has id %d, want 0 to %d", token, id, maxID-1)
	}
	if other, ok := b.ids[token]; ok && int(other) != id {
		return fmt.Errorf("token %.80q has the ids %d and %d", token, other, id)
	}
	for len(b.tokens) <= id {
		b.tokens = append(b.tokens, "")
	}
	if other := b.tokens[id]; other != "" && other != token {
		return fmt.Errorf("tokens %.80q and %.80q have the id %d", min(token, other), max(token, other), id)
	}
	b.tokens[id], b.ids[token] = token, int32(id)
	return nil
}

func (b *BPE) addTokens(tokens map[int32]AddedToken) error {
	for id, t := range tokens {
		if t.LeftStrip || t.RightStrip || t.SingleWord {
			return fmt.Errorf("tokenizer: added token %.80q is lstrip, rstrip or single_word, want none of them", t.Content)
		}
		if err := b.name(int(id), t.Content); err != nil {
			return fmt.Errorf("tokenizer: added tokens: %w", err)
		}
		if err := b.specials.add(t.Content, id); err != nil {
			return err
		}
	}
	return nil
}

func (b *BPE) readMerges(r io.Reader) error {
	data, err := readText(r, "merges.txt")
	if err != nil {
		return err
	}
	b.merges = map[uint64]merge{}
	_, text, _ := strings.Cut(strings.TrimSpace(newlines.Replace(string(data))), "\n")
	rank := int32(0)
	for line := range strings.Lines(text) {
		if rank == maxMerges {
			break
		}
		symbols := strings.Fields(line)
		if len(symbols) != 2 {
			return fmt.Errorf("tokenizer: merges.txt: merge %d is %.80q, want two symbols", rank+1, strings.TrimSpace(line))
		}
		var ids [3]int32
		for i, symbol := range append(symbols, symbols[0]+symbols[1]) {
			if ids[i] = b.idOr(symbol, missing); ids[i] == missing {
				return fmt.Errorf("tokenizer: merges.txt: merge %d makes %.80q, and vocab.json lacks %.80q",
					rank+1, symbols[0]+symbols[1], symbol)
			}
		}
		b.merges[pairKey(ids[0], ids[1])] = merge{rank: rank, id: ids[2]}
		rank++
	}
	return nil
}

func (b *BPE) idOr(token string, other int32) int32 {
	if id, ok := b.ids[token]; ok {
		return id
	}
	return other
}

// Pieces returns the tokens of text, nil when it has none, without those that Encode adds.
func (b *BPE) Pieces(text string) []string { return collect(b.tokensOf(text)) }

// Encode is as Tokenizer says. With n the length of text, it takes time n log n and memory
// proportional to the longest word beyond the result.
func (b *BPE) Encode(text string, length int) (ids []int32, pieces []string, truncated int) {
	return b.encode(b.tokensOf(text), length)
}

// tokensOf gives the tokens of text in order; symbols without an id are the unknown token.
func (b *BPE) tokensOf(text string) func(yield) {
	return func(yield yield) {
		var m merger
		give := func(id int32) {
			if id == missing {
				id = b.unknown
			}
			yield(b.tokens[id], id)
		}
		b.specials.split(text, func(text string) {
			eachWord(text, true, false, func(runes []rune) {
				word := string(runes)
				if !norm.NFC.IsNormalString(word) {
					runes = compose(runes)
				}
				word = lowerWord(runes)
				for word != "" {
					n, kind := match(word)
					switch kind {
					case special:
						give(b.idOr(word[:n], missing))
					case ordinary:
						b.join(&m, word[:n], give)
					}
					word = word[n:]
				}
			})
		}, yield)
	}
}
