package main

import (
	"strconv"
	"strings"
)

// basicKinds are the kinds of C's types on arm64, where a long has 8 bytes and a char is signed.
var basicKinds = map[string]string{
	"void": "v", "bool": "B", "_Bool": "B", "BOOL": "B",
	"char": "i1", "signed char": "i1", "unsigned char": "u1",
	"short": "i2", "unsigned short": "u2",
	"int": "i4", "unsigned int": "u4",
	"long": "i8", "unsigned long": "u8", "long long": "i8", "unsigned long long": "u8",
	"float": "f4", "double": "f8",
	"id": "p", "Class": "p", "SEL": "p", "instancetype": "p",
}

// cKind says how a value of a C type is passed: p for a pointer, an object or a block, B for a bool,
// v for none, and i, u, f or s with the size in bytes for a signed or unsigned integer, a
// floating-point number, or a struct. An unknown type is itself.
func (u *unit) cKind(t cType) string {
	for _, name := range []string{t.QualType, t.DesugaredQualType} {
		name = strings.TrimSpace(strings.TrimPrefix(name, "const "))
		if kind, ok := u.kinds[name]; ok {
			return kind
		}
		if kind, ok := basicKinds[name]; ok {
			return kind
		}
		if strings.ContainsAny(name, "*^[(<") {
			return "p"
		}
		// id, Class and instancetype may be followed by what says whether they can be nil.
		if first, _, more := strings.Cut(name, " "); more && basicKinds[first] == "p" {
			return "p"
		}
	}
	return "(" + t.QualType + ")"
}

// structKind lays a struct out; it is false for a struct with fields of unknown size, a union, and
// a struct that is declared only.
func (u *unit) structKind(n *node) (string, bool) {
	size, align, fields := 0, 1, 0
	for _, field := range n.Inner {
		if field.Kind != "FieldDecl" {
			continue
		}
		kind := u.cKind(field.Type)
		width := 0
		switch kind[0] {
		case 'p':
			width = 8
			if strings.Contains(field.Type.QualType, "[") {
				return "", false
			}
		case 'B':
			width = 1
		case 'i', 'u', 'f', 's':
			width, _ = strconv.Atoi(kind[1:])
		}
		if width == 0 {
			return "", false
		}
		alignment := min(width, 8) // of a struct: that of its fields, which are numbers here
		size = (size+alignment-1)/alignment*alignment + width
		align = max(align, alignment)
		fields++
	}
	return "s" + strconv.Itoa((size+align-1)/align*align), fields > 0
}
