package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ldm-mac/bridge/softmetal/msl"
)

func TestRun(t *testing.T) {
	if _, err := exec.LookPath(msl.Compiler); err != nil && os.Getenv("CI") == "" {
		t.Skip(msl.ErrNoCompiler)
	}
	dir := t.TempDir()
	write := func(name, source string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const head = "#include <metal_stdlib>\nusing namespace metal;\n"
	write("args.h", "struct fill_args { float x; };\n")
	good := write("good.metal", head+"#include \"args.h\"\nkernel void fill(constant fill_args& a [[buffer(0)]], device float* y [[buffer(1)]], "+
		"uint i [[thread_position_in_grid]]) { y[i] = a.x; }\n")
	broken := write("broken.metal", head+"kernel void k(device float* y [[buffer(0)]]) { y[0] = nothing; }\n")
	spaces := write("spaces.metal", head+"kernel void k(device float* y [[buffer(0)]]) { thread float* p = y; }\n")
	literal := write("literal.metal", head+"kernel void k(device float* y [[buffer(0)]]) { y[0] = 0.5; }\n")
	output := filepath.Join(dir, "out.so")
	tests := []struct {
		name string
		args []string
		code int
		says string
		made bool
	}{
		{"plain", []string{"-I", dir, "-o", output, good}, 0, "", true},
		{"checked", []string{"-check", "-I", dir, "-o", output, good}, 0, "", true},
		{"clean", []string{"-strict", "-lint", "-I", dir, good}, 0, "", false},
		{"two files", []string{"-I", dir, "-o", output, good, literal}, 0, "", true},
		{"broken", []string{"-o", output, broken}, 1, "broken.metal:3:", false},
		{"strict", []string{"-strict", spaces}, 1, "spaces.metal:3:", false},
		{"lint", []string{"-lint", literal}, 1, "literal.metal:3: error: 0.5 has no suffix", false},
		{"lint before a library", []string{"-lint", "-o", output, literal}, 1, "[literal]", false},
		{"absent", []string{"-o", output, filepath.Join(dir, "absent.metal")}, 1, "absent.metal", false},
		{"no files", []string{"-o", output}, 2, "usage: mslc", false},
		{"nothing to do", []string{good}, 2, "usage: mslc", false},
		{"unknown flag", []string{"-fast", good}, 2, "-fast", false},
		{"help", []string{"-help"}, 0, "usage: mslc", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			os.Remove(output)
			var messages strings.Builder
			if code := run(context.Background(), test.args, &messages); code != test.code {
				t.Errorf("exit code %d, want %d: %s", code, test.code, messages.String())
			}
			if !strings.Contains(messages.String(), test.says) {
				t.Errorf("it says %q, want %q", messages.String(), test.says)
			}
			if test.code == 0 && test.says == "" && messages.Len() > 0 {
				t.Errorf("it says %q", messages.String())
			}
			if _, err := os.Stat(output); (err == nil) != test.made {
				t.Errorf("library made: %v, want %t", err == nil, test.made)
			}
		})
	}
}
