package msl

import (
	"fmt"
	"sort"
	"strings"
)

// A functionConstant is a program-scope constant whose value the host gives.
type functionConstant struct {
	name, index string
	required    bool // nothing asks whether it is defined
}

// findConstants collects the function constants, and the constants that are made of them.
func (r *rewriter) findConstants() error {
	t := r.tokens
	asked := map[string]bool{}
	for i := 0; i+2 < len(t); i++ {
		if t[i].word == "is_function_constant_defined" {
			asked[t[i+2].word] = true
		}
	}
	r.derived = map[string]bool{}
	known := map[string]bool{}
	for _, d := range r.decls {
		if d.kind != variableDecl {
			continue
		}
		if a := d.attribute("function_constant"); a != nil {
			if len(a.args) == 0 {
				return r.problem(d.start, "function_constant of %s has no index", d.name)
			}
			r.constants = append(r.constants, functionConstant{d.name, spell(a.args), !asked[d.name]})
			known[d.name] = true
			continue
		}
		for i := d.nameAt + 1; i < d.end; i++ {
			if known[t[i].word] {
				r.derived[d.name] = true
				known[d.name] = true
			}
		}
	}
	return nil
}

// variable rewrites a function constant into a variable that the host sets, and a constant made of
// function constants into an object that computes it at each use.
func (r *rewriter) variable(d *decl) error {
	t := r.tokens
	typ := func() string {
		var words []string
		for _, x := range t[d.start:d.nameAt] {
			switch x.word {
			case "constant", "const", "constexpr", "static":
			default:
				words = append(words, x.word)
			}
		}
		return strings.Join(words, " ")
	}
	switch {
	case d.attribute("function_constant") != nil:
		r.replace(d.start, d.end, fmt.Sprintf("static %s %s; static bool sm_defined_%[2]s;", typ(), d.name))
	case r.derived[d.name]:
		if t[d.nameAt+1].word != "=" {
			return r.problem(d.nameAt, "%s is made of function constants but has no plain initialiser", d.name)
		}
		value := spell(t[d.nameAt+2 : d.end-1])
		r.replace(d.start, d.end, fmt.Sprintf("static struct { operator %s() const { return %s; } } %s;", typ(), value, d.name))
	}
	return nil
}

// definedness spells is_function_constant_defined(X) as the variable that tells it.
func (r *rewriter) definedness() {
	t := r.tokens
	for i := 0; i+3 < len(t); i++ {
		if t[i].word == "is_function_constant_defined" {
			t[i].word = "(sm_defined_" + t[i+2].word
			t[i+1].word, t[i+2].word = "", ""
		}
	}
}

// usesOfNames maps the name of each function, struct and program-scope constant to the names in it,
// without members and what it declares itself.
func (s *source) usesOfNames() map[string]map[string]bool {
	uses := map[string]map[string]bool{}
	for _, d := range s.decls {
		if d.name == "" {
			continue
		}
		if uses[d.name] == nil {
			uses[d.name] = map[string]bool{}
		}
		from := d.body[0]
		if d.kind == kernelDecl {
			from = d.params[0] // which may depend on constants
		} else if d.kind == variableDecl {
			from = d.nameAt + 1
		} else if d.body[1] == 0 {
			continue
		}
		declared := map[string]bool{}
		for i := from; i < d.end; i++ {
			switch word, before := s.tokens[i].word, s.tokens[i-1]; {
			case s.tokens[i].kind != identifier || before.word == "." || before.word == "->":
			case before.kind == identifier && !beginsExpression(before.word):
				declared[word] = true
			default:
				uses[d.name][word] = true
			}
		}
		for name := range declared {
			delete(uses[d.name], name)
		}
	}
	return uses
}

// beginsExpression tells whether a name after this word is used, not declared.
func beginsExpression(word string) bool {
	switch word {
	case "return", "else", "case", "do", "sizeof", "operator":
		return true
	}
	return false
}

// constantsOf returns the function constants that a function depends on, itself or through what it
// calls, in the order of their indices' text.
func (r *rewriter) constantsOf(function string) []functionConstant {
	reached := map[string]bool{}
	var visit func(string)
	visit = func(name string) {
		if reached[name] {
			return
		}
		reached[name] = true
		for next := range r.uses[name] {
			visit(next)
		}
	}
	visit(function)
	var list []functionConstant
	for _, c := range r.constants {
		if reached[c.name] {
			list = append(list, c)
		}
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].index < list[j].index })
	return list
}
