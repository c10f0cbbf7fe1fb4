package main

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// allowList holds the statements that darwinkit does not confirm, each with its source.
//
//go:embed allow.txt
var allowList string

// checkMessages compares what the Objective-C of a package and its headers say with darwinkit.
func checkMessages(pattern string) error {
	packages, err := list(pattern)
	if err != nil {
		return err
	}
	p := packages[len(packages)-1]
	if len(p.MFiles) == 0 {
		return fmt.Errorf("%s has no Objective-C for darwin", p.ImportPath)
	}
	f, err := loadFacts()
	if err != nil {
		return err
	}
	allowed, err := readAllowed(allowList)
	if err != nil {
		return err
	}
	for _, file := range p.paths(p.MFiles) {
		s := source{p.Dir, file, p.CgoCFLAGS}
		dump, err := s.clangOutput("-fsyntax-only", "-Xclang", "-ast-dump=json")
		if err != nil {
			return err
		}
		u, err := readUnit(dump)
		if err != nil {
			return err
		}
		agreed, wrong := f.compare(u, allowed)
		if len(wrong) > 0 {
			return fmt.Errorf("%d statements disagree with darwinkit:\n%s", len(wrong), strings.Join(wrong, "\n"))
		}
		fmt.Printf("%s: %d messages, classes, methods and values agree with darwinkit, %d with the allow list\n",
			file, agreed, len(allowed))
	}
	return nil
}

// readAllowed reads an allow list: statements as compare writes them, a colon, and the source.
func readAllowed(text string) (map[string]bool, error) {
	allowed := map[string]bool{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		statement, source, found := strings.Cut(line, " | ")
		if !found || strings.TrimSpace(source) == "" {
			return nil, fmt.Errorf("allow list: %q has no source", line)
		}
		allowed[strings.TrimSpace(statement)] = true
	}
	return allowed, nil
}

// errUnknown says that darwinkit lacks a name.
var errUnknown = errors.New("unknown to darwinkit")

// compare counts the statements of u that f confirms and lists the others, unless they are allowed,
// and what is allowed for nothing.
func (f *facts) compare(u *unit, allowed map[string]bool) (agreed int, wrong []string) {
	used := map[string]bool{}
	state := func(statement string, err error) {
		switch {
		case err == nil:
			agreed++
		case allowed[statement]:
			used[statement] = true
		default:
			wrong = append(wrong, fmt.Sprintf("%s: %v", statement, err))
		}
	}
	for _, class := range u.classes {
		if appleName.MatchString(class) && class != "NSObject" {
			state("@interface "+class, f.class(u, class))
		}
	}
	for _, m := range u.methods {
		if appleName.MatchString(m.owner) && m.owner != "NSObject" {
			state(fmt.Sprintf("%s[%s %s] %s", m.sign, m.owner, m.selector, m.kinds), f.method(m))
		}
	}
	for name, value := range u.values {
		if appleName.MatchString(name) {
			state(name+" = "+value, f.value(name, value))
		}
	}
	for _, name := range u.functions {
		state(name, errUnknown)
	}
	for m := range u.messages {
		state(fmt.Sprintf("[%s %s]", m.receiver, m.selector), u.declared(m))
	}
	for statement := range allowed {
		if !used[statement] {
			wrong = append(wrong, statement+": is on the allow list, but needs no place there")
		}
	}
	slices.Sort(wrong)
	return agreed, slices.Compact(wrong)
}

// class compares a class's nearest superclass that darwinkit knows.
func (f *facts) class(u *unit, class string) error {
	if f.names[strings.ToLower(class)] != class {
		return errUnknown
	}
	super := u.parents[class][0]
	for f.names[strings.ToLower(super)] != super {
		super = u.parents[super][0]
	}
	if super != f.super[class] {
		return fmt.Errorf("its superclass is %s here, %s in darwinkit", super, f.super[class])
	}
	return nil
}

// method compares the types of a method.
func (f *facts) method(m method) error {
	known := f.methods[methodName(m.sign, m.owner, m.selector)]
	if known == nil {
		return errUnknown
	}
	if !slices.Contains(known, m.kinds) {
		return fmt.Errorf("its types are %s in darwinkit", strings.Join(known, " or "))
	}
	return nil
}

// value compares an enumerator.
func (f *facts) value(name, value string) error {
	known, ok := f.values[name]
	if !ok {
		return errUnknown
	}
	if known != value {
		return fmt.Errorf("its value is %s in darwinkit", known)
	}
	return nil
}

// declared looks for the method that a message asks for: a receiver of type id has none.
func (u *unit) declared(m message) error {
	owners := u.owners(m.receiver)
	if len(owners) == 0 {
		return errors.New("the receiver has no static type")
	}
	if !slices.ContainsFunc(u.methods, func(have method) bool {
		return have.selector == m.selector && slices.Contains(owners, have.owner)
	}) {
		return errors.New("no header declares the method")
	}
	return nil
}
