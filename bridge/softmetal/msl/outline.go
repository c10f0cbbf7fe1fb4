package msl

import (
	"fmt"
	"strings"
)

type declKind byte

const (
	otherDecl     declKind = iota // using, typedef, static_assert, a prototype
	functionDecl                  // a function with its body
	kernelDecl                    // a kernel with its body
	structDecl                    // struct, class, union or enum
	variableDecl                  // at program scope
	instanceDecl                  // template [[host_name("…")]] kernel void f<half>(…);
	namespaceDecl                 // its contents follow as declarations of their own
)

// A decl is one declaration outside of functions. All ranges are of the source's tokens.
type decl struct {
	kind       declKind
	name       string
	start, end int // from the first token to behind the last
	nameAt     int
	params     [2]int // between the parentheses of a function
	body       [2]int // from { to behind }, empty where there is none
	template   bool
	namespace  string
	attributes []attribute // of the declaration as a whole
}

type attribute struct {
	name string
	args []token
}

func (d *decl) attribute(name string) *attribute {
	for i := range d.attributes {
		if d.attributes[i].name == name {
			return &d.attributes[i]
		}
	}
	return nil
}

// A source is a tokenized file with its declarations.
type source struct {
	tokens []token
	decls  []decl
}

// problem makes an error that names the place of token i.
func (s *source) problem(i int, format string, args ...any) error {
	t := s.tokens[min(i, len(s.tokens)-1)]
	return fmt.Errorf("%s:%d: error: %s", t.file, t.line, fmt.Sprintf(format, args...))
}

// parse reads the declarations of preprocessed source.
func parse(file, src string) (*source, error) {
	tokens, err := lex(file, src)
	if err != nil {
		return nil, err
	}
	s := &source{tokens: tokens}
	if err := s.checkBrackets(); err != nil {
		return nil, err
	}
	return s, s.scope(margin, len(tokens)-margin, "")
}

