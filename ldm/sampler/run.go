package sampler

import (
	"fmt"
	"math"
	"slices"
)

// run is one call of Sample.
type run struct {
	*Sampler
	model      Model
	noise      Noise
	onStep     OnStep
	perImage   int
	in, out, z []float32 // the network's scaled input and its output; the last noise drawn
	magnitudes []float32
}

// term is one summand of a linear combination.
type term struct {
	k float64
	v []float32
}

// mix sets dst, which may be among the terms, to the sum of the terms.
func mix(dst []float32, terms ...term) {
	for j := range dst {
		sum := 0.0
		for _, t := range terms {
			sum += t.k * float64(t.v[j])
		}
		dst[j] = float32(sum)
	}
}

// evaluate runs the network at points[i]; its output is r.out.
func (r *run) evaluate(x []float32, i int) error {
	p, scale := r.points[i], 1.0
	if r.exploding {
		scale = p.alpha
		mix(r.in, term{scale, x})
		x = r.in
	}
	if err := r.model(x, p.t, scale, r.out); err != nil {
		return fmt.Errorf("sampler: %s at time step %v: %w", r.name, p.t, err)
	}
	return nil
}

// denoise sets d to D(x), the estimate of the clean x₀ that the network gives at points[i].
func (r *run) denoise(x []float32, i int, d []float32) error {
	if err := r.evaluate(x, i); err != nil {
		return err
	}
	kx, kout := r.points[i].clean(r.cfg.PredictionType)
	if r.exploding {
		kx *= r.points[i].alpha
	}
	mix(d, term{kx, x}, term{kout, r.out})
	switch {
	case r.cfg.Thresholding:
		r.threshold(d)
	case *r.cfg.ClipSample:
		limit := float32(*r.cfg.ClipSampleRange)
		for j, v := range d {
			d[j] = max(-limit, min(v, limit))
		}
	}
	return nil
}

// estimateNoise sets e to the noise in x that the network finds at points[i], x being in units of
// variance 1.
func (r *run) estimateNoise(x []float32, i int, e []float32) error {
	if err := r.denoise(x, i, e); err != nil {
		return err
	}
	p := r.points[i]
	if r.cfg.Thresholding {
		mix(e, term{1 / p.sigma, x}, term{-p.alpha / p.sigma, e})
		return nil
	}
	kx, kout := p.noise(r.cfg.PredictionType)
	mix(e, term{kx, x}, term{kout, r.out})
	return nil
}

// clean returns the factors of x and of the network's output in x₀. v is that of Salimans and Ho
// (2022, arXiv:2202.00512): α·noise - σ·x₀.
func (p point) clean(prediction string) (kx, kout float64) {
	switch prediction {
	case "v_prediction":
		return p.alpha, -p.sigma
	case "sample":
		return 0, 1
	}
	return 1 / p.alpha, -p.sigma / p.alpha
}

// noise returns the factors of x and of the network's output in the noise.
func (p point) noise(prediction string) (kx, kout float64) {
	switch prediction {
	case "v_prediction":
		return p.sigma, p.alpha
	case "sample":
		return 1 / p.sigma, -p.alpha / p.sigma
	}
	return 0, 1
}

// threshold scales each image of d so that a given part of its values lies within ±1 and clamps
// the others (Saharia et al. 2022, arXiv:2205.11487, section 2.3).
func (r *run) threshold(d []float32) {
	for image := range slices.Chunk(d, r.perImage) {
		for j, v := range image {
			r.magnitudes[j] = float32(math.Abs(float64(v)))
		}
		slices.Sort(r.magnitudes)
		rank := *r.cfg.DynamicThresholdingRatio * float64(r.perImage-1)
		low := int(rank)
		high := min(low+1, r.perImage-1)
		w := rank - float64(low)
		quantile := (1-w)*float64(r.magnitudes[low]) + w*float64(r.magnitudes[high])
		limit := float32(min(max(quantile, 1), *r.cfg.SampleMaxValue))
		for j, v := range image {
			image[j] = max(-limit, min(v, limit)) / limit
		}
	}
}

// draw returns the next noise.
func (r *run) draw() []float32 {
	r.noise(r.z)
	return r.z
}

// step tells that the evaluation at points[i] has moved x.
func (r *run) step(i int, x []float32) error {
	if r.onStep == nil {
		return nil
	}
	return r.onStep(i-r.first, len(r.points)-r.first, r.points[i].t, x)
}

// buffers returns n slices as long as x.
func buffers(n int, x []float32) [][]float32 {
	all := make([][]float32, n)
	for i := range all {
		all[i] = make([]float32, len(x))
	}
	return all
}

// older moves every entry of a history back by one place; the oldest comes first, to be
// overwritten.
func older(history [][]float32) {
	n := len(history)
	last := history[n-1]
	copy(history[1:], history[:n-1])
	history[0] = last
}
