package msl

import "strings"

func (l *linter) kernels() {
	names := map[string]bool{}
	for i := range l.decls {
		d := &l.decls[i]
		if d.kind != kernelDecl {
			continue
		}
		if d.name == "main" {
			l.report(d.nameAt, "a kernel cannot be named main")
		}
		if names[d.name] {
			l.report(d.nameAt, "kernel %s is overloaded", d.name)
		}
		names[d.name] = true
		if l.tokens[d.nameAt-1].word != "void" {
			l.report(d.nameAt, "kernel %s returns something", d.name)
		}
	}
	l.functions(func(d *decl) {
		for i := d.body[0]; i < d.body[1]; i++ {
			if names[l.tokens[i].word] && l.tokens[i+1].word == "(" && !isMember(l.tokens, i) {
				l.report(i, "%s calls kernel %s", d.name, l.tokens[i].word)
			}
		}
	})
}

// kernelParameter is a parameter as its text has it.
type kernelParameter struct {
	at         int
	typ, name  string
	attributes []attribute
	bare       []token
}

func (l *linter) kernelParameters(d *decl) []kernelParameter {
	var list []kernelParameter
	at := d.params[0]
	for _, part := range split(l.tokens[d.params[0]:d.params[1]]) {
		bare, attrs := attributesOf(part)
		p := kernelParameter{at: at, bare: bare, attributes: attrs}
		if name := l.variableName(at, at+len(part)); name > at {
			p.name, p.typ = l.tokens[name].word, l.tokens[name-1].word
		}
		list = append(list, p)
		at += len(part) + 1
	}
	return list
}

func (l *linter) arguments() {
	for i := range l.decls {
		d := &l.decls[i]
		if d.kind != kernelDecl {
			continue
		}
		first := ""
		for _, p := range l.kernelParameters(d) {
			for _, a := range p.attributes {
				given := givenBy[a.name]
				switch {
				case given == "" || given == "buffer" || given == "threadgroup_memory":
				case !strings.HasPrefix(p.typ, "uint") && !strings.HasPrefix(p.typ, "ushort"):
					l.report(p.at, "kernel %s: %s has type %s, want uint, ushort or a vector of them", d.name, p.name, p.typ)
				case !isPosition(a.name) && p.typ != "uint" && p.typ != "ushort":
					l.report(p.at, "kernel %s: %s is one number, but has type %s", d.name, p.name, p.typ)
				case isPosition(a.name) && first == "":
					first = p.typ
				case isPosition(a.name) && p.typ != first:
					l.report(p.at, "kernel %s: %s has type %s, but positions before it have %s", d.name, p.name, p.typ, first)
				}
			}
		}
	}
}

// maxBuffers is the number of slots for buffers: "Metal Feature Set Tables".
const maxBuffers = 31

func (l *linter) slots() {
	for i := range l.decls {
		d := &l.decls[i]
		if d.kind != kernelDecl {
			continue
		}
		buffers := 0
		taken := map[string]string{}
		for _, p := range l.kernelParameters(d) {
			if !has(p.bare, "*") && !has(p.bare, "&") || has(p.bare, "threadgroup") {
				continue
			}
			if buffers++; buffers == maxBuffers+1 {
				l.report(p.at, "kernel %s has more than %d buffers", d.name, maxBuffers)
			}
			slot, optional := "", false
			for _, a := range p.attributes {
				switch a.name {
				case "buffer":
					slot = spell(a.args)
				case "function_constant": // two may take turns in a slot
					optional = true
				}
			}
			if other := taken[slot]; other != "" && slot != "" && !optional {
				l.report(p.at, "kernel %s: %s and %s share buffer(%s)", d.name, other, p.name, slot)
			}
			taken[slot] = p.name
		}
	}
}

