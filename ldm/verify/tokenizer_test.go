package verify

import (
	"testing"

	"ldm-mac/ldm/tokenizer"
)

func TestTokenizerChecks(t *testing.T) { runChecks(t, "tokenizer", tokenizerChecks()) }

func TestTokenizerChecksFail(t *testing.T) {
	const vocab = "[UNK] [CLS] [SEP] [PAD] a b"
	for _, c := range []struct {
		check Check
		want  float64
	}{
		{pieces("other piece", "", vocab, tokenizer.Config{}, "a b", "a a"), 1},
		{pieces("piece too many", "", vocab, tokenizer.Config{}, "a b", "a"), 1},
		{pieces("pieces too few", "", vocab, tokenizer.Config{}, "", "a b"), 2},
		{ids("other ids", "", vocab, tokenizer.Config{}, "a b", []int32{5, 4}), 2},
		{ids("id too many", "", vocab, tokenizer.Config{}, "a b", []int32{4}), 1},
		{bytePairs("other byte pairs", []int32{10, 2, 16, 9, 3, 2, 16, 0}), 1},
		{bytePairs("too few byte pairs", []int32{10, 2, 16}), 5},
	} {
		difference, tolerance, err := c.check.Run()
		if err != nil || difference != c.want || difference <= tolerance {
			t.Errorf("%s: difference %v within %v, error %v; want %v", c.check.Name, difference, tolerance, err, c.want)
		}
	}
	if _, _, err := pieces("no vocabulary", "", "", tokenizer.Config{}, "", "").Run(); err == nil {
		t.Error("a check without a vocabulary gives no error")
	}
}
