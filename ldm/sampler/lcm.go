package sampler

import (
	"fmt"
	"math"
)

func planLCM(s *Sampler) error {
	s.stochastic = true
	times := s.opt.Timesteps
	if times == nil {
		// The steps are chosen among those that the model was distilled for.
		n, trained := s.opt.Steps, *s.cfg.OriginalInferenceSteps
		if err := within("original_inference_steps", float64(trained), 1, float64(len(s.alphaBar))); err != nil {
			return err
		}
		if n > trained {
			return fmt.Errorf("sampler: %d steps of lcm, want at most original_inference_steps = %d", n, trained)
		}
		stride := *s.cfg.NumTrainTimesteps / trained
		times = make([]float64, n)
		for i := range times {
			times[i] = float64((trained-i*trained/n)*stride - 1)
		}
	}
	if err := s.checkWhole(times); err != nil {
		return err
	}
	return s.setPoints(times, s.opt.StartStep)
}

// lcm implements algorithm 3 of Luo et al. (2023), arXiv:2310.04378, with the boundary conditions
// of their appendix C: estimate the clean latents, and add noise of the next step to them.
func lcm(r *run, x []float32) error {
	const sigmaData = 0.5
	x0 := make([]float32, len(x))
	for i := r.first; i < len(r.points); i++ {
		if err := r.denoise(x, i, x0); err != nil {
			return err
		}
		t := r.points[i].t * *r.cfg.TimestepScaling
		skip := sigmaData * sigmaData / (t*t + sigmaData*sigmaData)
		out := t / math.Sqrt(t*t+sigmaData*sigmaData)
		mix(x, term{out, x0}, term{skip, x})
		if i+1 < len(r.points) {
			next := r.points[i+1]
			mix(x, term{next.alpha, x}, term{next.sigma, r.draw()})
		}
		if err := r.step(i, x); err != nil {
			return err
		}
	}
	return nil
}
