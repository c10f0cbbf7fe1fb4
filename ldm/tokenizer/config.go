package tokenizer

import (
	"encoding/json"
	"fmt"
)

// Config holds the fields of a BertTokenizer's tokenizer_config.json that change its result. The
// zero value is the default of Hugging Face's BertTokenizer.
type Config struct {
	DoBasicTokenize      *bool    `json:"do_basic_tokenize"`      // nil: true; false is refused
	DoLowerCase          *bool    `json:"do_lower_case"`          // nil: true
	StripAccents         *bool    `json:"strip_accents"`          // nil: as DoLowerCase
	TokenizeChineseChars *bool    `json:"tokenize_chinese_chars"` // nil: true
	NeverSplit           []string `json:"never_split"`            // words that stay whole, as they are after lower-casing
	UnknownToken         Token    `json:"unk_token"`              // empty: [UNK]
	ClassToken           Token    `json:"cls_token"`              // empty: [CLS]
	SeparatorToken       Token    `json:"sep_token"`              // empty: [SEP]
	PadToken             Token    `json:"pad_token"`              // empty: [PAD]
	MaskToken            Token    `json:"mask_token"`             // empty: [MASK]
	// ModelMaxLength is the number of tokens that the text encoder takes; 0 and about 1e30, which
	// is what Hugging Face writes for it, say that the folder does not know.
	ModelMaxLength float64 `json:"model_max_length"`
}

// Token is a special token's text. In JSON it is a string, or an object whose content is the text.
type Token string

// UnmarshalJSON reads both forms; null leaves the token as it is.
func (t *Token) UnmarshalJSON(data []byte) error {
	var text *string
	if json.Unmarshal(data, &text) == nil {
		if text != nil {
			*t = Token(*text)
		}
		return nil
	}
	var object struct{ Content *string }
	if err := json.Unmarshal(data, &object); err != nil || object.Content == nil {
		return fmt.Errorf("tokenizer: special token %.80q is neither a string nor an object with content", data)
	}
	*t = Token(*object.Content)
	return nil
}

// or is the token, or the default when there is none.
func (t Token) or(standard string) string {
	if t == "" {
		return standard
	}
	return string(t)
}
