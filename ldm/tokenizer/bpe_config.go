package tokenizer

// BPEConfig holds the fields of a CLIPTokenizer's tokenizer_config.json that change its result; the
// fields of special_tokens_map.json have the same names, and count instead of these in a folder
// whose tokenizer_config.json has no added tokens. The zero value is the default of Hugging Face's
// CLIPTokenizer.
type BPEConfig struct {
	UnknownToken Token `json:"unk_token"` // empty: <|endoftext|>
	StartToken   Token `json:"bos_token"` // empty: <|startoftext|>
	EndToken     Token `json:"eos_token"` // empty: <|endoftext|>
	PadToken     Token `json:"pad_token"` // empty: <|endoftext|>
	// AddedTokens are whole wherever they occur, by id; nil when the file has none. They may be tokens
	// of the vocabulary or follow it, as those of textual inversion do.
	AddedTokens map[int32]AddedToken `json:"added_tokens_decoder"`
	// ModelMaxLength is as in Config.
	ModelMaxLength float64 `json:"model_max_length"`
}

// AddedToken is a token that is whole wherever it occurs. Those that take the white space beside
// them, or count only as a word of their own, are refused.
type AddedToken struct {
	Content    string `json:"content"`
	LeftStrip  bool   `json:"lstrip"`
	RightStrip bool   `json:"rstrip"`
	SingleWord bool   `json:"single_word"`
}