// checkBrackets makes sure that every bracket has its partner, which all later passes rely on.
func (s *source) checkBrackets() error {
	partner := map[string]string{")": "(", "]": "[", "}": "{"}
	var open []int
	for i := range s.tokens {
		switch w := s.tokens[i].word; w {
		case "(", "[", "{":
			open = append(open, i)
		case ")", "]", "}":
			if len(open) == 0 || s.tokens[open[len(open)-1]].word != partner[w] {
				return s.problem(i, "%s closes nothing", w)
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		i := open[len(open)-1]
		return s.problem(i, "%s is not closed", s.tokens[i].word)
	}
	return nil
}

// scope reads the declarations between two tokens.
func (s *source) scope(i, end int, namespace string) error {
	for i < end {
		if s.tokens[i].word == ";" {
			i++
			continue
		}
		d := decl{start: i, namespace: namespace}
		if err := s.declaration(&d, end); err != nil {
			return err
		}
		s.decls = append(s.decls, d)
		if d.kind == namespaceDecl {
			if err := s.scope(d.body[0]+1, d.body[1]-1, namespace+d.name+"::"); err != nil {
				return err
			}
		}
		i = d.end
	}
	return nil
}

// declaration reads the one that starts at d.start: up to its semicolon, or to the end of its body.
func (s *source) declaration(d *decl, end int) error {
	t := s.tokens
	i := d.start
	head := i // where the declaration begins, after its template list
	initialised := false
	for ; ; i++ {
		if i >= end {
			return s.problem(d.start, "a declaration without an end: %s", snippet(t[d.start:end]))
		}
		switch t[i].word {
		case "template":
			if t[i+1].word == "<" {
				close := closingAngle(t, i+1)
				if close < 0 {
					return s.problem(i, "a template list without an end")
				}
				d.template, i, head = true, close, close+1
			}
		case "(", "[":
			if isAttribute(t, i) {
				d.attributes = append(d.attributes, attributes(t, i)...)
			}
			i = closing(t, i)
		case "=":
			initialised = initialised || !has(t[head:i], "operator")
		case "{":
			close := closing(t, i)
			if initialised {
				i = close
				continue
			}
			d.body = [2]int{i, close + 1}
			d.end = close + 1
			return s.classify(d, head, i)
		case ";":
			d.end = i + 1
			return s.classify(d, head, i)
		}
	}
}

// classify finds the kind and the name from the tokens before the body or the semicolon.
func (s *source) classify(d *decl, head, headEnd int) error {
	t := s.tokens
	h := t[head:headEnd]
	if len(h) == 0 {
		return s.problem(head, "a declaration without a head: %s", snippet(t[d.start:d.end]))
	}
	switch first := t[head].word; {
	case first == "namespace":
		d.kind = namespaceDecl
		d.name = spell(h[1:])
		return nil
	case first == "using" || first == "typedef" || first == "static_assert" || first == "extern":
		if first == "typedef" && d.body[1] > 0 { // typedef struct { … } name;
			d.end = s.pastSemicolon(d.end)
		}
		return nil
	case first == "template":
		d.kind = instanceDecl
		if !d.isKernel(h) {
			d.kind = otherDecl
			return nil
		}
		return s.instance(d, head+1, headEnd)
	case isType(h):
		d.kind = structDecl
		d.name = spell(h[1:min(2, len(h))])
		if d.body[1] > 0 {
			d.end = s.pastSemicolon(d.end)
		}
		return nil
	}
	open := s.parameters(head, headEnd)
	if open >= 0 && (index(h, "=") < 0 || has(h, "operator")) {
		d.nameAt = open - 1
		d.name = t[open-1].word
		d.params = [2]int{open + 1, closing(t, open)}
		if d.body[1] > 0 {
			d.kind = functionDecl
			if d.isKernel(h) {
				d.kind = kernelDecl
			}
		}
		return nil
	}
	d.kind = variableDecl
	d.nameAt = s.variableName(head, headEnd)
	d.name = t[d.nameAt].word
	return nil
}

// isType tells whether a head is that of a struct, class, union or enum, not of something that
// returns one.
func isType(h []token) bool {
	switch h[0].word {
	case "struct", "class", "union", "enum":
		return index(h, "(") < 0 && index(h, "=") < 0
	}
	return false
}

func (d *decl) isKernel(h []token) bool {
	return index(h, "kernel") >= 0 || d.attribute("kernel") != nil
}

func (s *source) pastSemicolon(i int) int {
	for s.tokens[i].word != ";" && s.tokens[i].kind != ending {
		i++
	}
	return i + 1
}

// parameters returns the index of the parenthesis that opens a function's parameters, or -1.
func (s *source) parameters(head, end int) int {
	t := s.tokens
	for i := head; i < end; i++ {
		switch t[i].word {
		case "(":
			prev := t[i-1]
			if i > head && prev.kind == identifier && prev.word != "decltype" && prev.word != "alignas" {
				return i
			}
			i = closing(t, i)
		case "[":
			i = closing(t, i)
		case "<":
			if close := closingAngle(t, i); close >= 0 {
				i = close
			}
		}
	}
	return -1
}

// variableName returns the index of the name that a declaration declares: the last identifier
// before its dimensions, its attributes, its initialiser.
func (s *source) variableName(start, end int) int {
	at := start
	for i := start; i < end; i++ {
		switch t := s.tokens[i]; {
		case t.word == "=" || t.word == "{":
			return at
		case t.word == "(" || t.word == "[":
			i = closing(s.tokens, i)
		case t.word == "<":
			if close := closingAngle(s.tokens, i); close >= 0 {
				i = close
			}
		case t.kind == identifier:
			at = i
		}
	}
	return at
}

// instance reads what follows template in an explicit instantiation of a kernel: the name is all
// of f<half, 2>.
func (s *source) instance(d *decl, start, end int) error {
	t := s.tokens
	at := -1
	for i := start; i < end; i++ {
		switch t[i].word {
		case "(", "[":
			i = closing(t, i)
		case "<":
			close := closingAngle(t, i)
			if close < 0 {
				return s.problem(i, "a template list without an end")
			}
			at = i - 1
			d.name = strings.ReplaceAll(spell(t[at:close+1]), " ", "")
			i = close
		}
	}
	if at < start {
		return s.problem(start, "an instance of a kernel without template arguments")
	}
	d.nameAt = at
	d.name = spell(t[at : closingAngle(t, at+1)+1])
	return nil
}

// isAttribute tells whether [[ stands at i.
func isAttribute(t []token, i int) bool {
	return t[i].word == "[" && t[i+1].word == "[" && t[i+1].before == "" && t[i+2].kind == identifier
}

// attributes reads the list at [[.
func attributes(t []token, i int) []attribute {
	var list []attribute
	inner := t[i+2 : closing(t, i+1)]
	for _, part := range split(inner) {
		a := attribute{name: spell(part)}
		if open := index(part, "("); open >= 0 {
			a.name = spell(part[:open])
			a.args = part[open+1 : closing(part, open)]
		}
		list = append(list, a)
	}
	return list
}

// attributesOf reads all lists in a range, and returns the tokens without them.
func attributesOf(t []token) (rest []token, list []attribute) {
	for i := 0; i < len(t); i++ {
		if i+2 < len(t) && isAttribute(t, i) {
			list = append(list, attributes(t, i)...)
			i = closing(t, i)
			continue
		}
		rest = append(rest, t[i])
	}
	return rest, list
}

// snippet is the start of a range, for messages.
func snippet(t []token) string {
	return spell(t[:min(len(t), 8)])
}
