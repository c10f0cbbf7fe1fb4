package rng

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func generator(t testing.TB, name string, seed uint64) Generator {
	t.Helper()
	g, err := New(name, seed)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func normals(g Generator, n int) []float32 {
	dst := make([]float32, n)
	g.Normal(dst)
	return dst
}

func TestNewRefuses(t *testing.T) {
	for _, test := range []struct {
		name string
		seed uint64
		want string
	}{
		{"mps", 0, `unknown generator "mps", want one of torch, numpy, cuda`},
		{"", 0, `unknown generator ""`},
		{"numpy", 1 << 32, "numpy takes seeds from 0 to 4294967295, not 4294967296"},
	} {
		_, err := New(test.name, test.seed)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("New(%q, %d): error %v, want %q", test.name, test.seed, err, test.want)
		}
	}
}

// The bounds are five standard errors of the mean and of the variance of n samples.
func TestMoments(t *testing.T) {
	const n = 1 << 16
	root := math.Sqrt(n)
	for _, name := range Names() {
		g := generator(t, name, 7)
		check := func(what string, values []float32, mean, variance, kurtosis float64) {
			t.Helper()
			var m, v float64
			for _, x := range values {
				m += float64(x) / n
			}
			for _, x := range values {
				v += (float64(x) - m) * (float64(x) - m) / n
			}
			if bound := 5 * math.Sqrt(variance) / root; math.Abs(m-mean) > bound {
				t.Errorf("%s %s: mean %.5f, want %.5f +- %.5f", name, what, m, mean, bound)
			}
			if bound := 5 * variance * math.Sqrt(kurtosis-1) / root; math.Abs(v-variance) > bound {
				t.Errorf("%s %s: variance %.5f, want %.5f +- %.5f", name, what, v, variance, bound)
			}
		}
		values := normals(g, n)
		check("normal", values, 0, 1, 3)
		g.Uniform(values)
		check("uniform", values, 0.5, 1.0/12, 1.8)
		if low, high := slices.Min(values), slices.Max(values); low < 0 || high >= 1 {
			t.Errorf("%s: uniform numbers from %v to %v, want [0, 1)", name, low, high)
		}
	}
}

func TestSeedsAndCalls(t *testing.T) {
	for _, name := range Names() {
		a, b := generator(t, name, 3), generator(t, name, 3)
		if x, y := normals(a, 100), normals(b, 100); !slices.Equal(x, y) {
			t.Errorf("%s: one seed gives two series", name)
		}
		if x, y := normals(a, 100), normals(generator(t, name, 4), 100); slices.Equal(x, y) {
			t.Errorf("%s: a second call repeats another seed's first", name)
		}
		if x, y := normals(generator(t, name, 3), 100), normals(a, 100); slices.Equal(x, y) {
			t.Errorf("%s: a third call repeats the first", name)
		}
		a.Normal(nil)
		a.Uniform(nil)
	}
	if !slices.Equal(normals(NewTorch(5), 20), normals(NewTorch(5+1<<32), 20)) {
		t.Error("torch: bits above the 32nd of a seed count")
	}
	if slices.Equal(normals(NewCUDA(5), 20), normals(NewCUDA(5+1<<32), 20)) {
		t.Error("cuda: bits above the 32nd of a seed do not count")
	}
}

// A call of PyTorch of 16 and more is not the sum of shorter ones, nor is one after a ragged call;
// NumPy draws one by one, and CUDA starts anew at each call.
func TestSplitCalls(t *testing.T) {
	for _, test := range []struct {
		name       string
		first, all int
		same       bool
	}{
		{"torch", 7, 15, true},
		{"torch", 8, 16, false},
		{"torch", 16, 32, true},
		{"torch", 16, 33, true},
		{"torch", 17, 33, false},
		{"numpy", 7, 33, true},
		{"cuda", 7, 15, false},
	} {
		g := generator(t, test.name, 11)
		parts := append(normals(g, test.first), normals(g, test.all-test.first)...)
		whole := normals(generator(t, test.name, 11), test.all)
		if slices.Equal(parts, whole) != test.same {
			t.Errorf("%s: calls of %d and %d equal one of %d: %t, want %t", test.name, test.first,
				test.all-test.first, test.all, !test.same, test.same)
		}
	}
}

func TestPerm(t *testing.T) {
	g := NewTorch(0)
	for n := range 40 {
		p := g.Perm(n)
		slices.Sort(p)
		for i, v := range p {
			if i != v {
				t.Fatalf("Perm(%d) lacks %d", n, i)
			}
		}
	}
}

func TestIntn(t *testing.T) {
	g := NewTorch(0)
	for _, n := range []int64{1, 2, 1000, 1<<28 - 1, 1 << 28, 1 << 32, math.MaxInt64} {
		for range 100 {
			if v := g.Intn(n); v < 0 || v >= n {
				t.Fatalf("Intn(%d) = %d", n, v)
			}
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("Intn(0) does not panic")
		}
	}()
	g.Intn(0)
}

func TestFormatRound(t *testing.T) {
	for _, test := range []struct {
		format  format
		x, want float64
	}{
		{float16Format, 1 + 0x1p-11, 1}, // tie to even
		{float16Format, 1 + 3*0x1p-11, 1 + 0x1p-9},
		{float16Format, -0x1p-25, 0},
		{float16Format, 3 * 0x1p-26, 0x1p-24},
		{bfloat16Format, 1 + 0x1p-8, 1},
		{bfloat16Format, 2.01, 2.015625},
		{float32Format, 1 + 0x1p-24, 1},
		{float16Format, 0, 0},
	} {
		if got := test.format.round(test.x); got != test.want {
			t.Errorf("%v in %d bits = %v, want %v", test.x, test.format.bits, got, test.want)
		}
	}
}

func BenchmarkNormal(b *testing.B) {
	for _, name := range Names() {
		b.Run(name, func(b *testing.B) {
			g := generator(b, name, 0)
			dst := make([]float32, 4*64*64) // the latent of a 512 x 512 picture
			b.SetBytes(int64(4 * len(dst)))
			for b.Loop() {
				g.Normal(dst)
			}
		})
	}
}

func BenchmarkMT19937(b *testing.B) {
	m := NewMT19937(0)
	b.SetBytes(4)
	for b.Loop() {
		m.Uint32()
	}
}
