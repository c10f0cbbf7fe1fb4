//go:build linux && cgo

package runtime_test

import (
	"math"
	"slices"
	"testing"

	"ldm-mac/bridge/softmetal/runtime"
)

// half rounds to the nearest half, ties to even, for numbers in the normal range, and gives its bits.
func half(x float64) uint16 {
	if x == 0 {
		return 0
	}
	fraction, exponent := math.Frexp(math.Abs(x))
	mantissa := uint16(math.RoundToEven(fraction * 2048)) // 1024 to 2048
	bits := uint16(exponent+13)<<10 + mantissa            // the leading bit of mantissa adds one to the exponent
	if x < 0 {
		bits |= 0x8000
	}
	return bits
}

func float(bits uint16) float64 {
	x := math.Ldexp(float64(bits&0x3ff|0x400), int(bits>>10&31)-25)
	if bits&0x7fff == 0 {
		x = 0
	}
	if bits&0x8000 != 0 {
		return -x
	}
	return x
}

// run runs a kernel of compute.metal, plain and checked, under every seed. fill makes the buffers
// anew, check looks at them.
func run(t *testing.T, kernel string, launch runtime.Launch, fill func() map[int][]byte, check func(t *testing.T, b map[int][]byte)) {
	t.Helper()
	for _, checked := range []bool{false, true} {
		l := open(t, "compute.metal", checked)
		for _, seed := range seeds {
			launch.Seed = seed
			launch.Buffers = fill()
			if checked {
				launch.Checkers = runtime.CheckAll
			}
			if err := l.Run(kernel, launch); err != nil {
				t.Fatalf("checked %t, seed %d: %v", checked, seed, err)
			}
			check(t, launch.Buffers)
		}
	}
}

func line(n int) [3]int { return [3]int{n, 1, 1} }

func TestScale(t *testing.T) {
	x := []uint16{half(0.5), half(-2), half(0.3), half(100), half(7)}
	args := struct {
		Scale float32
		Count uint32
	}{1.7, 5}
	run(t, "scale", runtime.Launch{Grid: line(2), Group: line(4)}, func() map[int][]byte {
		return map[int][]byte{0: pack(args), 1: pack(x), 2: make([]byte, 2*len(x))}
	}, func(t *testing.T, b map[int][]byte) {
		for i, y := range unpack[uint16](b[2]) {
			product := float32(float(x[i])) * args.Scale
			// clang may fuse the sum: either rounding of float is right
			fused := math.FMA(float(x[i]), float64(args.Scale), 1)
			if y != half(float64(product+1)) && y != half(fused) {
				t.Errorf("scale(%g) = %g", float(x[i]), float(y))
			}
		}
	})
}

func TestHalfRoundsAtEachOperation(t *testing.T) {
	x := make([]uint16, 256)
	for i := range x {
		x[i] = half(1 + float64(i)/300)
	}
	differs := false
	run(t, "half_rounding", runtime.Launch{Grid: line(8), Group: line(32)}, func() map[int][]byte {
		return map[int][]byte{0: pack(x), 1: make([]byte, 2*len(x))}
	}, func(t *testing.T, b map[int][]byte) {
		for i, y := range unpack[uint16](b[1]) {
			v := float(x[i])
			want := half(float(half(float(half(v*v))+1)) - v)
			if y != want {
				t.Errorf("x·x + 1 - x at %g is %g, want %g", v, float(y), float(want))
			}
			differs = differs || want != half(v*v+1-v)
		}
	})
	if !differs {
		t.Error("the inputs do not tell one rounding from three")
	}
}

func TestPositions(t *testing.T) {
	grid, group := [3]int{2, 3, 2}, [3]int{5, 4, 2}
	const values = 23
	threads := 2 * 3 * 2 * 5 * 4 * 2
	run(t, "positions", runtime.Launch{Grid: grid, Group: group}, func() map[int][]byte {
		return map[int][]byte{0: make([]byte, threads*values*4)}
	}, func(t *testing.T, b map[int][]byte) {
		y := unpack[uint32](b[0])
		for thread := range threads {
			var want []int
			at := [3]int{thread % 10, thread / 10 % 12, thread / 120}
			local := [3]int{at[0] % group[0], at[1] % group[1], at[2] % group[2]}
			want = append(want, at[:]...)
			want = append(want, local[:]...)
			want = append(want, at[0]/group[0], at[1]/group[1], at[2]/group[2])
			want = append(want, group[:]...)
			want = append(want, grid[:]...)
			want = append(want, 10, 12, 4)
			index := local[0] + group[0]*(local[1]+group[1]*local[2])
			want = append(want, index, index%32, index/32, 2, 32)
			for i, w := range want {
				if y[thread*values+i] != uint32(w) {
					t.Fatalf("thread %d: value %d is %d, want %d", thread, i, y[thread*values+i], w)
				}
			}
		}
	})
}

