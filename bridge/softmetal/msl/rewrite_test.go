package msl_test

import (
	"strings"
	"testing"

	"ldm-mac/bridge/softmetal/msl"
)

// TestRewrite compares fragments: what the line of the source becomes.
func TestRewrite(t *testing.T) {
	tests := []struct{ name, source, want string }{
		{"float literals", "constant float x = 0.5 + 1e3 + 1.5f + 2;", "constant float x = 0.5f + 1e3f + 1.5f + 2;"},
		{"half literals", "constant half x = 1.5h + 2h;", "constant half x = half(1.5f) + half(2.f);"},
		{"constructor", "inline float4 f(float2 a) { return float4(a, 1, 2); }", "return softmetal::make<float4>(a, 1, 2);"},
		{"qualified constructor", "inline float4 f(float2 a) { return metal::float4(a, a); }", "softmetal::make<metal::float4>(a, a)"},
		{"vec constructor", "inline float4 f(float a) { return vec<float, 4>(a); }", "softmetal::make<vec<float, 4>>(a)"},
		{"nested constructors", "inline float4 f(float2 a) { return float4(half2(a), a); }", "softmetal::make<float4>(softmetal::make<half2>(a), a)"},
		{"template parameter", "template <typename T> inline T f(float a) { return T(a); }", "return softmetal::make<T>(a);"},
		{"alias", "typedef vec<half, 4> quad;\ninline quad f(float a) { return quad(a); }", "return softmetal::make<quad>(a);"},
		{"declaration", "inline float2 f(float a) { float2 b(a, 1); return b; }", "float2 b = softmetal::make<float2>(a, 1); return b;"},
		{"cast", "inline float4 f(int4 a) { return (float4)a * 2 + (float4)-a; }",
			"softmetal::cast<float4>()->*a * 2 + softmetal::cast<float4>()->*-a"},
		{"static_cast", "inline float4 f(int4 a) { return static_cast<float4>(a); }", "softmetal::make<float4>(a)"},
		{"scalars stay", "inline float f(int a) { return float(a) + (float)a + static_cast<float>(a); }", "return float(a) + (float)a + static_cast<float>(a);"},
		{"calls stay", "inline float f(float4 a) { return g(float4) + sizeof(float4) * 2; }", "return g(float4) + sizeof(float4) * 2;"},
		{"pointers stay", "inline float4 f(device float* p) { return *(device float4*)p; }", "return *(device float4*)p;"},
		{"function constant", "constant int n [[function_constant(3)]];", "static int n; static bool sm_defined_n;"},
		{"derived constant", "constant int n [[function_constant(3)]];\nconstant bool many = n > 4 && is_function_constant_defined(n);",
			"static struct { operator bool() const { return n > 4 && (sm_defined_n ); } } many;"},
		{"kernel", "kernel void k(device float* y [[buffer(0)]], uint i [[thread_position_in_grid]]) {}",
			"static  void k(device float* y , uint i ) {}"},
		{"kernel table", "kernel void k(device float* y, uint i [[thread_position_in_grid]], device half* z [[buffer(5)]], device half* w, threadgroup float* t) {}",
			`sm_parameters_k[] = {{"y", softmetal::given::buffer, 0, nullptr}, {"i", softmetal::given::thread_position_in_grid, 0, nullptr}, ` +
				`{"z", softmetal::given::buffer, 5, nullptr}, {"w", softmetal::given::buffer, 6, nullptr}, {"t", softmetal::given::threadgroup_memory, 0, nullptr}, {}};`},
		{"optional argument", "constant bool b [[function_constant(0)]];\nkernel void k(device float* y [[buffer(0), function_constant(b)]]) {}",
			`{"y", softmetal::given::buffer, 0, [] { return (bool)b; }}`},
		{"threads", "[[max_total_threads_per_threadgroup(64)]] kernel void k(device float* y) {}", `SM_KERNEL("k", (k), sm_parameters_k, sm_constants_k, 0, 64)`},
		{"instances", "template <typename T> kernel void k(device T* y) {}\ntemplate [[host_name(\"k_f16\")]] kernel void k<half>(device half*);",
			`SM_KERNEL("k_f16", (k < half >), sm_parameters_k`},
		{"constants of a kernel", "constant int a [[function_constant(0)]];\nconstant int b [[function_constant(1)]];\nconstant bool c = b > 0;\n" +
			"inline int f() { return c ? 1 : 2; }\nstruct args { int a; };\nkernel void k(device float* y, constant args& p) { y[p.a] = f(); }",
			"sm_constants_k[] = {SM_CONSTANT_INFO(b, 1, true), {}};"},
		{"threadgroup variables", "kernel void k(device float* y) { threadgroup float a[2 * 4], b; }",
			"{ typedef float sm_type_a [ 2 * 4 ]; static const char sm_key_a = 0; sm_type_a &a = "},
		{"attributes of indices", "inline float f(device float* p, device int* q) { return p[q[0]]; }", "return p[q[0]];"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := msl.Rewrite("a.metal", test.source, false)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(got, test.want) {
				t.Errorf("%s\nwant %s", got, test.want)
			}
		})
	}
}

