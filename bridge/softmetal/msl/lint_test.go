package msl_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"ldm-mac/bridge/softmetal/msl"
)

// TestLint has for each rule what breaks it, on line 2, and what is right beside it.
func TestLint(t *testing.T) {
	const arguments = "device float* y [[buffer(0)]], uint i [[thread_position_in_grid]]"
	tests := []struct {
		rule, source string
		bad          bool
	}{
		{"address-space", "void f(float* p);", true},
		{"address-space", "void f(device float* p, thread int& n, constant float* q, threadgroup half* s);", false},
		{"address-space", "inline float f(const args& a) { return a.x; }", true},
		{"address-space", "inline float f(constant args& a) { return a.x * a.y; }", false},
		{"address-space", "inline float* f(device float* p) { return p; }", true},
		{"address-space", "inline device float* f(device float* p) { return p + 1; }", false},
		{"address-space", "inline void f(device float* p) { float* q = p; }", true},
		{"address-space", "inline void f(device float* p) { const auto& q = *p; }", true},
		{"address-space", "inline void f(device float* p) { device float* q = p; const thread float& r = *p; }", false},
		{"address-space", "inline float4 f(device float* p) { return *(const float4*)p; }", true},
		{"address-space", "inline float4 f(device float* p) { return *(device const float4*)p; }", false},
		{"address-space", "inline float4 f(device float* p) { return *reinterpret_cast<float4*>(p); }", true},
		{"address-space", "struct s { float* p; };", true},
		{"address-space", "struct s { device float* p; };", false},
		{"address-space", "struct s { float f(float* p) const { return p[0]; } };", true},
		{"address-space", "struct s { float f(device float* p, int n) { if (n * 2) { return n * p[0]; } return g(n * n); } };", false},
		{"address-space", "using pointer = float*;", true},
		{"address-space", "struct s { float f(float* p) const { return p[0]; } };", true},
		{"address-space", "struct s { float f(device float* p, int n) { if (n * 2) { return n * p[0]; } return g(n * n); } };", false},
		{"address-space", "using pointer = device float*;", false},
		{"address-space", "typedef vec<float, 4>* pointer;", true},
		{"address-space", "inline float f(float a, float b, device float* p) { p[0] = a * b; a *= b; return f2(a * b, b * (a), a & 3) * *p; }", false},
		{"address-space", "inline void f(float a) { for (uint i = 0; i < 3; i++) { a = i * a; } g(a & i, a && i); }", false},

		{"program-scope", "float scale = 1.0f;", true},
		{"program-scope", "static const float scale = 1.0f;", true},
		{"program-scope", "constexpr int n = 4;", true},
		{"program-scope", "constant constexpr int n = 4;", false},
		{"program-scope", "constant float table[] = {1.0f, 2.0f};", false},
		{"program-scope", "constant float scale;", true},
		{"program-scope", "constant bool on [[function_constant(0)]];", false},
		{"program-scope", "namespace inner { int counter = 0; }", true},

		{"threadgroup-scope", "threadgroup float shared[32];", true},
		{"threadgroup-scope", "inline void f() { threadgroup float shared[32]; }", true},
		{"threadgroup-scope", "struct s { threadgroup float shared[32]; };", true},
		{"threadgroup-scope", "kernel void k(" + arguments + ") { threadgroup float shared[2] = {1.0f, 2.0f}; }", true},
		{"threadgroup-scope", "kernel void k(" + arguments + ") { threadgroup float shared[32], other; { threadgroup int n; } }", false},
		{"threadgroup-scope", "inline void f(threadgroup float* p) { threadgroup float* q = p; threadgroup float& r = *q; }", false},

		{"literal", "constant float x = 0.5;", true},
		{"literal", "constant float x = 1e3;", true},
		{"literal", "constant float x = 1.;", true},
		{"literal", "constant float x = 0.5f + 1e3F; constant half h = 1.0h; constant int n = 0x1e3; constant int m = 10;", false},

		{"word", "inline double f(double x) { return x; }", true},
		{"word", "inline long double f();", true},
		{"word", "constant bfloat x = 1;", true},
		{"word", "inline void f() { goto end; end: return; }", true},
		{"word", "inline void f() { thread int* p = new int; }", true},
		{"word", "struct s { virtual void f(); };", true},
		{"word", "inline void f() { throw 1; }", true},
		{"word", "constant long long x = 1;", true},
		{"word", "inline float f(float x) { return std::exp(x); }", true},
		{"word", "inline float f(float x) { return erf(x); }", true},
		{"word", "inline float erf(float x) { return x; } inline float f(args a) { return erf(a.std); }", false},

		{"lambda", "inline float f(float x) { auto g = [&](float y) { return x + y; }; return g(1.0f); }", true},
		{"lambda", "inline float f(device float* p) { return p[(int)p[0]] + p[1]; }", false},
		{"lambda", "kernel void k(device float* y [[buffer(0)]], uint i [[thread_position_in_grid]]) { y[i] = 1.0f; }", false},

		{"static-local", "inline int f() { static int n = 0; return n++; }", true},
		{"static-local", "static inline int f() { const int n = 0; return n; }", false},

		{"recursion", "inline int f(int n) { return n ? f(n - 1) : 0; }", true},
		{"recursion", "inline int f(int n); inline int g(int n) { return f(n); } inline int f(int n) { return g(n - 1); }", true},
		{"recursion", "inline float f(float x) { return x; } inline float2 f(float2 x) { return float2(f(x.x), f(x.y)); }", false},
		{"recursion", "inline int f(int a, int b) { return a + b; } inline int f(int a) { return f(a, 1); }", false},

		{"kernel", "kernel void main(" + arguments + ") { y[i] = 0.0f; }", true},
		{"kernel", "kernel int k(" + arguments + ") { return 0; }", true},
		{"kernel", "kernel void k(" + arguments + ") {} kernel void k(device half* y [[buffer(0)]]) {}", true},
		{"kernel", "kernel void k(" + arguments + ") {} kernel void j(" + arguments + ") { k(y, i); }", true},
		{"kernel", "kernel void k(" + arguments + ") {} [[kernel]] void j(" + arguments + ") {}", false},

		{"arguments", "kernel void k(uint2 a [[thread_position_in_grid]], uint b [[threads_per_threadgroup]]) {}", true},
		{"arguments", "kernel void k(uint2 a [[thread_position_in_grid]], ushort2 b [[threads_per_threadgroup]]) {}", true},
		{"arguments", "kernel void k(int a [[thread_position_in_grid]]) {}", true},
		{"arguments", "kernel void k(uint2 a [[thread_index_in_simdgroup]]) {}", true},
		{"arguments", "kernel void k(uint2 a [[thread_position_in_grid]], uint2 b [[threads_per_threadgroup]], ushort c [[thread_index_in_simdgroup]]) {}", false},

		{"slots", "kernel void k(" + strings.Repeat("device float* p, ", 31) + "device float* last) {}", true},
		{"slots", "kernel void k(" + strings.Repeat("device float* p, ", 30) + "device float* last) {}", false},
		{"slots", "kernel void k(device float* a [[buffer(1)]], device float* b [[buffer(1)]]) {}", true},
		{"slots", "kernel void k(device float* a [[buffer(1)]], device half* b [[buffer(1), function_constant(c)]]) {}", false},

		{"early-return", "kernel void k(" + arguments + ") { if (i > 4) return; threadgroup_barrier(mem_flags::mem_threadgroup); }", true},
		{"early-return", "kernel void k(" + arguments + ") { const uint j = i * 2; if (j > 4) { y[0] = 1.0f; return; } y[i] = simd_sum(1.0f); }", true},
		{"early-return", "kernel void k(uint s [[simdgroup_index_in_threadgroup]]) { if (s > 4) return; threadgroup_barrier(mem_flags::mem_none); }", true},
		{"early-return", "kernel void k(uint s [[simdgroup_index_in_threadgroup]]) { if (s > 4) return; simd_sum(1.0f); }", false},
		{"early-return", "kernel void k(uint g [[threadgroup_position_in_grid]]) { if (g > 4) return; threadgroup_barrier(mem_flags::mem_none); }", false},
		{"early-return", "kernel void k(" + arguments + ") { threadgroup_barrier(mem_flags::mem_none); if (i > 4) return; y[i] = 1.0f; }", false},
	}
	good, bad := map[string]bool{}, map[string]bool{}
	for _, test := range tests {
		problems, err := msl.Lint("a.metal", "using namespace metal;\n"+test.source+"\n")
		if err != nil {
			t.Errorf("%s: %v", test.source, err)
			continue
		}
		found := slices.ContainsFunc(problems, func(p msl.Problem) bool {
			return p.Rule == test.rule && p.File == "a.metal" && p.Line == 2
		})
		if found != test.bad {
			t.Errorf("%s: rule %s finds a problem: %t, want %t; all: %v", test.source, test.rule, found, test.bad, problems)
		}
		if test.bad {
			bad[test.rule] = true
		} else {
			good[test.rule] = true
		}
	}
	for rule := range maps.Keys(msl.Rules()) {
		if !good[rule] || !bad[rule] {
			t.Errorf("rule %s lacks a good or a bad example", rule)
		}
	}
}

func TestLintNamesThePlace(t *testing.T) {
	const source = "# 1 \"kernels/a.metal\" 1\n\nusing namespace metal;\n# 40 \"kernels/args.h\" 1\nfloat *p;\n"
	problems, err := msl.Lint("joined", source)
	if err != nil || len(problems) == 0 {
		t.Fatalf("%v, %v", problems, err)
	}
	const want = "kernels/args.h:40: error: float * p: the pointer or reference names no address space: device, constant, threadgroup or thread [address-space]"
	if got := problems[0].String(); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
