package arch

import (
	"encoding/json"
	"fmt"
	"strings"
)

// The classes of tokenizers.
const (
	wordPiece = "BertTokenizer"
	bytePair  = "CLIPTokenizer"
)

// The special tokens of CLIP.
const (
	startOfText = "<|startoftext|>"
	endOfText   = "<|endoftext|>"
)

func (a *architecture) tokenizerConfig() any {
	if a.tokenizer == wordPiece {
		return map[string]any{"do_lower_case": true}
	}
	return map[string]any{"bos_token": startOfText, "eos_token": endOfText, "unk_token": endOfText, "pad_token": a.padding,
		"do_lower_case": true, "model_max_length": a.clip.MaxPositions, "tokenizer_class": bytePair}
}

// addVocabulary adds the files of the tokenizer, with which any English prompt has tokens, of one
// character each.
func (a *architecture) addVocabulary(texts map[string]string) error {
	switch a.tokenizer {
	case wordPiece:
		texts["tokenizer/vocab.txt"] = strings.Join(pieces(a.bert.VocabSize), "\n") + "\n"
	case bytePair:
		ids := map[string]int{}
		for id, symbol := range symbols(a.clip.VocabSize) {
			ids[symbol] = id
		}
		data, err := json.Marshal(ids)
		if err != nil {
			return err
		}
		texts["tokenizer/vocab.json"] = string(data) + "\n"
		texts["tokenizer/merges.txt"] = "#version: 0.2\n"
	}
	return nil
}

// pieces are the special tokens of bert-base-uncased in their places, then single characters; the
// rest is unused.
func pieces(size int) []string {
	pieces := unused(size, "[unused%d]")
	pieces[0] = "[PAD]"
	copy(pieces[100:], []string{"[UNK]", "[CLS]", "[SEP]", "[MASK]"})
	next := 104
	for c := '!'; c <= '~'; c++ {
		pieces[next], pieces[next+1] = string(c), "##"+string(c)
		next += 2
	}
	return pieces
}

// symbols are the single characters and the special tokens of CLIP's vocabulary in their places:
// bytes within words, bytes that end them, and at the end those around the text; the rest is unused.
func symbols(size int) []string {
	symbols := unused(size, "<|unused%d|>")
	for c := '!'; c <= '~'; c++ {
		symbols[c-'!'], symbols[256+c-'!'] = string(c), string(c)+"</w>"
	}
	symbols[size-2], symbols[size-1] = startOfText, endOfText
	return symbols
}

func unused(size int, format string) []string {
	tokens := make([]string, size)
	for i := range tokens {
		tokens[i] = fmt.Sprintf(format, i)
	}
	return tokens
}
