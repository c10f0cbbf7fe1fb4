package tokenizer

import (
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// The normal forms of Unicode Standard Annex 15 (algorithms: The Unicode Standard, section 3.11)
// without the limit of the norm package, which breaks a run of more than 30 marks with U+034F.
// Properties of single runes are that package's.

// stripAccents returns the decomposition of text without its nonspacing marks.
func stripAccents(text []rune) []rune {
	text = decompose(text)
	kept := text[:0]
	for _, r := range text {
		if r < firstMark || !unicode.Is(unicode.Mn, r) {
			kept = append(kept, r)
		}
	}
	return kept
}

// No rune below firstMark is a combining mark, and none below firstComposite has a decomposition.
const (
	firstMark      = 0x300
	firstComposite = 0xc0
)

// decompose returns the normal form D of text.
func decompose(text []rune) []rune {
	out := make([]rune, 0, len(text))
	var scratch []byte
	for _, r := range text {
		if r < firstComposite {
			out = append(out, r)
			continue
		}
		scratch = norm.NFD.AppendString(scratch[:0], string(r))
		for _, d := range string(scratch) {
			out = append(out, d)
		}
	}
	reorder(out)
	return out
}

// reorder sorts each run of marks by combining class and keeps the order within a class: a
// counting sort, since a run can be as long as a prompt.
func reorder(text []rune) {
	var byClass [256][]rune
	for i := 0; i < len(text); i++ {
		first, sorted := i, true
		for last := uint8(0); i < len(text) && class(text[i]) != 0; i++ {
			sorted = sorted && last <= class(text[i])
			last = class(text[i])
		}
		if sorted {
			continue
		}
		for _, r := range text[first:i] {
			byClass[class(r)] = append(byClass[class(r)], r)
		}
		for c := range byClass {
			first += copy(text[first:], byClass[c])
			byClass[c] = byClass[c][:0]
		}
	}
}

// class is the canonical combining class of r.
func class(r rune) uint8 {
	if r < firstMark {
		return 0
	}
	return norm.NFD.PropertiesString(string(r)).CCC()
}

// compose returns the normal form C of text.
func compose(text []rune) []rune {
	text = decompose(text)
	out := text[:0]
	starter := -1    // index in out of the last rune of class 0
	last := uint8(0) // class of the last rune in out
	for _, r := range text {
		c := class(r)
		if starter >= 0 && (starter == len(out)-1 || last < c) {
			if composite, ok := pair(out[starter], r); ok {
				out[starter] = composite
				continue
			}
		}
		if c == 0 {
			starter = len(out)
		}
		last = c
		out = append(out, r)
	}
	return out
}

// pair returns the rune that a and b compose to.
func pair(a, b rune) (composite rune, ok bool) {
	if b < firstMark {
		return 0, false
	}
	c := []rune(norm.NFC.String(string([]rune{a, b})))
	return c[0], len(c) == 1
}
