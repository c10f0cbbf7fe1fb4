package main

import (
	"cmp"
	_ "embed"
	"os"
	"regexp"
	"slices"
	"strings"
)

// This file makes the text stubs (.tbd) that the linker reads for a library: its install name and
// the symbols that it exports.

// symbolList says which library exports which symbol, beside classes that darwinkit knows.
//
//go:embed sdk/symbols.txt
var symbolList string

// boundFrameworks are the frameworks whose classes are known from darwinkit's packages of another name.
var boundFrameworks = map[string]string{
	"Metal":                        "metal",
	"MetalPerformanceShaders":      "mps",
	"MetalPerformanceShadersGraph": "mpsgraph",
}

// goLibraries are what Go's own packages link beside the libraries of #cgo lines.
var goLibraries = []library{{"CoreFoundation", true}, {"Security", true}, {"libobjc", false}, {"libresolv", false}}

// A library is a framework, or a library of /usr/lib.
type library struct {
	name      string // "Metal", "libffi"
	framework bool
}

// librariesOf lists the libraries that packages and Go link, but not libSystem, of which libm is a part.
func librariesOf(packages []*goPackage) []library {
	libraries := slices.Clone(goLibraries)
	for _, p := range packages {
		flags := append(slices.Clone(p.CgoLDFLAGS), "")
		for i, flag := range p.CgoLDFLAGS {
			if name, ok := strings.CutPrefix(flag, "-l"); ok && flag != "-lm" {
				libraries = append(libraries, library{"lib" + cmp.Or(name, flags[i+1]), false})
			} else if flag == "-framework" {
				libraries = append(libraries, library{flags[i+1], true})
			}
		}
	}
	slices.SortFunc(libraries, func(a, b library) int { return cmp.Compare(a.name, b.name) })
	return slices.Compact(libraries)
}

// symbolsOf returns the symbols that each library exports.
func symbolsOf(libraries []library) (map[string][]string, error) {
	symbols := map[string][]string{}
	for line := range strings.Lines(symbolList) {
		if words := strings.Fields(line); len(words) == 2 && words[0] != "#" {
			symbols[words[0]] = append(symbols[words[0]], words[1])
		}
	}
	for _, l := range libraries {
		name, ok := boundFrameworks[l.name]
		if !ok {
			continue
		}
		classes, err := classesOf(name)
		if err != nil {
			return nil, err
		}
		for _, class := range classes {
			symbols[l.name] = append(symbols[l.name], "_OBJC_CLASS_$_"+class)
		}
	}
	return symbols, nil
}

var classBound = regexp.MustCompile(`GetClass\("(\w+)"\)`)

// classesOf lists the classes that a package of darwinkit binds.
func classesOf(name string) ([]string, error) {
	packages, err := list(darwinkit + name)
	if err != nil {
		return nil, err
	}
	p := packages[len(packages)-1]
	var classes []string
	for _, file := range p.paths(p.GoFiles) {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, match := range classBound.FindAllSubmatch(text, -1) {
			classes = append(classes, string(match[1]))
		}
	}
	slices.Sort(classes)
	return slices.Compact(classes), nil
}

// addLibrary adds the text stub of a library, and a header to a framework that has none.
func addLibrary(files map[string]string, l library, symbols []string) {
	folder, install := "usr/lib", "/usr/lib/"+l.name+".dylib"
	switch {
	case l.framework:
		folder = frameworkPath(l.name)
		version := "A"
		if l.name == "Foundation" {
			version = "C"
		}
		install = "/" + folder + "/Versions/" + version + "/" + l.name
		if header := folder + "/Headers/" + l.name + ".h"; files[header] == "" {
			files[header] = "#import <Foundation/Foundation.h>\n"
		}
	case l.name == "libobjc":
		install = "/usr/lib/libobjc.A.dylib"
	case l.name == "libresolv":
		install = "/usr/lib/libresolv.9.dylib"
	}
	stub := "--- !tapi-tbd\ntbd-version: 4\ntargets: [ arm64-macos ]\ninstall-name: '" + install + "'\n"
	if len(symbols) > 0 {
		stub += "exports:\n  - targets: [ arm64-macos ]\n    symbols: [ " + strings.Join(symbols, ", ") + " ]\n"
	}
	files[folder+"/"+l.name+".tbd"] = stub + "...\n"
}
