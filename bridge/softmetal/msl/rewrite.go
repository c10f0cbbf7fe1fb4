// Package msl turns kernels in the Metal Shading Language into C++ that clang compiles for the host,
// and finds what Apple's compiler would refuse but C++ accepts.
//
// The one idea: MSL is C++14 with few additions, so the source is kept token by token, on its own
// lines, and only what C++ lacks is replaced: constructors and casts of vectors, variables in
// threadgroup memory, function constants, and kernels' entry points. The rest is softmetal.h, in
// package device. Source: Apple, Metal Shading Language Specification, version 3.
package msl

import (
	"fmt"
	"strings"
)

// Rewrite turns preprocessed MSL into C++. With strict, address spaces are part of the types and
// the result can only be type-checked. Errors name file and line.
func Rewrite(file, src string, strict bool) (string, error) {
	s, err := parse(file, src)
	if err != nil {
		return "", err
	}
	r := rewriter{source: s, strict: strict}
	if err := r.findConstants(); err != nil {
		return "", err
	}
	r.uses = s.usesOfNames()
	r.definedness()
	r.literals()
	r.constructors()
	for i := range s.decls {
		if err := r.declaration(&s.decls[i]); err != nil {
			return "", err
		}
	}
	return r.render(), nil
}

type rewriter struct {
	*source
	strict    bool
	constants []functionConstant
	uses      map[string]map[string]bool
	derived   map[string]bool // program-scope constants made of function constants
	kernels   []*kernel
	instances []instance
}

// replace puts text in place of the tokens from start to end, on the line of the first.
func (r *rewriter) replace(start, end int, text string) {
	for i := start; i < end; i++ {
		r.tokens[i].word = ""
	}
	r.tokens[start].word = text
}

func (r *rewriter) declaration(d *decl) error {
	switch d.kind {
	case kernelDecl:
		if err := r.kernel(d); err != nil {
			return err
		}
		return r.body(d)
	case functionDecl:
		r.dropKeyword(d.start, d.params[0], "kernel")
		return nil
	case instanceDecl:
		return r.instance(d)
	case variableDecl:
		return r.variable(d)
	}
	return nil
}

func (r *rewriter) dropKeyword(start, end int, word string) {
	for i := start; i < end; i++ {
		if r.tokens[i].word == word {
			r.tokens[i].word = ""
		}
	}
}

// body rewrites the threadgroup variables of a kernel.
func (r *rewriter) body(d *decl) error {
	t := r.tokens
	for i := d.body[0]; i < d.body[1]; i++ {
		if !r.isThreadgroupVariable(i) {
			continue
		}
		end := i
		for t[end].word != ";" {
			end++
		}
		text, err := r.threadgroupVariables(i, end)
		if err != nil {
			return err
		}
		r.replace(i, end, text)
		i = end
	}
	return nil
}

// isThreadgroupVariable tells whether a statement that declares variables, not pointers to them,
// in threadgroup memory begins at i.
func (s *source) isThreadgroupVariable(i int) bool {
	t := s.tokens
	if t[i].word != "threadgroup" {
		return false
	}
	switch t[i-1].word {
	case ";", "{", "}", ")":
	default:
		return false
	}
	end := i
	for t[end].word != ";" && t[end].kind != ending {
		end++
	}
	return index(t[i:end], "*") < 0 && index(t[i:end], "&") < 0
}

// threadgroupVariables spells threadgroup T a[n], b; as references into the memory that the
// executor keeps for the group; strictly, as variables of that address space.
func (r *rewriter) threadgroupVariables(start, end int) (string, error) {
	t := r.tokens
	var out strings.Builder
	var typ string
	for n, part := range split(t[start+1 : end]) {
		if index(part, "=") >= 0 {
			return "", r.problem(start, "a threadgroup variable with an initialiser: %s", snippet(part))
		}
		name := 0
		for i := 0; i < len(part) && part[i].word != "["; i++ {
			if part[i].word == "<" {
				if close := closingAngle(part, i); close >= 0 {
					i = close
				}
			}
			name = i
		}
		if n == 0 {
			typ = spell(part[:name])
		}
		v, dims := part[name].word, spell(part[name+1:])
		if part[name].kind != identifier || typ == "" {
			return "", r.problem(start, "a threadgroup variable that cannot be read: %s", snippet(part))
		}
		fmt.Fprintf(&out, "typedef %s sm_type_%s %s; ", typ, v, dims)
		if r.strict {
			fmt.Fprintf(&out, "static threadgroup sm_type_%[1]s %[1]s; ", v)
			continue
		}
		fmt.Fprintf(&out, "static const char sm_key_%[1]s = 0; sm_type_%[1]s &%[1]s = *(sm_type_%[1]s *)"+
			"sm_threadgroup_variable(&sm_key_%[1]s, sizeof(sm_type_%[1]s), alignof(sm_type_%[1]s), \"%[1]s\", SM_SITE); ", v)
	}
	return strings.TrimSuffix(out.String(), "; "), nil
}

// render joins the tokens, and appends what describes the library to its host.
func (r *rewriter) render() string {
	var out strings.Builder
	out.WriteString("#include \"softmetal.h\"\n")
	for i := range r.tokens {
		out.WriteString(r.tokens[i].before)
		out.WriteString(r.tokens[i].word)
	}
	out.WriteString("\n# 1 \"softmetal tables\"\n")
	r.tables(&out)
	return out.String()
}
