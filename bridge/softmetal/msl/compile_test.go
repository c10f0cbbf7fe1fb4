package msl_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ldm-mac/bridge/softmetal/msl"
)

// needCompiler skips the test without a compiler, but not in continuous integration.
func needCompiler(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath(msl.Compiler); err != nil && os.Getenv("CI") == "" {
		t.Skip(msl.ErrNoCompiler)
	}
}

func write(t *testing.T, name, source string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const prologue = "#include <metal_stdlib>\n#include <metal_simdgroup_matrix>\nusing namespace metal;\n"

// TestStrict has what only address spaces or exact overloads make wrong, and what is right beside it.
func TestStrict(t *testing.T) {
	needCompiler(t)
	const add = "inline void add(thread float* p, float x) { *p += x; }\n"
	tests := []struct{ name, source, want string }{ // no want: it is right
		{"thread pointer", add + "kernel void k(device float* y [[buffer(0)]]) { float a = 1.0f; add(&a, 2.0f); y[0] = a; }", ""},
		{"device as thread pointer", add + "kernel void k(device float* y [[buffer(0)]]) { add(y, 2.0f); }", "no matching function"},
		{"threadgroup as thread pointer", add + "kernel void k(device float* y [[buffer(0)]]) { threadgroup float t[2]; add(t, 2.0f); }", "no matching function"},
		{"device pointer in a thread pointer", "kernel void k(device float* y [[buffer(0)]]) { thread float* p = y; }", "cannot initialize"},
		{"threadgroup pointer in a device pointer", "kernel void k(device float* y [[buffer(0)]], threadgroup float* t [[threadgroup(0)]]) { y = t; }", "changes address space|incompatible"},
		{"cast between spaces", "kernel void k(device float* y [[buffer(0)]]) { device float4* p = (device float4*)y; p[0] = float4(1.0f); }", ""},
		{"write to constant", "kernel void k(constant float& x [[buffer(0)]]) { x = 1.0f; }", "const-qualified"},
		{"write to device const", "kernel void k(device const float* x [[buffer(0)]]) { x[0] = 1.0f; }", "read-only|const-qualified"},
		{"constant as device pointer", "kernel void k(constant float* x [[buffer(0)]]) { device const float* p = x; }", "cannot initialize"},
		{"template deduces the space", "template <typename P> inline float first(P p) { return p[0]; }\n" +
			"kernel void k(device float* y [[buffer(0)]], threadgroup float* t [[threadgroup(0)]]) { t[0] = first(y); y[0] = first(t); }", ""},
		{"instance of a template", "template <typename T> kernel void k(device T* y [[buffer(0)]]) { thread T* p = y; }\n" +
			"template [[host_name(\"k_f16\")]] kernel void k<half>(device half*);", "cannot initialize"},
		{"instance with another signature", "template <typename T> kernel void k(device T* y [[buffer(0)]]) {}\n" +
			"template [[host_name(\"k_f16\")]] kernel void k<half>(device float*);", "does not refer to a function template|no function template"},
		{"matrix of threadgroup memory", "kernel void k(device float* y [[buffer(0)]], threadgroup float* t [[threadgroup(0)]]) {\n" +
			"simdgroup_float8x8 m; simdgroup_load(m, t, 8); simdgroup_store(m, y, 8); }", ""},
		{"matrix of another type", "kernel void k(device half* y [[buffer(0)]]) { simdgroup_float8x8 m; simdgroup_load(m, y, 8); }", "another element type"},
		{"atomics", "kernel void k(device atomic_uint* y [[buffer(0)]], threadgroup atomic_int* t [[threadgroup(0)]]) {\n" +
			"atomic_fetch_add_explicit(y, 1u, memory_order_relaxed); atomic_store_explicit(t, atomic_load_explicit(t, memory_order_relaxed), memory_order_relaxed); }", ""},
		{"ambiguous max", "kernel void k(device float* y [[buffer(0)]], uint i [[thread_position_in_grid]]) { y[0] = max(1, i); }", "ambiguous"},
		{"ambiguous max of half", "kernel void k(device half* y [[buffer(0)]]) { y[0] = max(y[1], 0.0f); }", "ambiguous"},
		{"vectors of different types", "kernel void k(device float4* y [[buffer(0)]], device int4* x [[buffer(1)]]) { y[0] = y[1] * x[0]; }", "vector operands|cannot convert"},
		{"vector with too few elements", "kernel void k(device float4* y [[buffer(0)]]) { y[0] = float4(1.0f, 2.0f, 3.0f); }", "fits<.*not satisfied"},
		{"vector of another length", "kernel void k(device float4* y [[buffer(0)]]) { y[0] = float4(y[1].xyz); }", "fits<.*not satisfied"},
		{"function constant as array bound", "constant uint n [[function_constant(0)]];\nkernel void k(device float* y [[buffer(0)]]) { float a[n]; y[0] = a[0]; }", "variable length array"},
		{"function constant as template argument", "constant uint n [[function_constant(0)]];\ntemplate <uint N> inline float f() { return N; }\n" +
			"kernel void k(device float* y [[buffer(0)]]) { y[0] = f<n>(); }", "no matching function"},
		{"simd_sum of bool", "kernel void k(device float* y [[buffer(0)]]) { y[0] = simd_sum(y[1] > 0.0f); }", "does not take"},
		{"a C++ header", "#include <vector>", "file not found"},
		{"double", "kernel void k(device float* y [[buffer(0)]]) { double x = 1.0f; y[0] = x; }", "poisoned"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := write(t, "a.metal", prologue+test.source+"\n")
			err := msl.CheckStrict(context.Background(), []string{path}, msl.Options{})
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !regexp.MustCompile(test.want).MatchString(err.Error())):
				t.Errorf("error %v, want %s", err, test.want)
			case test.want != "" && !strings.Contains(err.Error(), path+":"):
				t.Errorf("error %v names no line of the source", err)
			}
		})
	}
}

func TestCompileReportsLines(t *testing.T) {
	needCompiler(t)
	dir := t.TempDir()
	args := write(t, "args.h", "struct k_args { uint n; };\n")
	path := write(t, "a.metal", prologue+"#include \"args.h\"\nkernel void k(constant k_args& a [[buffer(0)]], device float* y [[buffer(1)]]) {\n  y[0] = a.m;\n}\n")
	output := filepath.Join(dir, "a.so")
	err := msl.Compile(context.Background(), []string{path}, output, msl.Options{Include: []string{filepath.Dir(args)}})
	if err == nil || !strings.Contains(err.Error(), path+":6:") {
		t.Errorf("error %v, want one of line 6", err)
	}
	if _, err := os.Stat(output); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a library without a successful compilation: %v", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestCompileStopsWhenCancelled(t *testing.T) {
	needCompiler(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	path := write(t, "a.metal", prologue+"kernel void k(device float* y [[buffer(0)]]) { y[0] = 1.0f; }\n")
	if err := msl.Compile(ctx, []string{path}, filepath.Join(t.TempDir(), "a.so"), msl.Options{}); err == nil {
		t.Error("no error")
	}
}
