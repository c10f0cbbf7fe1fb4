//go:build (darwin || softmetal) && cgo

package shaders_test

import (
	"fmt"
	"testing"

	"ldm-mac/bridge"
	"ldm-mac/metal"
)

func testGEMM(t *testing.T) {
	for i, c := range []struct{ batch, m, n, k int }{
		{1, 1, 1, 1}, {1, 5, 7, 3}, {2, 64, 64, 16}, {1, 65, 33, 17}, {3, 33, 70, 40}, {1, 128, 96, 64}, {1, 2, 320, 100}, {2, 31, 130, 15},
	} {
		for _, tile := range []metal.Tile{metal.Tile64, metal.Tile32} {
			for _, transposed := range []bool{false, true} {
				each(t, fmt.Sprintf("%dx%dx%dx%d/%v/transposed_%t", c.batch, c.m, c.n, c.k, tile, transposed), func(r run) {
					p := metal.Product{Type: r.dtype, Weights: types[r.seed%2], Result: r.dtype, Bias: i%2 == 0, Residual: i%3 == 0, Tile: tile}
					if i%4 == 1 {
						p.Result = bridge.Float32
					}
					args := metal.NewGEMM(c.m, c.n, c.k, transposed)
					args.Alpha = 0.5
					if i == 3 {
						args.ResidualRows = 13 // 65 rows of y add 5 of residual
						p.Residual = true
					}
					gemm(r, args, p, c.batch, transposed)
				})
			}
		}
	}
	// Two of three matrices that are packed side by side, as queries and keys are.
	each(t, "packed", func(r run) {
		args := metal.NewGEMM(9, 11, 8, true)
		args.LdA, args.StrideA, args.LdB, args.StrideB, args.LdY, args.StrideY = 24, 9*24, 24, 11*24, 12, 9*12
		gemm(r, args, metal.Product{Type: r.dtype, Weights: r.dtype, Result: r.dtype, Tile: metal.Tile32}, 2, true)
	})
}

// gemm tests one launch on random operands.
func gemm(r run, args metal.GEMMArgs, p metal.Product, batch int, transposed bool) {
	m, n, k := int(args.M), int(args.N), int(args.K)
	a := r.normal(p.Type, batch*int(args.StrideA), 0, 1)
	b := r.normal(p.Weights, batch*int(args.StrideB), 0, 1)
	bias := r.normal(bridge.Float32, n, 0, 1)
	rows := (m + int(args.ResidualRows) - 1) / int(args.ResidualRows)
	residual := r.normal(p.Type, batch*rows*n, 0, 1)
	want := make([]float64, batch*int(args.StrideY))
	y := pack(p.Result, want)
	stepK, stepN := int(args.LdB), 1
	if transposed {
		stepK, stepN = 1, int(args.LdB)
	}
	for i := range batch * m * n {
		matrix, row, column := i/(m*n), i/n%m, i%n
		sum := 0.0
		for j := range k {
			sum += a[matrix*int(args.StrideA)+row*int(args.LdA)+j] * b[matrix*int(args.StrideB)+j*stepK+column*stepN]
		}
		sum *= float64(args.Alpha)
		if p.Bias {
			sum += bias[column]
		}
		if p.Residual {
			sum += residual[(matrix*rows+row/int(args.ResidualRows))*n+column]
		}
		want[matrix*int(args.StrideY)+row*int(args.LdY)+column] = sum
	}
	buffers := [][]byte{pack(p.Type, a), pack(p.Weights, b), y, nil, nil}
	if p.Bias {
		buffers[3] = pack(bridge.Float32, bias)
	}
	if p.Residual {
		buffers[4] = pack(p.Type, residual)
	}
	r.launch(args.Launch(p, batch, transposed), buffers...)
	tolerance := accuracy(p.Result, k)
	if p.Type != p.Weights {
		tolerance += rounding(bridge.Float16) // weights are rounded to the type of the product
	}
	r.near(y, p.Result, want, tolerance)
}