func TestRowSum(t *testing.T) {
	x := numbers(4 * 256)
	run(t, "row_sum", runtime.Launch{Grid: line(4), Group: line(256)}, func() map[int][]byte {
		return map[int][]byte{0: pack(x), 1: make([]byte, 16)}
	}, func(t *testing.T, b map[int][]byte) {
		for row, y := range unpack[float32](b[1]) {
			var want float64
			for _, v := range x[row*256 : row*256+256] {
				want += float64(v)
			}
			// a tree of 8 levels of numbers below 1 in size: 8 roundings of partial sums below 32
			if math.Abs(float64(y)-want) > 8*32*0x1p-24 {
				t.Errorf("row %d: %g, want %g", row, y, want)
			}
		}
	})
}

func TestBarriers(t *testing.T) {
	const n, rounds = 96, 40
	x := numbers(n)
	run(t, "rotate", runtime.Launch{Grid: line(1), Group: line(n), Threadgroup: map[int]int{0: 4 * n}}, func() map[int][]byte {
		return map[int][]byte{0: pack(x), 1: make([]byte, 4*n), 2: pack(uint32(rounds))}
	}, func(t *testing.T, b map[int][]byte) {
		for i, y := range unpack[float32](b[1]) {
			if y != x[(i+rounds)%n] {
				t.Errorf("%d: %g, want %g", i, y, x[(i+rounds)%n])
			}
		}
	})
}

func TestSIMDFunctions(t *testing.T) {
	x := make([]int32, 32)
	for i := range x {
		x[i] = int32(i*i*7%101 + 1)
	}
	fold := func(f func(a, b int32) int32) func(int) int32 {
		return func(int) int32 {
			r := x[0]
			for _, v := range x[1:] {
				r = f(r, v)
			}
			return r
		}
	}
	prefix := func(n int) (sum int32) {
		for _, v := range x[:n] {
			sum += v
		}
		return sum
	}
	truth := func(b bool) int32 {
		if b {
			return 1
		}
		return 0
	}
	functions := []struct {
		name string
		want func(lane int) int32
	}{
		{"sum", func(int) int32 { return prefix(32) }},
		{"product", func(int) int32 {
			r := int32(1)
			for _, v := range x {
				r *= v % 3
			}
			return r
		}},
		{"min", fold(func(a, b int32) int32 { return min(a, b) })},
		{"max", fold(func(a, b int32) int32 { return max(a, b) })},
		{"and", fold(func(a, b int32) int32 { return a & b })},
		{"or", fold(func(a, b int32) int32 { return a | b })},
		{"xor", fold(func(a, b int32) int32 { return a ^ b })},
		{"prefix_inclusive_sum", func(i int) int32 { return prefix(i + 1) }},
		{"prefix_exclusive_sum", prefix},
		{"shuffle", func(i int) int32 { return x[31-i] }},
		{"shuffle_xor", func(i int) int32 { return x[i^5] }},
		{"broadcast", func(int) int32 { return x[7] }},
		{"broadcast_first", func(int) int32 { return x[0] }},
		{"shuffle_up", func(i int) int32 {
			if i < 3 {
				return x[i]
			}
			return x[i-3]
		}},
		{"shuffle_down", func(i int) int32 {
			if i+3 > 31 {
				return x[i]
			}
			return x[i+3]
		}},
		{"rotate_up", func(i int) int32 { return x[(i+29)%32] }},
		{"rotate_down", func(i int) int32 { return x[(i+3)%32] }},
		{"any", func(int) int32 { return truth(slices.Max(x) > 90) }},
		{"all", func(int) int32 { return truth(slices.Min(x) > 90) }},
		{"any lane", func(int) int32 { return 1 }},
		{"all lanes", func(int) int32 { return 1 }},
	}
	run(t, "simd_functions", runtime.Launch{Grid: line(1), Group: line(32)}, func() map[int][]byte {
		return map[int][]byte{0: pack(x), 1: make([]byte, 4*32*len(functions))}
	}, func(t *testing.T, b map[int][]byte) {
		y := unpack[int32](b[1])
		for i, f := range functions {
			for lane := range 32 {
				if got, want := y[i*32+lane], f.want(lane); got != want {
					t.Errorf("%s, lane %d: %d, want %d", f.name, lane, got, want)
				}
			}
		}
	})
}

// TestMatrixLayout compares with the mapping that MLX relies on: mlx/backend/metal/kernels/steel/gemm/mma.h.
func TestMatrixLayout(t *testing.T) {
	x := numbers(64)
	run(t, "matrix_layout", runtime.Launch{Grid: line(1), Group: line(32)}, func() map[int][]byte {
		return map[int][]byte{0: pack(x), 1: make([]byte, 256), 2: make([]byte, 256)}
	}, func(t *testing.T, b map[int][]byte) {
		elements, transposed := unpack[float32](b[1]), unpack[float32](b[2])
		for lane := range 32 {
			quad := lane / 4
			row, column := quad&4+lane/2%4, quad&2*2+lane%2*2
			if elements[2*lane] != x[row*8+column] || elements[2*lane+1] != x[row*8+column+1] {
				t.Errorf("lane %d does not hold row %d, columns %d and %d", lane, row, column, column+1)
			}
		}
		for i := range 64 {
			if transposed[i] != x[i%8*8+i/8] {
				t.Errorf("transposed load: element %d is %g", i, transposed[i])
			}
		}
	})
}

