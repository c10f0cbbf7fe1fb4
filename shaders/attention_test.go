//go:build (darwin || softmetal) && cgo

package shaders_test

import (
	"fmt"
	"math"
	"testing"

	"ldm-mac/metal"
)

func testAttention(t *testing.T) {
	for _, c := range []struct {
		n, queries, keys, heads, d int
		std                        float64 // of queries and keys
		causal, packed             bool
	}{
		{1, 1, 1, 1, 1, 1, false, false},
		{1, 3, 77, 2, 5, 1, false, false},
		{2, 33, 77, 2, 8, 1, false, false},
		{2, 9, 17, 2, 24, 1, false, false},
		{1, 40, 33, 2, 32, 1, false, true},
		{1, 64, 64, 2, 40, 1, false, true},
		{2, 33, 77, 2, 40, 8, false, false}, // logits of several hundred
		{1, 31, 77, 2, 48, 1, false, false},
		{1, 77, 77, 2, 64, 1, true, false}, // a text encoder
		{1, 32, 50, 1, 80, 1, false, false},
		{1, 9, 33, 1, 96, 1, false, false},
		{1, 35, 40, 1, 128, 1, false, false},
		{2, 16, 77, 1, 160, 1, false, false},
		{1, 70, 70, 1, 160, 1, true, true},
		{1, 1, 1, 2, 64, 1, true, false},
		{1, 33, 33, 1, 16, 20, true, true},
	} {
		name := fmt.Sprintf("%dx%dx%d_h%d_d%d_causal_%t_packed_%t", c.n, c.queries, c.keys, c.heads, c.d, c.causal, c.packed)
		each(t, name, func(r run) {
			width := c.heads * c.d
			ld := width
			if c.packed {
				ld = 3 * width // beside two others, which nothing reads
			}
			q, k := r.normal(r.dtype, c.n*c.queries*ld, 0, c.std), r.normal(r.dtype, c.n*c.keys*ld, 0, c.std)
			v := r.normal(r.dtype, c.n*c.keys*ld, 0, 1)
			scale := float64(float32(1 / math.Sqrt(float64(c.d))))
			want := make([]float64, c.n*c.queries*width)
			for row := range c.n * c.queries * c.heads {
				image, query, head := row/(c.queries*c.heads), row/c.heads%c.queries, row%c.heads
				visible := c.keys
				if c.causal {
					visible = query + 1
				}
				scores, weights := make([]float64, visible), make([]float64, visible)
				for key := range scores {
					for i := range c.d {
						scores[key] += q[(image*c.queries+query)*ld+head*c.d+i] * k[(image*c.keys+key)*ld+head*c.d+i]
					}
				}
				softmax(weights, scores, scale)
				for i := range c.d {
					for key := range weights {
						want[(image*c.queries+query)*width+head*c.d+i] += weights[key] * v[(image*c.keys+key)*ld+head*c.d+i]
					}
				}
			}
			args := metal.AttentionArgs{
				Queries: uint32(c.queries), Keys: uint32(c.keys), D: uint32(c.d),
				LdQ: uint32(ld), LdK: uint32(ld), LdV: uint32(ld), LdY: uint32(width), Scale: float32(scale),
			}
			y := blank(r.dtype, len(want))
			r.launch(args.Launch(r.dtype, c.n, c.heads, c.causal), pack(r.dtype, q), pack(r.dtype, k), pack(r.dtype, v), y)
			// Errors of a score become relative errors of its weight; weights are rounded to the type too.
			scores := 8 * c.std * c.std * math.Sqrt(float64(c.d)) * 1.0 / (1 << 24)
			r.near(y, r.dtype, want, accuracy(r.dtype, c.d+c.keys)+rounding(r.dtype)+scores)
		})
	}
}
