package msl

import (
	"cmp"
	"fmt"
	"slices"
)

// A Problem is what Apple's compiler refuses, or a GPU does wrong, though C++ accepts it.
type Problem struct {
	File    string
	Line    int
	Rule    string // one of [Rules]
	Message string
}

func (p Problem) String() string {
	return fmt.Sprintf("%s:%d: error: %s [%s]", p.File, p.Line, p.Message, p.Rule)
}

// A rule looks for one kind of problem. Sections are of Apple's Metal Shading Language
// Specification, version 3.
type rule struct {
	name  string
	why   string
	check func(l *linter)
}

var rules = []rule{
	{"address-space", "pointers and references name the address space of what they point to (section 4)", (*linter).addressSpaces},
	{"program-scope", "program-scope variables are in constant memory, and have a value (4.2)", (*linter).programScope},
	{"threadgroup-scope", "threadgroup variables are declared in kernels only, without initialiser (4.4)", (*linter).threadgroupScope},
	{"literal", "floating-point literals have a suffix: what MSL reads as float, C++ reads as double (2.1)", (*linter).literalSuffixes},
	{"word", "words and types of C++ that MSL leaves out (1.5.2, 2.1)", (*linter).words},
	{"lambda", "MSL before version 3.2 has no lambdas (1.5.2)", (*linter).lambdas},
	{"static-local", "functions have no static variables: they would be at program scope (4.2)", (*linter).staticLocals},
	{"recursion", "functions do not call themselves (1.5.2)", (*linter).recursion},
	{"kernel", "kernels return nothing, are not called, not overloaded and not named main (5.1)", (*linter).kernels},
	{"arguments", "positions in a grid have one type in all parameters of a kernel; indices are scalars (5.2.3)", (*linter).arguments},
	{"slots", "at most 31 buffers, each in a slot of its own (5.2.1, Metal Feature Set Tables)", (*linter).slots},
	{"early-return", "every thread of a group reaches every barrier (6.9.1)", (*linter).earlyReturns},
}

// Rules are the names of what [Lint] looks for, each with its reason.
func Rules() map[string]string {
	m := map[string]string{}
	for _, r := range rules {
		m[r.name] = r.why
	}
	return m
}

// Lint returns the problems of preprocessed source, in its order. The error tells of source that
// cannot be read at all.
func Lint(file, src string) ([]Problem, error) {
	s, err := parse(file, src)
	if err != nil {
		return nil, err
	}
	l := linter{source: s}
	for _, r := range rules {
		l.rule = r.name
		r.check(&l)
	}
	slices.SortStableFunc(l.problems, func(a, b located) int { return cmp.Compare(a.at, b.at) })
	var list []Problem
	for _, p := range l.problems {
		list = append(list, p.Problem)
	}
	return list, nil
}

type linter struct {
	*source
	rule     string
	problems []located
}

type located struct {
	Problem
	at int // the token
}

func (l *linter) report(at int, format string, args ...any) {
	t := l.tokens[at]
	l.problems = append(l.problems, located{Problem{t.file, t.line, l.rule, fmt.Sprintf(format, args...)}, at})
}

// functions calls f for each function and kernel with a body.
func (l *linter) functions(f func(d *decl)) {
	for i := range l.decls {
		if d := &l.decls[i]; d.kind == functionDecl || d.kind == kernelDecl {
			f(d)
		}
	}
}