func TestMatrixProduct(t *testing.T) {
	const n = 32
	for _, kernel := range []string{"gemm_f32", "gemm_f16"} {
		t.Run(kernel, func(t *testing.T) {
			a, b := numbers(n*n), numbers(2 * n * n)[n*n:]
			pair := [2][]byte{pack(a), pack(b)}
			if kernel == "gemm_f16" {
				for i, x := range [][]float32{a, b} {
					h := make([]uint16, len(x))
					for j := range x {
						h[j] = half(float64(x[j]))
						x[j] = float32(float(h[j]))
					}
					pair[i] = pack(h)
				}
			}
			run(t, kernel, runtime.Launch{Grid: [3]int{n / 16, n / 16, 1}, Group: line(32)}, func() map[int][]byte {
				return map[int][]byte{0: pair[0], 1: pair[1], 2: make([]byte, 4*n*n), 3: pack(uint32(n))}
			}, func(t *testing.T, buffers map[int][]byte) {
				for i, c := range unpack[float32](buffers[2]) {
					var want float64
					for k := range n {
						want += float64(a[i/n*n+k]) * float64(b[k*n+i%n])
					}
					// n sums of products below 1 in size, rounded each
					if math.Abs(float64(c)-want) > n*n*0x1p-24 {
						t.Errorf("element %d: %g, want %g", i, c, want)
					}
				}
			})
		})
	}
}

func TestFunctionConstants(t *testing.T) {
	tests := []struct {
		name   string
		values map[int][]byte
		want   []float32
	}{
		{"plain", map[int][]byte{0: pack(uint32(4)), 1: {0}}, []float32{10, 11, 12, 13}},
		{"negated, with bias", map[int][]byte{0: pack(uint32(4)), 1: {1}}, []float32{110, 209, 308, 407}},
		{"few are not negated", map[int][]byte{0: pack(uint32(2)), 1: {1}}, []float32{110, 211, 0, 0}},
		{"optional", map[int][]byte{0: pack(uint32(3)), 1: {0}, 2: pack(float32(0.5))}, []float32{0.5, 1.5, 2.5, 0}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			run(t, "constants", runtime.Launch{Grid: line(1), Group: line(4), Constants: test.values}, func() map[int][]byte {
				b := map[int][]byte{0: make([]byte, 16)}
				if test.values[1][0] == 1 {
					b[1] = pack([]float32{100, 200, 300, 400})
				}
				return b
			}, func(t *testing.T, b map[int][]byte) {
				if y := unpack[float32](b[0]); !slices.Equal(y, test.want) {
					t.Errorf("%v, want %v", y, test.want)
				}
			})
		})
	}
}

func TestVectors(t *testing.T) {
	x := []float32{1.5, -2.25, 3.75, 4.125}
	run(t, "vectors", runtime.Launch{Grid: line(1), Group: line(1)}, func() map[int][]byte {
		return map[int][]byte{0: pack(x), 1: make([]byte, 64)}
	}, func(t *testing.T, b map[int][]byte) {
		want := []float32{
			3.75, 4.125, 1.5, 2,
			1 + 3, -2 + 6, 3 + 9, 4 + 12,
			1.5, -2.25, -3.75, -4.125,
			2.5, 2.5, -1.5, 1,
		}
		if y := unpack[float32](b[1]); !slices.Equal(y, want) {
			t.Errorf("%v, want %v", y, want)
		}
	})
}

func TestAtomicsDoNotRace(t *testing.T) {
	x := make([]uint32, 256)
	for i := range x {
		x[i] = uint32(i * i)
	}
	run(t, "histogram", runtime.Launch{Grid: line(4), Group: line(64)}, func() map[int][]byte {
		return map[int][]byte{0: pack(x), 1: make([]byte, 16)}
	}, func(t *testing.T, b map[int][]byte) {
		if y := unpack[uint32](b[1]); !slices.Equal(y, []uint32{128, 128, 0, 0}) {
			t.Errorf("%v", y)
		}
	})
}

func TestFunctions(t *testing.T) {
	want := []string{"scale", "half_rounding", "positions", "row_sum", "rotate", "simd_functions", "matrix_layout",
		"gemm_f16", "gemm_f32", "constants", "vectors", "histogram", "order", "copy_structs", "copy_bytes"}
	if got := open(t, "compute.metal", false).Functions(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
