package verify

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"ldm-mac/ldm/tokenizer"
)

// tokenizerChecks compare WordPiece with the published tests of Hugging Face's BertTokenizer, and
// BPE with that of CLIPTokenizer.
func tokenizerChecks() []Check {
	const source = "huggingface/transformers tests/models/bert/test_tokenization_bert.py "
	yes, no := true, false
	var (
		uncased     = tokenizer.Config{DoLowerCase: &yes}
		cased       = tokenizer.Config{DoLowerCase: &no}
		keepAccents = tokenizer.Config{DoLowerCase: &yes, StripAccents: &no}
		accents     = tokenizer.Config{DoLowerCase: &yes, StripAccents: &yes}
		casedKeep   = tokenizer.Config{DoLowerCase: &no, StripAccents: &no}
		casedStrip  = tokenizer.Config{DoLowerCase: &no, StripAccents: &yes}
		western     = tokenizer.Config{TokenizeChineseChars: &no}
	)
	// The vocabulary of the test class; the position of a token is its id.
	published := "[UNK] [CLS] [SEP] [PAD] [MASK] want ##want ##ed wa un runn ##ing , low lowest"
	full := source + "test_full_tokenizer"
	checks := []Check{
		pieces("text with an accent", full, published, uncased, "UNwant\u00e9d,running", "un ##want ##ed , runn ##ing"),
		ids("ids of a text with an accent", full, published, uncased, "UNwant\u00e9d,running", []int32{9, 6, 7, 12, 10, 11}),
		pieces("no text", source+"test_wordpiece_tokenizer", published, cased, "", ""),
		pieces("words in pieces", source+"test_wordpiece_tokenizer", published, cased, "unwanted running", "un ##want ##ed runn ##ing"),
		pieces("unknown word", source+"test_wordpiece_tokenizer", published, cased, "unwantedX running", "[UNK] runn ##ing"),
		pieces("unknown word in capitals", source+"test_clean_text", published, uncased, "Test", "[UNK]"),
		pieces("soft hyphen", source+"test_clean_text", published, uncased, "\u00ad", ""),
	}
	// These publish the words or pieces of a text without a vocabulary; it is made of them.
	for _, c := range []struct {
		name, test string
		cfg        tokenizer.Config
		text, want string
	}{
		{"ideographs", "test_chinese", uncased, "ah\u535a\u63a8zz", "ah \u535a \u63a8 zz"},
		{"lower case", "test_basic_tokenizer_lower", uncased, " \tHeLLo!how  \n Are yoU?  ", "hello ! how are you ?"},
		{"accent", "test_basic_tokenizer_lower", uncased, "H\u00e9llo", "hello"},
		{"lower case, accents kept", "test_basic_tokenizer_lower_strip_accents_false", keepAccents,
			" \tH\u00e4LLo!how  \n Are yoU?  ", "h\u00e4llo ! how are you ?"},
		{"accent kept", "test_basic_tokenizer_lower_strip_accents_false", keepAccents, "H\u00e9llo", "h\u00e9llo"},
		{"lower case, accents stripped", "test_basic_tokenizer_lower_strip_accents_true", accents,
			" \tH\u00e4LLo!how  \n Are yoU?  ", "hallo ! how are you ?"},
		{"accents by default", "test_basic_tokenizer_lower_strip_accents_default", uncased,
			" \tH\u00e4LLo!how  \n Are yoU?  ", "hallo ! how are you ?"},
		{"letters as they are", "test_basic_tokenizer_no_lower", cased, " \tHeLLo!how  \n Are yoU?  ", "HeLLo ! how Are yoU ?"},
		{"letters as they are, accents kept", "test_basic_tokenizer_no_lower_strip_accents_false", casedKeep,
			" \tH\u00e4LLo!how  \n Are yoU?  ", "H\u00e4LLo ! how Are yoU ?"},
		{"letters as they are, accents stripped", "test_basic_tokenizer_no_lower_strip_accents_true", casedStrip,
			" \tH\u00e4LLo!how  \n Are yoU?  ", "HaLLo ! how Are yoU ?"},
		{"special token", "test_basic_tokenizer_respects_never_split_tokens", cased,
			" \tHeLLo!how  \n Are yoU? [UNK]", "HeLLo ! how Are yoU ? [UNK]"},
		{"punctuation", "test_basic_tokenizer_splits_on_punctuation", uncased,
			"a\n'll !!to?'d of, can't.", "a ' ll ! ! to ? ' d of , can ' t ."},
		{"control characters", "test_basic_tokenizer_remove_control_chars_true", uncased, "\u200e\u200f", ""},
		{"mask, uncased", "test_offsets_with_special_characters", uncased, "A, na\u00efve [MASK] AllenNLP sentence.",
			"a , naive [MASK] allen ##nl ##p sentence ."},
		{"mask, cased", "test_offsets_with_special_characters", cased, "A, na\u00efve [MASK] AllenNLP sentence.",
			"A , na ##\u00ef ##ve [MASK] Allen ##NL ##P sentence ."},
		{"ideographs apart", "test_change_tokenize_chinese_chars", uncased, "\u7684\u4eba\u6709", "\u7684 \u4eba \u6709"},
		{"ideographs as one word", "test_change_tokenize_chinese_chars", western, "\u7684\u4eba\u6709", "\u7684 ##\u4eba ##\u6709"},
	} {
		vocab := "[UNK] [CLS] [SEP] [PAD] [MASK] " + c.want
		checks = append(checks, pieces(c.name, source+c.test, vocab, c.cfg, c.text, c.want))
	}
	return append(checks, bytePairs("byte pairs", []int32{10, 2, 16, 9, 3, 2, 16, 20}))
}

