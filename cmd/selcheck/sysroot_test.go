package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// written makes a package of one file and returns it.
func written(t *testing.T, name, text string) *goPackage {
	t.Helper()
	p := &goPackage{ImportPath: module + "/p", Dir: t.TempDir(), Module: &struct{ Path string }{module}}
	if err := os.WriteFile(filepath.Join(p.Dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestLoad(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"package p\n\nimport \"C\"\n\nvar x = C.f(1)\nvar y int = x", ""},
		{"package p\n\nimport \"C\"\n\nfunc f() int { return \"x\" }", "cannot use"},
	} {
		p := written(t, "p.go", test.text)
		p.CgoFiles = []string{"p.go"}
		prog, err := load([]*goPackage{p})
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case test.want == "" && len(prog.errors) > 0:
			t.Errorf("%q: %v", test.text, prog.errors)
		case test.want != "" && (len(prog.errors) != 1 || !strings.Contains(prog.errors[0].Error(), test.want)):
			t.Errorf("%q: got %v, want one error with %q", test.text, prog.errors, test.want)
		}
	}
}

func TestPreamble(t *testing.T) {
	p := written(t, "p.go", "package p\n\n/*\n#cgo LDFLAGS: -lm\n#include <math.h>\n*/\nimport \"C\"\n")
	file := filepath.Join(p.Dir, "p.go")
	got, err := preamble(file)
	if err != nil {
		t.Fatal(err)
	}
	want := "#line 3 \"" + file + "\"\n\n\n#include <math.h>\n\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestLibrariesOf(t *testing.T) {
	packages := []*goPackage{
		{CgoLDFLAGS: []string{"-lm", "-framework", "Metal", "-mmacosx-version-min=14.0"}},
		{CgoLDFLAGS: []string{"-l", "ffi", "-framework", "Metal"}},
	}
	var got []string
	for _, library := range librariesOf(packages) {
		got = append(got, library.name)
	}
	want := []string{"CoreFoundation", "Metal", "Security", "libffi", "libobjc", "libresolv"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestAddForeign checks what is added for an Objective-C file of others to a framework's headers.
func TestAddForeign(t *testing.T) {
	p := written(t, "p.m", "#import <Metal/MTLHeap.h>\nid a(void) { return @protocol(MTLHeap); }\nid b(void) { return @protocol(MTLBuffer); }\n")
	p.Module, p.MFiles = nil, []string{"p.m"}
	folder := frameworkPath("Metal") + "/Headers/"
	files := map[string]string{folder + "Metal.h": "@protocol MTLHeap;\n@protocol MTLBuffer <NSObject>\n@end\n"}
	if err := addForeign(files, p); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		folder + "Metal.h":   "@protocol MTLHeap;\n@protocol MTLBuffer <NSObject>\n@end\n\n@protocol MTLHeap\n@end\n",
		folder + "MTLHeap.h": "#import <Metal/Metal.h>\n",
	}
	if diff := cmp.Diff(want, files); diff != "" {
		t.Error(diff)
	}
}