func testConv2D(t *testing.T) {
	for i, c := range []struct {
		n, h, w, in, out         int
		kernel, stride           int
		top, bottom, left, right int
		upsample                 bool
	}{
		{1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, false},
		{1, 1, 1, 1, 1, 3, 1, 1, 1, 1, 1, false},
		{2, 7, 6, 5, 9, 3, 1, 1, 1, 1, 1, false},
		{1, 8, 8, 4, 33, 3, 1, 1, 1, 1, 1, false}, // into a U-Net
		{1, 9, 11, 32, 4, 3, 1, 1, 1, 1, 1, false},
		{2, 5, 5, 48, 40, 3, 1, 1, 1, 1, 1, false},
		{1, 9, 8, 20, 70, 3, 2, 1, 1, 1, 1, false}, // downsampling of a U-Net
		{2, 8, 10, 16, 8, 3, 2, 0, 1, 0, 1, false}, // and of a first stage
		{1, 6, 7, 18, 5, 3, 1, 2, 0, 1, 3, false},
		{1, 9, 9, 3, 5, 5, 1, 2, 2, 2, 2, false},
		{1, 8, 8, 16, 16, 4, 4, 0, 0, 0, 0, false},
		{2, 5, 7, 33, 35, 1, 1, 0, 0, 0, 0, false},
		{2, 4, 5, 16, 24, 3, 1, 1, 1, 1, 1, true},
		{1, 3, 3, 3, 3, 3, 1, 1, 1, 1, 1, true},
	} {
		for _, tile := range []metal.Tile{metal.Tile64, metal.Tile32, metal.TileNarrow} {
			each(t, fmt.Sprintf("%+v/%v", c, tile), func(r run) {
				p := metal.Product{Type: r.dtype, Weights: types[r.seed%2], Result: r.dtype, Bias: i%2 == 0, Residual: i%3 == 0, Tile: tile}
				scale := 1
				if c.upsample {
					scale = 2
				}
				h, w := c.h*scale, c.w*scale
				outH, outW := (h+c.top+c.bottom-c.kernel)/c.stride+1, (w+c.left+c.right-c.kernel)/c.stride+1
				args := metal.Conv2DArgs{
					N: uint32(c.n), H: uint32(c.h), W: uint32(c.w), C: uint32(c.in), Out: uint32(c.out), OutH: uint32(outH), OutW: uint32(outW),
					KernelH: uint32(c.kernel), KernelW: uint32(c.kernel), Stride: uint32(c.stride), Top: uint32(c.top), Left: uint32(c.left), ResidualRows: 1,
				}
				if i%6 == 0 {
					args.ResidualRows = uint32(outH * outW) // one row for each image
				}
				x := r.normal(r.dtype, c.n*c.h*c.w*c.in, 0, 1)
				weight := r.normal(p.Weights, c.out*c.kernel*c.kernel*c.in, 0, 1)
				bias := r.normal(bridge.Float32, c.out, 0, 1)
				residual := r.normal(r.dtype, c.n*outH*outW/int(args.ResidualRows)*c.out, 0, 1)
				want := image(c.n, outH, outW, c.out, func(image, row, column, out int) float64 {
					sum := 0.0
					for tap := range c.kernel * c.kernel {
						at, to := row*c.stride-c.top+tap/c.kernel, column*c.stride-c.left+tap%c.kernel
						if at < 0 || to < 0 {
							continue
						}
						for in := range c.in {
							sum += pixel(x, c.h, c.w, c.in, image, at/scale, to/scale, in) * weight[(out*c.kernel*c.kernel+tap)*c.in+in]
						}
					}
					if p.Bias {
						sum += bias[out]
					}
					if p.Residual {
						sum += residual[((image*outH+row)*outW+column)/int(args.ResidualRows)*c.out+out]
					}
					return sum
				})
				y := blank(r.dtype, len(want))
				buffers := [][]byte{pack(r.dtype, x), pack(p.Weights, weight), y, nil, nil}
				if p.Bias {
					buffers[3] = pack(bridge.Float32, bias)
				}
				if p.Residual {
					buffers[4] = pack(r.dtype, residual)
				}
				r.launch(args.Launch(p, c.upsample), buffers...)
				tolerance := accuracy(r.dtype, c.kernel*c.kernel*c.in)
				if p.Type != p.Weights {
					tolerance += rounding(bridge.Float16)
				}
				r.near(y, r.dtype, want, tolerance)
			})
		}
	}
}
