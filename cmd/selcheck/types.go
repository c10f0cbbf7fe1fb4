package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"strings"
)

// A program is Go packages with their types, as for darwin/arm64. What C.x means is not known:
// any use of it is taken as right.
type program struct {
	packages map[string]*types.Package
	files    map[string][]*ast.File
	info     types.Info
	errors   []error // outside the standard library
}

// sizes are those of the gc compiler for arm64.
var sizes = types.SizesFor("gc", "arm64")

// load checks the types of packages, which come after their imports. Bodies of functions are
// checked in the product's own packages.
func load(packages []*goPackage) (*program, error) {
	prog := &program{
		packages: map[string]*types.Package{"unsafe": types.Unsafe},
		files:    map[string][]*ast.File{},
		info:     types.Info{Defs: map[*ast.Ident]types.Object{}},
	}
	fset := token.NewFileSet()
	for _, p := range packages {
		if p.ImportPath == "unsafe" {
			continue
		}
		var files []*ast.File
		for _, path := range p.paths(p.GoFiles, p.CgoFiles) {
			file, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution|parser.ParseComments)
			if err != nil {
				return nil, err
			}
			files = append(files, file)
		}
		config := types.Config{
			Importer:         prog.importer(p),
			FakeImportC:      true,
			IgnoreFuncBodies: !p.own(),
			Sizes:            sizes,
			Error: func(err error) {
				// Of what has C's types in it, such as *C.int, the errors mean nothing.
				if !p.Standard && !strings.Contains(err.Error(), "invalid type") {
					prog.errors = append(prog.errors, err)
				}
			},
		}
		prog.packages[p.ImportPath], _ = config.Check(p.ImportPath, fset, files, &prog.info)
		prog.files[p.ImportPath] = files
	}
	return prog, nil
}

// importFunc is an importer made of a function.
type importFunc func(path string) (*types.Package, error)

// Import returns the package of an import path.
func (f importFunc) Import(path string) (*types.Package, error) { return f(path) }

// importer finds what p imports among the packages that were loaded.
func (prog *program) importer(p *goPackage) types.Importer {
	return importFunc(func(path string) (*types.Package, error) {
		if mapped, ok := p.ImportMap[path]; ok {
			path = mapped
		}
		if found := prog.packages[path]; found != nil {
			return found, nil
		}
		return nil, fmt.Errorf("package %q is not loaded", path)
	})
}

// checkTypes checks the whole module.
func checkTypes() error {
	packages, err := list("./...")
	if err != nil {
		return err
	}
	prog, err := load(packages)
	if err != nil {
		return err
	}
	if err := errors.Join(prog.errors...); err != nil {
		return err
	}
	fmt.Printf("%d packages, the standard library's among them, have no errors\n", len(packages))
	return nil
}
