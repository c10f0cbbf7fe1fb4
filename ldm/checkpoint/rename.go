package checkpoint

import "strings"

// oldAttention maps the current names of the attention layers of first stages and unconditional
// U-Nets to those that diffusers wrote before 0.17 (diffusers
// src/diffusers/models/modeling_utils.py, _convert_deprecated_attention_blocks). Published
// autoencoders still use them.
var oldAttention = map[string]string{
	"to_q":     "query",
	"to_k":     "key",
	"to_v":     "value",
	"to_out.0": "proj_attn",
}

// oldName returns the deprecated name of a weight: "….attentions.0.to_q.bias" was once
// "….attentions.0.query.bias". False when there is none.
func oldName(name string) (string, bool) {
	head, layer, ok := attention(name)
	for current, old := range oldAttention {
		if parameter, found := strings.CutPrefix(layer, current+"."); ok && found {
			return head + old + "." + parameter, true
		}
	}
	return "", false
}

// CurrentName is the name that diffusers gives today to a weight, which may have a deprecated one:
// "….attentions.0.to_q.bias" for "….attentions.0.query.bias". Other names stay.
func CurrentName(name string) string {
	head, layer, ok := attention(name)
	for current, old := range oldAttention {
		if parameter, found := strings.CutPrefix(layer, old+"."); ok && found {
			return head + current + "." + parameter
		}
	}
	return name
}

// attention cuts the name of a weight behind "attentions.N.".
func attention(name string) (head, layer string, ok bool) {
	head, tail, ok := cutLast(name, "attentions.")
	if !ok || head != "" && !strings.HasSuffix(head, ".") {
		return "", "", false
	}
	index, layer, ok := strings.Cut(tail, ".")
	return head + "attentions." + index + ".", layer, ok
}

func cutLast(s, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(s, separator); i >= 0 {
		return s[:i], s[i+len(separator):], true
	}
	return s, "", false
}
