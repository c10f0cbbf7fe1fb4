package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A source is a file of C or Objective-C and the arguments that it is compiled with.
type source struct {
	dir, file string
	args      []string
}

// checkC compiles all C and Objective-C of the product, and the C in its Go files, with all of
// clang's warnings as errors, and has clang's analyzer look for mistakes in it, such as objects
// that are released too often or never.
func checkC() error {
	packages, err := list("./...")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "selcheck-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	checked := 0
	var failed []error
	for _, p := range packages {
		if !p.own() {
			continue
		}
		sources, err := sourcesOf(p, dir)
		if err != nil {
			return err
		}
		for _, s := range sources {
			failed = append(failed, s.check())
		}
		checked += len(sources)
	}
	if err := errors.Join(failed...); err != nil {
		return err
	}
	fmt.Printf("%d sources have no warnings, and the analyzer found nothing\n", checked)
	return nil
}

// sourcesOf lists what the C compiler sees of a package; dir takes the C code of its Go files.
func sourcesOf(p *goPackage, dir string) ([]source, error) {
	var sources []source
	for _, file := range p.paths(p.CFiles, p.MFiles) {
		sources = append(sources, source{p.Dir, file, p.CgoCFLAGS})
	}
	for _, file := range p.paths(p.CgoFiles) {
		text, err := preamble(file)
		if err != nil {
			return nil, err
		}
		name := filepath.Join(dir, strings.ReplaceAll(p.ImportPath, "/", "_")+"_"+filepath.Base(file)+".c")
		if err := os.WriteFile(name, text, 0o644); err != nil {
			return nil, err
		}
		// Go calls the functions.
		args := append([]string{"-Wno-unused-function"}, p.CgoCFLAGS...)
		sources = append(sources, source{p.Dir, name, args})
	}
	return sources, nil
}

// preamble returns the C code in the comment of a Go file's import "C", with the lines of the file.
func preamble(file string) ([]byte, error) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, file, nil, parser.ParseComments|parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	for _, decl := range f.Decls {
		imports := decl.(*ast.GenDecl) // that is all which ImportsOnly leaves
		if imports.Doc == nil || imports.Specs[0].(*ast.ImportSpec).Path.Value != `"C"` {
			continue
		}
		for _, c := range imports.Doc.List {
			fmt.Fprintf(&text, "#line %d %q\n", fset.Position(c.Pos()).Line, file)
			code := strings.TrimSuffix(c.Text[len("//"):], "*/") // or the length of "/*"
			for line := range strings.Lines(code) {
				if strings.HasPrefix(strings.TrimSpace(line), "#cgo") {
					line = "\n"
				}
				text.WriteString(line)
			}
			text.WriteByte('\n')
		}
	}
	return text.Bytes(), nil
}

// check runs the compiler and the analyzer; Objective-C must be right with ARC as well.
func (s source) check() error {
	compile := []string{"-fsyntax-only", "-Wall", "-Wextra", "-Werror"}
	if err := s.clang(compile...); err != nil {
		return err // the analyzer would say the same
	}
	if filepath.Ext(s.file) == ".m" {
		counted := s
		counted.args = append(slices.Clone(s.args), "-fobjc-arc")
		if err := counted.clang(compile...); err != nil {
			return fmt.Errorf("with ARC: %w", err)
		}
	}
	return s.analyze()
}

// analyze runs the analyzer.
func (s source) analyze() error {
	return s.clang("--analyze", "-Xclang", "-analyzer-werror", "-Xclang", "-analyzer-output=text")
}

// clang runs the compiler on the source; its messages are the error.
func (s source) clang(args ...string) error {
	_, err := s.clangOutput(args...)
	return err
}

func (s source) clangOutput(args ...string) ([]byte, error) {
	cc := os.Getenv("DARWIN_CC")
	if cc == "" {
		return nil, errors.New("DARWIN_CC names no compiler; run .ci/check-darwin")
	}
	args = append(append(args, s.args...), "-I", s.dir, s.file)
	cmd := exec.Command(cc, args...)
	cmd.Dir = s.dir
	return output(cmd)
}