// TestRewriteKeepsLines makes sure that what the compiler says names the lines of the source.
func TestRewriteKeepsLines(t *testing.T) {
	const source = "constant int n [[function_constant(0)]];\nconstant bool b =\n  n > 1;\nkernel void k(\n  device float* y [[buffer(0)]],\n" +
		"  uint i [[thread_position_in_grid]]) {\n  threadgroup float a[4],\n    c;\n  y[i] = here;\n}\n"
	got, err := msl.Rewrite("a.metal", source, false)
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(got, "\n") // the header's line
	line := 1 + strings.Count(body[:strings.Index(body, "here")], "\n")
	if want := 1 + strings.Count(source[:strings.Index(source, "here")], "\n"); line != want {
		t.Errorf("line %d, want %d, of\n%s", line, want, got)
	}
}

func TestRewriteErrors(t *testing.T) {
	tests := []struct{ source, want string }{
		{"kernel void k(uint i) {}", "a.metal:1: error: kernel k: parameter i has no attribute that says what it is"},
		{"\nkernel void k(uint i [[color(0)]]) {}", "a.metal:2: error: kernel k: parameter i has the unknown attribute color"},
		{"kernel void k(device float* p [[buffer(31)]]) {}", "a.metal:1: error: kernel k: buffer(31) of parameter p is no index from 0 to 30"},
		{"namespace n { kernel void k(device float* p) {} }", "a.metal:1: error: kernel k is inside of namespace n"},
		{"template [[host_name(\"a\")]] kernel void k<half>(device half*);", "a.metal:1: error: an instance of k, which is no kernel declared before"},
		{"template <typename T> kernel void k(device T* y) {}\ntemplate kernel void k<half>(device half*);\ntemplate kernel void k<float>(device float*);",
			"a.metal:3: error: two kernels have the name \"k\""},
		{"kernel void k(device float* y) { threadgroup float a = 1; }", "a.metal:1: error: a threadgroup variable with an initialiser: float a = 1"},
		{"constant int n [[function_constant]];", "a.metal:1: error: function_constant of n has no index"},
		{"void f() {", "a.metal:1: error: { is not closed"},
		{"void f() }", "a.metal:1: error: } closes nothing"},
		{"int x", "a.metal:1: error: a declaration without an end: int x"},
		{"/* x", "a.metal:1: error: a comment without an end"},
		{"constant char c = 'x;\n", "a.metal:1: error: a string without an end"},
	}
	for _, test := range tests {
		_, err := msl.Rewrite("a.metal", test.source, false)
		if err == nil || err.Error() != test.want {
			t.Errorf("%q: %v, want %s", test.source, err, test.want)
		}
	}
}

// FuzzRewrite makes sure that no source panics.
func FuzzRewrite(f *testing.F) {
	for _, s := range []string{
		"kernel void k(device float* y [[buffer(0)]], uint i [[thread_position_in_grid]]) { threadgroup float a[4], b; y[i] = a[0]; }",
		"template <typename T> kernel void k(device T* y) {}\ntemplate [[host_name(\"a\")]] kernel decltype(k<half>) k<half>;",
		"constant int n [[function_constant(0)]];\nconstant bool b = n > 1 && is_function_constant_defined(n);",
		"# 3 \"x.h\" 1\nstruct s { float4 v; }; typedef s t; using u = vec<float, 4>; inline u f(int4 a) { u b(1, 2); return (u)a * static_cast<u>(a); }",
		"namespace a { constant float t[] = {1.0, 2e3, 0x1p3, .5h}; }",
		"template <", "[[", "f(", "a<b>c", "threadgroup", "operator()(){}", "template kernel x<y>;", "(float4)",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		for _, strict := range []bool{false, true} {
			if _, err := msl.Rewrite("a.metal", source, strict); err != nil && !strings.Contains(err.Error(), ": error: ") {
				t.Errorf("%q: %v names no place", source, err)
			}
		}
		if _, err := msl.Lint("a.metal", source); err != nil && !strings.Contains(err.Error(), ": error: ") {
			t.Errorf("%q: %v names no place", source, err)
		}
	})
}
