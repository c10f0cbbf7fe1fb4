package sampler

import (
	"fmt"
	"math"
)

func planPNDM(s *Sampler) error {
	if s.cfg.PredictionType == "sample" {
		return oneOf("prediction_type", s.cfg.PredictionType, "epsilon", "v_prediction")
	}
	s.stochastic = s.opt.CompVis
	if err := s.tableTimes(); err != nil {
		return err
	}
	n := len(s.base)
	if *s.cfg.SkipPRKSteps {
		times := s.base
		if n > 1 { // improved Euler evaluates the second time step twice
			times = append([]float64{s.base[0], s.base[1]}, s.base[1:]...)
		}
		return s.setPoints(times, s.opt.StartStep)
	}
	switch {
	case n < 4:
		return fmt.Errorf("sampler: %d steps of pndm, want at least 4; plms needs fewer", n)
	case s.opt.StartStep > 0 || s.opt.Timesteps != nil:
		return fmt.Errorf("sampler: pndm cannot start within its schedule or take given time steps; plms can")
	}
	// The first three steps are of Runge-Kutta, with four evaluations each.
	var times []float64
	half := math.Floor(s.stride() / 2)
	for i, t := range s.base[:3] {
		middle, end := s.base[i+1]+half, s.base[i+1]
		times = append(times, t, middle, middle, end)
	}
	return s.setPoints(append(times, s.base[3:]...), 0)
}

// pndm implements algorithm 2 of Liu et al. (2022), arXiv:2202.09778, and with skip_prk_steps the
// PLMS of CompVis/latent-diffusion (ldm/models/diffusion/plms.py).
func pndm(r *run, x []float32) error {
	history := buffers(4, x) // network outputs, the newest first
	start, known := r.first, 0
	if !*r.cfg.SkipPRKSteps {
		if err := rungeKutta(r, x, history); err != nil {
			return err
		}
		start, known = 12, 3
	}
	e, begin := make([]float32, len(x)), make([]float32, len(x))
	for i := start; i < len(r.points); i++ {
		if err := r.evaluate(x, i); err != nil {
			return err
		}
		t := r.points[i].t
		from, to := t, t-r.stride()
		if r.opt.Timesteps != nil {
			to = -1
			if i+1 < len(r.points) {
				to = r.points[i+1].t
			}
		}
		second := i == start+1 && *r.cfg.SkipPRKSteps
		if second {
			// Improved Euler: step again from the beginning with the mean of both slopes. A
			// start within the schedule does the same, though its time steps are not repeated.
			from, to = t+r.stride(), t
			if r.opt.Timesteps != nil {
				from = r.points[i-1].t
			}
			mix(e, term{0.5, r.out}, term{0.5, history[0]})
			copy(x, begin)
		} else {
			older(history)
			copy(history[0], r.out)
			known = min(known+1, 4)
			h := history
			switch known { // Adams-Bashforth, equation 12
			case 1:
				copy(e, h[0])
				copy(begin, x)
			case 2:
				mix(e, term{3. / 2, h[0]}, term{-1. / 2, h[1]})
			case 3:
				mix(e, term{23. / 12, h[0]}, term{-16. / 12, h[1]}, term{5. / 12, h[2]})
			case 4:
				mix(e, term{55. / 24, h[0]}, term{-59. / 24, h[1]}, term{37. / 24, h[2]}, term{-9. / 24, h[3]})
			}
		}
		r.transfer(x, x, from, to, e)
		if r.stochastic {
			r.draw()
		}
		if err := r.step(i, x); err != nil {
			return err
		}
	}
	return nil
}

// rungeKutta takes the first three steps and leaves their first slopes in history.
func rungeKutta(r *run, x []float32, history [][]float32) error {
	begin, e := make([]float32, len(x)), make([]float32, len(x))
	for k := range 3 {
		from := r.base[k]
		middle, end := r.points[4*k+1].t, r.points[4*k+3].t
		copy(begin, x)
		stages := [4]struct{ weight, to float64 }{
			{1. / 6, from - math.Floor(r.stride()/2)}, {1. / 3, middle}, {1. / 3, end}, {1. / 6, end},
		}
		for j, stage := range stages {
			i := 4*k + j
			if err := r.evaluate(x, i); err != nil {
				return err
			}
			if j == 0 {
				older(history)
				copy(history[0], r.out)
				clear(e)
			}
			mix(e, term{1, e}, term{stage.weight, r.out})
			slope := r.out
			if j == 3 {
				slope = e
			}
			r.transfer(x, begin, from, stage.to, slope)
			if err := r.step(i, x); err != nil {
				return err
			}
		}
	}
	return nil
}

// transfer sets dst to x taken from one time step to another along a network output (equation 11
// of the paper).
func (r *run) transfer(dst, x []float32, from, to float64, out []float32) {
	a, aTo := r.alphaBarAt(from), r.alphaBarAt(to)
	kx, kout := pointOf(from, a).noise(r.cfg.PredictionType)
	slope := -(aTo - a) / (a*math.Sqrt(1-aTo) + math.Sqrt(a*(1-a)*aTo))
	mix(dst, term{math.Sqrt(aTo/a) + slope*kx, x}, term{slope * kout, out})
}
