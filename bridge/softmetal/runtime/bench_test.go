//go:build linux && cgo

package runtime_test

import (
	"fmt"
	"testing"

	"ldm-mac/bridge/softmetal/runtime"
)

// BenchmarkKernels measures threads, barriers, simdgroup functions and matrix products, plain and
// checked, in ascending and in random order.
func BenchmarkKernels(b *testing.B) {
	const n = 128
	tests := []struct {
		kernel string
		launch runtime.Launch
		units  float64 // of what the name says, per run
		name   string
	}{
		{"scale", runtime.Launch{Grid: line(256), Group: line(256), Buffers: map[int][]byte{
			0: pack(struct {
				Scale float32
				Count uint32
			}{2, 1 << 16}), 1: make([]byte, 2<<16), 2: make([]byte, 2<<16)}}, 1 << 16, "ns/thread"},
		{"rotate", runtime.Launch{Grid: line(1), Group: line(256), Threadgroup: map[int]int{0: 1024}, Buffers: map[int][]byte{
			0: make([]byte, 1024), 1: make([]byte, 1024), 2: pack(uint32(50))}}, 256 * 100, "ns/barrier"},
		{"row_sum", runtime.Launch{Grid: line(64), Group: line(256), Buffers: map[int][]byte{
			0: make([]byte, 64*1024), 1: make([]byte, 256)}}, 64 * 256 * 2, "ns/simd_sum"},
		{"gemm_f16", runtime.Launch{Grid: [3]int{n / 16, n / 16, 1}, Group: line(32), Buffers: map[int][]byte{
			0: make([]byte, 2*n*n), 1: make([]byte, 2*n*n), 2: make([]byte, 4*n*n), 3: pack(uint32(n))}}, n * n * n, "ns/MAC"},
	}
	for _, test := range tests {
		for _, checked := range []bool{false, true} {
			for _, seed := range []uint32{0, 1} {
				b.Run(fmt.Sprintf("%s/checked=%t/seed=%d", test.kernel, checked, seed), func(b *testing.B) {
					l := open(b, "compute.metal", checked)
					test.launch.Seed = seed
					test.launch.Checkers = 0
					if checked {
						test.launch.Checkers = runtime.CheckAll
					}
					for b.Loop() {
						if err := l.Run(test.kernel, test.launch); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/test.units, test.name)
				})
			}
		}
	}
}
