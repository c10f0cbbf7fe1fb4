package msl

// isSpace tells whether a word is an address space.
func isSpace(word string) bool {
	switch word {
	case "device", "constant", "threadgroup", "thread":
		return true
	}
	return false
}

func hasSpace(t []token) bool {
	for i := range t {
		if isSpace(t[i].word) {
			return true
		}
	}
	return false
}

func isPointer(word string) bool { return word == "*" || word == "&" || word == "&&" }

const noSpace = "%s: the pointer or reference names no address space: device, constant, threadgroup or thread"

// addressSpaces looks at three forms: parameters and results, of which the place is known; types
// without a name, T* before a closing bracket, where no product can end; and declarations, T* name
// at the start of a statement.
func (l *linter) addressSpaces() {
	t := l.tokens
	parameter := make([]bool, len(t))
	for i := range l.decls {
		d := &l.decls[i]
		if d.kind == structDecl {
			l.memberSpaces(d)
		}
		if d.params[1] == 0 {
			continue
		}
		l.parameterSpaces(d.params[0], d.params[1])
		for k := d.params[0]; k < d.params[1]; k++ {
			parameter[k] = true
		}
		if head := l.headOf(d); head < d.nameAt && !has(t[head:d.nameAt+1], "operator") {
			result := t[head:d.nameAt]
			if (index(result, "*") >= 0 || index(result, "&") >= 0) && !hasSpace(result) {
				l.report(d.nameAt, noSpace, "the result of "+d.name)
			}
		}
	}
	for i := 1; i+1 < len(t); i++ {
		if !isPointer(t[i].word) || parameter[i] || t[i-1].word == "operator" {
			continue
		}
		switch t[i+1].word {
		case ")", ">", ",", ";":
			if start := typeStart(t, i); !hasSpace(t[start:i]) {
				l.report(i, noSpace, spell(t[start:i+1]))
			}
			continue
		}
		if start, ok := declarationStart(t, i); ok && !hasSpace(t[start:i]) {
			l.report(i, noSpace, spell(t[start:i+2]))
		}
	}
}

// parameterSpaces looks at the parameters between two tokens.
func (l *linter) parameterSpaces(start, end int) {
	at := start
	for _, p := range split(l.tokens[start:end]) {
		bare := p
		if value := index(p, "="); value >= 0 {
			bare = p[:value]
		}
		if (index(bare, "*") >= 0 || index(bare, "&") >= 0 || index(bare, "&&") >= 0) && !hasSpace(bare) {
			l.report(at, noSpace, spell(bare))
		}
		at += len(p) + 1
	}
}

// memberSpaces looks at the parameters of functions that a struct defines: name(…) { or name(…) const {.
func (l *linter) memberSpaces(d *decl) {
	t := l.tokens
	for i := d.body[0]; i < d.body[1]; i++ {
		if t[i].kind != identifier || t[i+1].word != "(" || isControl(t[i].word) {
			continue
		}
		close := closing(t, i+1)
		if t[close+1].word == "{" || t[close+1].word == "const" && t[close+2].word == "{" {
			l.parameterSpaces(i+2, close)
		}
	}
}

func isControl(word string) bool {
	return word == "if" || word == "for" || word == "while" || word == "switch"
}

// typeStart goes back from the * of a type without a name to the type's first token.
func typeStart(t []token, i int) int {
	depth := 0
	for i--; i >= 0; i-- {
		switch t[i].word {
		case ">":
			depth++
		case "<":
			if depth == 0 {
				return i + 1
			}
			depth--
		case "(", ",", "=", ";", "{", "}":
			if depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// declarationStart tells whether the * at i declares a name: T * name followed by = ; , ( [ or :,
// with nothing but a type between it and the start of its statement.
func declarationStart(t []token, i int) (int, bool) {
	name := i + 1
	for t[name].word == "const" || isPointer(t[name].word) {
		name++
	}
	if t[name].kind != identifier {
		return 0, false
	}
	switch t[name+1].word {
	case "=", ";", ",", "(", "[", ":":
	default:
		return 0, false
	}
	depth := 0
	for k := i - 1; k >= 0; k-- {
		switch w := t[k].word; {
		case w == ">":
			depth++
		case w == "<":
			depth--
			if depth < 0 {
				return 0, false
			}
		case depth > 0:
		case w == ";" || w == "{" || w == "}":
			return k + 1, k+1 < i
		case w == "(":
			return k + 1, k+1 < i && isControl(t[k-1].word)
		case w == "return" || t[k].kind != identifier && w != "::":
			return 0, false
		}
	}
	return 0, i > 0
}

func (l *linter) programScope() {
	for i := range l.decls {
		d := &l.decls[i]
		if d.kind != variableDecl {
			continue
		}
		h := l.tokens[d.start:d.end]
		switch {
		case has(h, "threadgroup"): // threadgroupScope reports it
		case !has(l.tokens[d.start:d.nameAt], "constant"):
			l.report(d.nameAt, "%s is at program scope but not in constant memory", d.name)
		case d.attribute("function_constant") == nil && index(h, "=") < 0 && !has(h, "{"):
			l.report(d.nameAt, "%s is constant but has no value", d.name)
		}
	}
}

func (l *linter) threadgroupScope() {
	t := l.tokens
	inKernel := make([]bool, len(t))
	for _, d := range l.decls {
		if d.kind == kernelDecl {
			for i := d.body[0]; i < d.body[1]; i++ {
				inKernel[i] = true
			}
		}
	}
	inParameters := make([]bool, len(t))
	for _, d := range l.decls {
		for i := d.params[0]; i < d.params[1]; i++ {
			inParameters[i] = true
		}
	}
	for i := range t {
		if t[i].word != "threadgroup" || inParameters[i] || i == 0 {
			continue
		}
		switch t[i-1].word {
		case ";", "{", "}", ")", "const", "static", ">":
		default:
			continue
		}
		end := i
		for t[end].word != ";" && t[end].word != ")" && t[end].kind != ending {
			if t[end].word == "{" {
				if t[end-1].word != "=" {
					break
				}
				end = closing(t, end)
			}
			end++
		}
		statement := t[i:end]
		if t[end].word != ";" || index(statement, "*") >= 0 || index(statement, "&") >= 0 {
			continue
		}
		switch {
		case !inKernel[i]:
			l.report(i, "%s is in threadgroup memory but not declared in a kernel", spell(statement))
		case index(statement, "=") >= 0:
			l.report(i, "%s has an initialiser", spell(statement))
		}
	}
}