// bytePairs is the check of CLIPTokenizer's published ids, without those around the text's.
func bytePairs(name string, want []int32) Check {
	const (
		source = "huggingface/transformers tests/models/clip/test_tokenization_clip.py test_full_tokenizer"
		tokens = "l o w e r s t i d n lo l</w> w</w> r</w> t</w> low</w> er</w> lowest</w> newer</w> wider <unk> " +
			"<|startoftext|> <|endoftext|>" // the position of a token is its id
		merges = "#version: 0.2\nl o\nlo w</w>\ne r</w>"
	)
	return Check{"tokenizer", name, source, func() (difference, tolerance float64, err error) {
		places := map[string]int{}
		for i, token := range strings.Fields(tokens) {
			places[token] = i
		}
		vocab, err := json.Marshal(places)
		if err != nil {
			return 0, 0, err
		}
		b, err := tokenizer.NewBPE(bytes.NewReader(vocab), strings.NewReader(merges), tokenizer.BPEConfig{UnknownToken: "<unk>"})
		if err != nil {
			return 0, 0, err
		}
		got, _, truncated := b.Encode("lower newer <unk>", len(want)+2)
		return differing(got[1:len(got)-1], want) + float64(truncated), 0, nil
	}}
}

// pieces is a check of a text's pieces, which like the vocabulary are written with spaces.
func pieces(name, source, vocab string, cfg tokenizer.Config, text, want string) Check {
	return Check{"tokenizer", name, source, func() (difference, tolerance float64, err error) {
		w, err := wordPiece(vocab, cfg)
		if err != nil {
			return 0, 0, err
		}
		return differing(w.Pieces(text), strings.Fields(want)), 0, nil
	}}
}

// ids is a check of a text's ids without those around it.
func ids(name, source, vocab string, cfg tokenizer.Config, text string, want []int32) Check {
	return Check{"tokenizer", name, source, func() (difference, tolerance float64, err error) {
		w, err := wordPiece(vocab, cfg)
		if err != nil {
			return 0, 0, err
		}
		got, _, truncated := w.Encode(text, len(want)+2)
		return differing(got[1:len(got)-1], want) + float64(truncated), 0, nil
	}}
}

func wordPiece(vocab string, cfg tokenizer.Config) (*tokenizer.WordPiece, error) {
	return tokenizer.NewWordPiece(strings.NewReader(strings.ReplaceAll(vocab, " ", "\n")), cfg)
}

// differing counts the places where a and b differ, and those that only one of them has.
func differing[T comparable](a, b []T) float64 {
	if slices.Equal(a, b) {
		return 0
	}
	n := max(len(a), len(b)) - min(len(a), len(b))
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			n++
		}
	}
	return float64(n)
}
