package pipeline

import (
	"context"
	"image"
	"math"
	"testing"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/cpu"
	"ldm-mac/ldm/emoji"
	"ldm-mac/ldm/imageio"
	"ldm-mac/ldm/tensor"
)

// emojiModel is the built-in model, whose first stage is a trained one.
func emojiModel(t *testing.T) *Pipeline {
	t.Helper()
	folder, err := checkpoint.OpenFolderFS("emoji", emoji.FS())
	if err != nil {
		t.Fatal(err)
	}
	backend := cpu.New(0)
	p, err := Load(backend, folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(); backend.Close() })
	return p
}

// clouds are noise of all sizes, as photographs have it.
func clouds(side int) *image.NRGBA {
	corner := func(i, j int) float64 {
		n := uint32(i*374761393 + j*668265263)
		n = (n ^ n>>13) * 1274126177
		return float64(n^n>>16) / math.MaxUint32
	}
	noise := func(x, y float64) float64 {
		i, j := int(math.Floor(x)), int(math.Floor(y))
		u, v := x-float64(i), y-float64(j)
		u, v = u*u*(3-2*u), v*v*(3-2*v)
		return (corner(i, j)*(1-u)+corner(i+1, j)*u)*(1-v) + (corner(i, j+1)*(1-u)+corner(i+1, j+1)*u)*v
	}
	m := image.NewNRGBA(image.Rect(0, 0, side, side))
	for y := range side {
		for x := range side {
			for c := range 3 {
				sum, amplitude := 0.0, 0.5
				for f := 1.0 / 128; f < 0.5; f *= 2 {
					sum += amplitude * noise(float64(x)*f+float64(c)*17, float64(y)*f)
					amplitude /= 2
				}
				sum = sum*0.8 + 0.3*float64(y)/float64(side) - 0.1
				m.Pix[4*(y*side+x)+c] = uint8(255 * min(max(sum, 0), 1))
			}
			m.Pix[4*(y*side+x)+3] = 255
		}
	}
	return m
}

// decoded is what a model makes of latents, in tiles.
func decoded(t *testing.T, p *Pipeline, latents tensor.Array, tiles Tiles) *image.NRGBA {
	t.Helper()
	var made *image.NRGBA
	if err := p.Decode(context.Background(), latents, "", tiles, func(m *image.NRGBA) error { made = m; return nil }); err != nil {
		t.Fatal(err)
	}
	return made
}

// TestTiles compares a first stage in tiles with one that sees all: 45 dB is a mean error of 1.4 levels of 255.
func TestTiles(t *testing.T) {
	p := emojiModel(t)
	const side, enough = 256, 45
	for name, m := range map[string]*image.NRGBA{"clouds": clouds(side), "gradient": gradient(side, side)} {
		latents, err := p.Encode(context.Background(), m, nil, "", Tiles{})
		if err != nil {
			t.Fatal(err)
		}
		whole := decoded(t, p, latents, Tiles{})
		tiles := Tiles{24, 8}
		got := decoded(t, p, latents, tiles)
		decoding, err := imageio.PSNR(got, whole)
		if err != nil {
			t.Fatal(err)
		}
		again, err := p.Encode(context.Background(), m, nil, "", tiles)
		if err != nil {
			t.Fatal(err)
		}
		encoding, err := imageio.PSNR(decoded(t, p, again, Tiles{}), whole)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: decoding in tiles %.1f dB, encoding in tiles %.1f dB", name, decoding, encoding)
		if decoding < enough || encoding < enough {
			t.Errorf("%s: decoding in tiles %.1f dB, encoding in tiles %.1f dB, want at least %d", name, decoding, encoding, enough)
		}
		if name == "gradient" {
			noSeams(t, got, whole)
		}
	}
}

// noSeams compares the error of a picture in tiles from column to column, but at the picture's own edges:
// it has no step in it.
func noSeams(t *testing.T, got, whole *image.NRGBA) {
	const edge = 8
	side := got.Rect.Dx()
	means := make([]float64, side) // of the error, by column
	for i := range got.Pix {
		if i%4 < 3 {
			means[i/4%side] += (float64(got.Pix[i]) - float64(whole.Pix[i])) / float64(3*side)
		}
	}
	for x := edge; x < side-edge; x++ {
		if step := math.Abs(means[x] - means[x-1]); step > 0.5 {
			t.Errorf("the error steps by %.2f levels at column %d", step, x)
		}
	}
}

// Tiles cover every size, and their weights add up to 1.
func TestTileWeights(t *testing.T) {
	for side := 1; side <= 200; side++ {
		for _, tiles := range []Tiles{{8, 1}, {8, 4}, {16, 4}, {33, 7}, {64, 16}, {128, 32}} {
			for _, factor := range []int{1, 8} {
				starts, length := tiles.starts(side)
				sum := make([]float64, side*factor)
				for i, weights := range tiles.weights(starts, length, side, factor) {
					for j, w := range weights {
						sum[starts[i]*factor+j] += float64(w)
					}
				}
				for x, s := range sum {
					if math.Abs(s-1) > 1e-5 {
						t.Fatalf("%+v of %d, factor %d: the weights of pixel %d add up to %g", tiles, side, factor, x, s)
					}
				}
			}
		}
	}
	for _, bad := range []Tiles{{-1, 0}, {0, 1}, {8, 0}, {8, 5}} {
		if bad.check("some") == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

// TestSuperResolutionTiles compares what the U-Net of super-resolution makes in tiles with what it makes of
// the whole picture.
func TestSuperResolutionTiles(t *testing.T) {
	p, f := openFixture(t, "superres-tiny")
	r := drawable(t, p, f)
	r.Seeds, r.Eta, r.Image = r.Seeds[:1], 0, clouds(96)
	r.Width, r.Height = 96, 96
	latents := func(tiling Tiling) (z tensor.Array) {
		r.Tiling = tiling
		r.OnTensor = func(name string, a tensor.Array) {
			if name == "latents" {
				z = tensor.Array{Shape: a.Shape, Data: append([]float32(nil), a.Data...)}
			}
		}
		generate(t, p, r)
		return z
	}
	whole, tiled := latents(Tiling{}), latents(Tiling{UNet: Tiles{64, 32}})
	var squares, power float64
	for i, v := range whole.Data {
		squares += math.Pow(float64(v)-float64(tiled.Data[i]), 2)
		power += float64(v) * float64(v)
	}
	// Attention and group norms see a tile alone, which random weights show more than trained ones. Other
	// latents altogether would be at -3 dB.
	db := 10 * math.Log10(power/squares)
	if t.Logf("latents in tiles: %.1f dB", db); db < 10 {
		t.Errorf("latents in tiles are at %.1f dB of whole ones, want at least 10", db)
	}
}