// recursion follows calls by name and number of arguments. A template that calls itself may be
// another instance, and so may a function that has overloads of as many parameters.
func (l *linter) recursion() {
	type function struct {
		name   string
		params int
	}
	at := map[function][]*decl{}
	l.functions(func(d *decl) {
		f := function{d.name, len(split(l.tokens[d.params[0]:d.params[1]]))}
		at[f] = append(at[f], d)
	})
	calls := map[function][]function{}
	for f, list := range at {
		for _, d := range list {
			for i := d.body[0]; i < d.body[1]; i++ {
				open := i + 1
				if l.tokens[i].kind != identifier || isMember(l.tokens, i) || l.tokens[open].word != "(" {
					continue
				}
				called := function{l.tokens[i].word, len(split(l.tokens[open+1 : closing(l.tokens, open)]))}
				if called == f && (len(list) > 1 || d.template) {
					continue
				}
				calls[f] = append(calls[f], called)
			}
		}
	}
	for f, list := range at {
		reached := map[function]bool{}
		next := append([]function(nil), calls[f]...)
		for len(next) > 0 {
			c := next[len(next)-1]
			next = next[:len(next)-1]
			if !reached[c] {
				reached[c] = true
				next = append(next, calls[c]...)
			}
		}
		if reached[f] {
			l.report(list[0].nameAt, "%s calls itself", f.name)
		}
	}
}

// variation says between which threads of a threadgroup a value may differ.
type variation int

const (
	uniform variation = iota
	perSimdgroup
	perThread
)

func variationOf(attribute string) variation {
	switch givenBy[attribute] {
	case "simdgroup_index_in_threadgroup":
		return perSimdgroup
	case "thread_position_in_grid", "thread_position_in_threadgroup", "thread_index_in_threadgroup",
		"thread_index_in_simdgroup":
		return perThread
	}
	return uniform
}

// earlyReturns finds returns of kernels that some threads take, by what the condition is made of,
// before a barrier, or some of a simdgroup before a simdgroup function.
func (l *linter) earlyReturns() {
	for i := range l.decls {
		if l.decls[i].kind == kernelDecl {
			l.earlyReturnsOf(&l.decls[i])
		}
	}
}

func (l *linter) earlyReturnsOf(d *decl) {
	t := l.tokens
	varies := map[string]variation{}
	for _, p := range l.kernelParameters(d) {
		for _, a := range p.attributes {
			varies[p.name] = max(varies[p.name], variationOf(a.name))
		}
	}
	var last [perThread + 1]int // the last place that all must reach, by who may differ
	for k := d.body[0]; k < d.body[1]; k++ {
		switch {
		case t[k+1].word != "(":
		case t[k].word == "threadgroup_barrier":
			last[perSimdgroup], last[perThread] = k, k
		case strings.HasPrefix(t[k].word, "simd_") || strings.HasPrefix(t[k].word, "simdgroup_"):
			last[perThread] = k
		}
	}
	for k := d.body[0]; k < last[perThread]; k++ {
		switch {
		case t[k].word == "=" && t[k-1].kind == identifier:
			end := k
			for t[end].word != ";" && end < d.body[1] {
				end++
			}
			varies[t[k-1].word] = max(varies[t[k-1].word], variationIn(t[k:end], varies))
		case t[k].word == "if" && t[k+1].word == "(":
			close := closing(t, k+1)
			at := last[variationIn(t[k+1:close], varies)]
			if k < at && returns(t, close+1) {
				l.report(k, "kernel %s returns for some threads before the %s at line %d", d.name, t[at].word, t[at].line)
			}
		}
	}
}

// variationIn is the largest of the names in an expression.
func variationIn(t []token, varies map[string]variation) variation {
	v := uniform
	for i := range t {
		if !isMember(t, i) {
			v = max(v, varies[t[i].word])
		}
	}
	return v
}

// returns tells whether the statement at i is a return, or a block with one.
func returns(t []token, i int) bool {
	if t[i].word == "{" {
		return has(t[i:closing(t, i)], "return")
	}
	return t[i].word == "return"
}
