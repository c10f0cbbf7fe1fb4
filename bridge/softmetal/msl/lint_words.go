package msl

import "strings"

// leftOut are the words of C++ that MSL does not have, with what is wrong about them.
var leftOut = map[string]string{
	"double":       "there is no double",
	"bfloat":       "bfloat needs MSL 3.1, on macOS 14",
	"goto":         "there is no goto",
	"new":          "there is no memory to allocate",
	"delete":       "there is no memory to allocate",
	"virtual":      "there are no virtual functions",
	"dynamic_cast": "there is no type information at run time",
	"typeid":       "there is no type information at run time",
	"throw":        "there are no exceptions",
	"try":          "there are no exceptions",
	"catch":        "there are no exceptions",
	"thread_local": "there is no thread-local storage",
	"register":     "there is no register storage",
	"std":          "there is no C++ standard library, metal_stdlib only",
	"asm":          "there is no assembler that all drivers take",
	"__asm":        "there is no assembler that all drivers take",
	"__asm__":      "there is no assembler that all drivers take",
	"__int128":     "integers have 64 bits at most",
	"erf":          "metal_stdlib has no erf",
	"lgamma":       "metal_stdlib has no lgamma",
}

func (l *linter) words() {
	defined := map[string]bool{}
	for _, d := range l.decls {
		if d.kind == functionDecl {
			defined[d.name] = true
		}
	}
	for i, t := range l.tokens {
		if why := leftOut[t.word]; why != "" && t.kind == identifier && !defined[t.word] && !isMember(l.tokens, i) {
			l.report(i, "%s: %s", t.word, why)
		}
		if t.word == "long" && i+1 < len(l.tokens) && l.tokens[i+1].word == "long" {
			l.report(i, "long long: integers have 64 bits at most, and long has them")
		}
	}
}

// isMember tells whether the name at i is that of a member: p.name or p->name.
func isMember(t []token, i int) bool {
	return i > 0 && (t[i-1].word == "." || t[i-1].word == "->")
}

func (l *linter) literalSuffixes() {
	for i, t := range l.tokens {
		if t.kind == number && isFloat(t.word) && !hasFloatSuffix(t.word) {
			l.report(i, "%s has no suffix: write %sf, or %[1]sh for half", t.word, strings.TrimRight(t.word, "lL"))
		}
	}
}

// lambdas finds [captures] followed by ( or { where an expression begins.
func (l *linter) lambdas() {
	t := l.tokens
	for i := 1; i < len(t); i++ {
		if t[i].word != "[" || isAttribute(t, i) {
			continue
		}
		switch t[i-1].word {
		case "=", "(", ",", "return", "{", ";", "}", "?", ":":
		default:
			continue
		}
		if next := t[closing(t, i)+1].word; next == "(" || next == "{" {
			l.report(i, "a lambda")
		}
	}
}

func (l *linter) staticLocals() {
	l.functions(func(d *decl) {
		for i := d.body[0]; i < d.body[1]; i++ {
			if l.tokens[i].word == "static" {
				l.report(i, "a static variable in %s", d.name)
			}
		}
	})
}
