package firststage

import (
	"fmt"
	"math"
	"runtime"
	"sync"
)

// Codebook is the table of a VQ model's codes (van den Oord et al. 2017, arXiv:1711.00937). It has
// its own copy of them and may be used by several goroutines.
type Codebook struct {
	size, dim int
	columns   []float64 // [dim, size]
}

// Codebook copies the codes of a VQ model, whose weights are bound.
func (a *FirstStage) Codebook() (*Codebook, error) {
	if a.Codes == nil {
		return nil, fmt.Errorf("first stage: a KL model has no codebook")
	}
	values, err := a.Codes.Floats(nil)
	if err != nil {
		return nil, err
	}
	b := &Codebook{a.Codes.Shape[0], a.Codes.Shape[1], make([]float64, len(values))}
	for i, v := range values {
		b.columns[i%b.dim*b.size+i/b.dim] = float64(v)
	}
	return b, nil
}

// Size is the number of codes.
func (b *Codebook) Size() int { return b.size }

// Quantize finds the nearest code to each pixel of latents z [n, h, w, z], by squared distance in
// float64; the first of equally near ones wins (CompVis, taming-transformers,
// taming/modules/vqvae/quantize.py, VectorQuantizer2, equation 2 of Esser et al. 2021,
// arXiv:2012.09841). A code's gap is how much further the next one is, relative to it:
// where it is near 0 a rounding may decide, and it is infinite for a pixel that is a code and for a
// table of one. It fails for latents that are not finite.
func (b *Codebook) Quantize(z []float32) (codes []int32, gaps []float32, err error) {
	if len(z)%b.dim != 0 {
		return nil, nil, fmt.Errorf("first stage: %d values are no pixels of %d channels", len(z), b.dim)
	}
	for i, v := range z {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return nil, nil, fmt.Errorf("first stage: channel %d of latent pixel %d is %g, want finite latents", i%b.dim, i/b.dim, v)
		}
	}
	pixels := len(z) / b.dim
	codes, gaps = make([]int32, pixels), make([]float32, pixels)
	workers := min(runtime.GOMAXPROCS(0), pixels)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			squared := make([]float64, b.size)
			for p := w * pixels / workers; p < (w+1)*pixels/workers; p++ {
				codes[p], gaps[p] = b.nearest(z[p*b.dim:][:b.dim], squared)
			}
		})
	}
	group.Wait()
	return codes, gaps, nil
}

// nearest is the first nearest code to a pixel, and its gap; squared is overwritten with all
// squared distances.
func (b *Codebook) nearest(pixel []float32, squared []float64) (code int32, gap float32) {
	clear(squared)
	for i, v := range pixel {
		x := float64(v)
		for j, c := range b.columns[i*b.size:][:len(squared)] {
			squared[j] += (x - c) * (x - c)
		}
	}
	least, second := math.Inf(1), math.Inf(1)
	for j, d := range squared {
		if d < least {
			least, second, code = d, least, int32(j)
		} else if d < second {
			second = d
		}
	}
	if second == 0 {
		return code, 0
	}
	return code, float32(math.Sqrt(second/least) - 1)
}

// Lookup writes the vectors of codes [n, h, w] to z [n, h, w, z], which it fails for a code that
// the table does not have.
func (b *Codebook) Lookup(z []float32, codes []int32) error {
	if len(z) != len(codes)*b.dim {
		return fmt.Errorf("first stage: %d values for %d codes of %d channels", len(z), len(codes), b.dim)
	}
	for p, code := range codes {
		if code < 0 || int(code) >= b.Size() {
			return fmt.Errorf("first stage: code %d of pixel %d, want 0 to %d", code, p, b.Size()-1)
		}
		for i := range b.dim {
			z[p*b.dim+i] = float32(b.columns[i*b.size+int(code)])
		}
	}
	return nil
}
