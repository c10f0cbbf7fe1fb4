package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A node is the part of clang's JSON syntax tree that is looked at.
type node struct {
	ID, Kind, Name      string
	MangledName         string // "-[MTLHeap size]"
	Selector            string
	ReceiverKind        string
	Value               any // a string in a ConstantExpr
	Instance            bool
	Type                cType
	ReturnType          cType
	ClassType           cType // of a class message's receiver
	FixedUnderlyingType cType // of an enum
	OwnedTagDecl        *node
	Super               *node
	Protocols           []*node
	Inner               []*node
}

// A cType is a type as written, and with its outer typedef names resolved where it has some.
type cType struct{ QualType, DesugaredQualType string }

// A method is what a header declares.
type method struct{ sign, owner, selector, kinds string }

// A message is what an Objective-C source sends: the receiver's static type, and the selector.
type message struct{ receiver, selector string }

// A unit is what one Objective-C source and its headers say.
type unit struct {
	parents   map[string][]string // class or protocol → superclass, then protocols
	classes   []string
	methods   []method
	values    map[string]string // enumerator → value
	functions []string          // declared, not defined, and constants of that sort
	messages  map[message]bool

	aliases map[string]string // typedef's name → the type it names
	kinds   map[string]string // "enum MTLGPUFamily", "struct X", "MTLSize" → kind
	records map[string]string // node of a struct → kind
}

// readUnit reads the output of clang -ast-dump=json.
func readUnit(dump []byte) (*unit, error) {
	root := new(node)
	if err := json.Unmarshal(dump, root); err != nil {
		return nil, fmt.Errorf("clang's syntax tree: %w", err)
	}
	u := &unit{
		parents: map[string][]string{}, values: map[string]string{}, messages: map[message]bool{},
		aliases: map[string]string{}, kinds: map[string]string{}, records: map[string]string{},
	}
	for _, decl := range root.Inner {
		u.addDecl(decl)
	}
	u.addMessages(root)
	return u, nil
}

// appleName are the names that Apple's frameworks begin with, so far as the stub headers go.
var appleName = regexp.MustCompile(`^(MTL|MPS|NS|CG|CF|vDSP_|cblas_)[A-Za-z]`)

// addDecl adds a declaration at file level; types come before their use.
func (u *unit) addDecl(n *node) {
	switch n.Kind {
	case "ObjCInterfaceDecl", "ObjCProtocolDecl", "ObjCCategoryDecl":
		u.addOwner(n)
	case "EnumDecl":
		kind := u.cKind(n.FixedUnderlyingType)
		if n.FixedUnderlyingType.QualType == "" {
			kind = "u4" // C's choice where no enumerator is negative
		}
		u.kinds["enum "+n.Name] = kind
		u.addValues(n)
	case "RecordDecl":
		if kind, ok := u.structKind(n); ok {
			u.records[n.ID] = kind
			u.kinds["struct "+n.Name] = kind
		}
	case "TypedefDecl":
		u.aliases[n.Name] = n.Type.QualType
		if len(n.Inner) > 0 && n.Inner[0].OwnedTagDecl != nil {
			if kind, ok := u.records[n.Inner[0].OwnedTagDecl.ID]; ok {
				u.kinds[n.Name] = kind
			}
		}
	case "FunctionDecl", "VarDecl":
		defined := false
		for _, inner := range n.Inner {
			defined = defined || inner.Kind == "CompoundStmt"
		}
		if !defined && appleName.MatchString(n.Name) {
			u.functions = append(u.functions, n.Name)
		}
	}
}

// addOwner adds a class, category or protocol with its methods; a property is the methods it implies.
func (u *unit) addOwner(n *node) {
	if n.Super != nil && n.Super.Name != "" {
		u.parents[n.Name] = append(u.parents[n.Name], n.Super.Name)
	}
	for _, protocol := range n.Protocols {
		u.parents[n.Name] = append(u.parents[n.Name], protocol.Name)
	}
	if n.Kind == "ObjCInterfaceDecl" && len(u.parents[n.Name]) > 0 { // not @class alone
		u.classes = append(u.classes, n.Name)
	}
	for _, m := range n.Inner {
		if m.Kind != "ObjCMethodDecl" {
			continue
		}
		sign, owner, ok := strings.Cut(m.MangledName, "[")
		owner, _, _ = strings.Cut(owner, " ")
		owner, _, _ = strings.Cut(owner, "(") // of a category
		if !ok {
			continue
		}
		kinds := ""
		for _, p := range m.Inner {
			if p.Kind == "ParmVarDecl" {
				kinds += u.cKind(p.Type)
			}
		}
		u.methods = append(u.methods, method{sign, owner, m.Name, kinds + ">" + u.cKind(m.ReturnType)})
	}
}

// addValues adds the enumerators of an enum.
func (u *unit) addValues(n *node) {
	next := uint64(0)
	for _, c := range n.Inner {
		if c.Kind != "EnumConstantDecl" {
			continue
		}
		text := constantOf(c)
		if signed, err := strconv.ParseInt(text, 10, 64); err == nil {
			next = uint64(signed)
		} else if unsigned, err := strconv.ParseUint(text, 10, 64); err == nil {
			next = unsigned
		}
		u.values[c.Name] = strconv.FormatInt(int64(next), 10)
		next++
	}
}

// constantOf is the value of the first constant expression in n.
func constantOf(n *node) string {
	if value, ok := n.Value.(string); ok && n.Kind == "ConstantExpr" {
		return value
	}
	for _, inner := range n.Inner {
		if value := constantOf(inner); value != "" {
			return value
		}
	}
	return ""
}

// addMessages adds all messages in n.
func (u *unit) addMessages(n *node) {
	if n.Kind == "ObjCMessageExpr" {
		receiver := n.ClassType
		if n.ReceiverKind == "instance" && len(n.Inner) > 0 {
			receiver = n.Inner[0].Type
		}
		u.messages[message{cmp.Or(receiver.DesugaredQualType, receiver.QualType), n.Selector}] = true
	}
	for _, inner := range n.Inner {
		if inner != nil {
			u.addMessages(inner)
		}
	}
}

var identifier = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)

// owners lists the classes and protocols that a receiver of a static type may have a method from.
func (u *unit) owners(receiver string) (list []string) {
	names := identifier.FindAllString(receiver, -1)
	seen := map[string]bool{} // NSObject is a class and the protocol that it adopts
	for i := 0; i < len(names); i++ {
		name := names[i]
		if seen[name] {
			continue
		}
		seen[name] = true
		if parents := u.parents[name]; parents != nil {
			list = append(list, name)
			names = append(names, parents...)
		}
		names = append(names, identifier.FindAllString(u.aliases[name], -1)...)
	}
	return list
}
