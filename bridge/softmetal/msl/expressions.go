package msl

import (
	"strings"
)

// vectorTypes are the names of MSL's vectors.
var vectorTypes = func() map[string]bool {
	m := map[string]bool{}
	for _, scalar := range strings.Fields("bool char uchar short ushort int uint long ulong half float") {
		for _, n := range []string{"2", "3", "4"} {
			m[scalar+n] = true
			m["packed_"+scalar+n] = true
		}
	}
	return m
}()

// castTypes returns the names that may stand for a vector: the vectors themselves, template
// parameters, and what using and typedef define.
func (s *source) castTypes() map[string]bool {
	names := map[string]bool{}
	for name := range vectorTypes {
		names[name] = true
	}
	t := s.tokens
	for i := 1; i+2 < len(t); i++ {
		switch {
		case t[i].kind != identifier:
		case t[i-1].word == "typename" || t[i-1].word == "class":
			if n := t[i+1].word; n == "," || n == ">" || n == "=" {
				names[t[i].word] = true
			}
		case t[i-1].word == "using" && t[i+1].word == "=":
			names[t[i].word] = true
		}
	}
	for _, d := range s.decls {
		last := d.end - 2
		if t[d.start].word == "typedef" && t[last].kind == identifier && !has(t[d.start:last], "decltype") {
			names[t[last].word] = true
		}
	}
	return names
}

// literals gives unsuffixed floating-point literals the type that they have in MSL, float, and
// spells half literals as C++ can.
func (s *source) literals() {
	for i := range s.tokens {
		t := &s.tokens[i]
		if t.kind != number || !isFloat(t.word) {
			continue
		}
		switch last := t.word[len(t.word)-1] | 0x20; {
		case last == 'h':
			digits := t.word[:len(t.word)-1]
			if !strings.ContainsAny(digits, ".eE") {
				digits += "."
			}
			t.word = "half(" + digits + "f)"
		case !hasFloatSuffix(t.word):
			t.word += "f"
		}
	}
}

// constructors turns T(a, b) into softmetal::make<T>(a, b), (T)a into softmetal::cast<T>()->*a,
// and static_cast<T>(a) into make<T>(a), wherever T may be a vector.
func (s *source) constructors() {
	types := s.castTypes()
	t := s.tokens
	for i := 1; i+2 < len(t); i++ {
		switch {
		case t[i].word == "static_cast" && t[i+1].word == "<":
			if end := typeAt(t, i+2, types); end > 0 && t[end].word == ">" {
				t[i].word = "softmetal::make"
				i = end
			}
		case t[i].word == "(":
			end := typeAt(t, i+1, types)
			if end > 0 && t[end].word == ")" && canPrecedeCast(t[i-1]) && beginsOperand(t[end+1]) {
				t[i].word = "softmetal::cast<"
				t[end].word = ">()->*"
				i = end
			}
		case t[i].kind == identifier && !followsName(t[i-1]):
			end := typeAt(t, i, types)
			if end < 0 {
				continue
			}
			if t[end].word == "(" && t[end+1].word != "*" {
				t[i].word = "softmetal::make<" + t[i].word
				t[end-1].word += ">"
				i = end
			} else if s.isInitialised(end) {
				s.initialise(i, end)
				i = end + 1
			}
		}
	}
}

// typeAt returns the index behind a type of types, or behind vec<…>, at i; -1 where there is none.
func typeAt(t []token, i int, types map[string]bool) int {
	if t[i].word == "metal" && t[i+1].word == "::" {
		i += 2
	}
	switch {
	case t[i].word == "vec" && t[i+1].word == "<":
		if end := closingAngle(t, i+1); end >= 0 {
			return end + 1
		}
	case types[t[i].word]:
		return i + 1
	}
	return -1
}

// followsName tells whether a name behind this token is not a type in an expression.
func followsName(before token) bool {
	switch before.word {
	case "::", ".", "->", "operator", "typename", "class", "struct", "using":
		return true
	}
	return false
}

// canPrecedeCast tells whether a parenthesis behind this token opens an expression, not the
// arguments of a call.
func canPrecedeCast(before token) bool {
	switch before.kind {
	case identifier:
		return before.word == "return" || before.word == "else" || before.word == "case"
	case number, text:
		return false
	}
	return before.word != ")" && before.word != "]" && before.word != ">"
}

func beginsOperand(t token) bool {
	switch t.kind {
	case identifier, number:
		return true
	}
	switch t.word {
	case "(", "-", "+", "~", "!", "*", "++", "--":
		return true
	}
	return false
}

// isInitialised tells whether name(…); stands at i, as in float4 v(a, b);
func (s *source) isInitialised(i int) bool {
	t := s.tokens
	if t[i].kind != identifier || t[i+1].word != "(" || !s.inFunction(i) {
		return false
	}
	end := closing(t, i+1)
	return end > i+2 && t[end+1].word == ";"
}

// initialise turns T v(a, b); at i, with v at name, into T v = make<T>(a, b);
func (s *source) initialise(i, name int) {
	t := s.tokens
	t[name].word += " = softmetal::make<" + spell(t[i:name]) + ">"
}

// inFunction tells whether token i is in the body of a function.
func (s *source) inFunction(i int) bool {
	for _, d := range s.decls {
		if (d.kind == functionDecl || d.kind == kernelDecl) && d.body[0] < i && i < d.body[1] {
			return true
		}
	}
	return false
}
