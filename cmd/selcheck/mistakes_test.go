package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sdk returns the compiler for macOS; the test is skipped where there is none.
func sdk(t *testing.T) (cc string) {
	t.Helper()
	if os.Getenv("SYSROOT") == "" {
		t.Skip("no SYSROOT, which .ci/check-darwin sets")
	}
	return os.Getenv("DARWIN_CC")
}

// sample returns the text of the sample, and a source of it with one replacement.
func sample(t *testing.T, old, new string) source {
	t.Helper()
	text, err := os.ReadFile("testdata/sample.m")
	if err != nil {
		t.Fatal(err)
	}
	changed := string(text)
	if old != "" {
		changed = replaced(t, changed, old, new)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "sample.m")
	if err := os.WriteFile(file, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	return source{dir, file, []string{"-fno-objc-arc"}}
}

// TestMistakesInC makes one mistake at a time in a correct sample of Objective-C.
func TestMistakesInC(t *testing.T) {
	sdk(t)
	for _, test := range []struct{ name, old, new, want string }{
		{"nothing", "", "", ""},
		{"a selector with a typo", "[encoder endEncoding]", "[encoder endEncodings]", "'-endEncodings' not found"},
		{"a class with a typo", "[MPSGraph new]", "[MPSGraf new]", "unknown receiver 'MPSGraf'"},
		{"an object of another class", "newFunctionWithName:@\"fill\"", "newFunctionWithName:device", "to parameter of incompatible type"},
		{"nil where it is refused", "commandBufferWithCommandBuffer:commands", "commandBufferWithCommandBuffer:nil", "a callee that requires a non-null argument"},
		{"a missing argument", " atIndex:0];", "];", "'-setBuffer:offset:' not found"},
		{"a method of a newer system", "// newGraph is", "@interface MPSGraph (Later)\n" +
			"- (void)later __attribute__((availability(macos, introduced = 15.0)));\n@end\n" +
			"void later(MPSGraph *graph);\nvoid later(MPSGraph *graph) { [graph later]; }\n// newGraph is",
			"'later' is only available on macOS 15.0 or newer"},
		{"a removed release", "DROP(library);", "", "Potential leak of an object stored into 'library'"},
		{"a removed retain", "return [MPSGraph new]", "return [[MPSGraph new] autorelease]", "a +0 retain count returned to caller where a +1"},
		{"a release too many", "DROP(queue);", "[queue release]; [queue release];", "used after it is released"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := sample(t, test.old, test.new)
			err := s.check()
			if strings.Contains(test.new, "release]") { // ARC refuses the word alone
				err = s.analyze()
			}
			switch {
			case test.want == "" && err != nil:
				t.Errorf("the sample is not correct: %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

// TestMissingLibraries links the sample, without one of the libraries that it needs.
func TestMissingLibraries(t *testing.T) {
	cc := sdk(t)
	s := sample(t, "", "")
	libraries := []string{"Foundation", "CoreFoundation", "Metal", "MetalPerformanceShaders", "MetalPerformanceShadersGraph"}
	for _, missing := range append(libraries, "") {
		args := []string{"-dynamiclib", "-o", filepath.Join(s.dir, "sample.dylib"), "-lobjc", s.file}
		for _, library := range libraries {
			if library != missing {
				args = append(args, "-framework", library)
			}
		}
		_, err := output(exec.Command(cc, append(args, s.args...)...))
		switch {
		case missing == "" && err != nil:
			t.Errorf("with all libraries: %v", err)
		case missing != "" && (err == nil || !strings.Contains(err.Error(), "undefined symbol")):
			t.Errorf("without %s: got %v, want undefined symbols", missing, err)
		}
	}
}

// TestInspect looks at small programs: a right one, and some with a mistake.
func TestInspect(t *testing.T) {
	cc := sdk(t)
	dir := t.TempDir()
	c := filepath.Join(dir, "small.c")
	if err := os.WriteFile(c, []byte("int main(void) { return 0; }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		args []string
		edit func([]byte)
		want string
	}{
		{"nothing", nil, nil, ""},
		{"an older system", []string{"-target", "arm64-apple-macos13.0"}, nil, "built for platform 1, version 13.0"},
		{"another processor", []string{"-target", "x86_64-apple-macos14.0"}, nil, "not a position-independent program for arm64"},
		{"a library", []string{"-dynamiclib"}, nil, "not a position-independent program"},
		{"no signature", []string{"-Wl,-no_adhoc_codesign"}, nil, "not signed"},
		{"a changed byte", nil, func(data []byte) { data[len(data)/2] ^= 1 }, "does not fit page"},
	} {
		t.Run(test.name, func(t *testing.T) {
			program := filepath.Join(t.TempDir(), "small")
			if _, err := output(exec.Command(cc, append(test.args, "-o", program, c)...)); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(program)
			if err != nil {
				t.Fatal(err)
			}
			if test.edit != nil {
				test.edit(data)
			}
			libraries, pages, err := inspect(data)
			switch {
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, want %q", err, test.want)
			case test.want == "" && (err != nil || pages == 0 || !slices.Equal(libraries, []string{"/usr/lib/libSystem.B.dylib"})):
				t.Errorf("got libraries %q, %d pages, %v", libraries, pages, err)
			}
		})
	}
}

func TestCompareLibraries(t *testing.T) {
	err := compareLibraries([]string{"/usr/lib/libSystem.B.dylib", "/usr/lib/libz.1.dylib"})
	for _, want := range []string{"loads /usr/lib/libz.1.dylib, which is not listed", "does not load /usr/lib/libobjc.A.dylib"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func FuzzCheckSignature(f *testing.F) {
	f.Add([]byte("code"), []byte{0xfa, 0xde, 0x0c, 0xc0, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 20, 0xfa, 0xde, 0x0c, 0x02})
	f.Fuzz(func(t *testing.T, code, signature []byte) {
		if pages, err := checkSignature(code, signature); err == nil && pages*32 > len(signature) {
			t.Errorf("%d hashes in %d bytes", pages, len(signature))
		}
	})
}
