package compvis

import (
	"math"
	"strconv"

	"ldm-mac/ldm/tensor"
)

// readSchedule finds the ends of the noise schedule in its buffer.
func (s *state) readSchedule(c *settings) error {
	if s.betas == nil {
		return nil
	}
	betas, err := s.betas.Floats(nil)
	if err != nil {
		return s.fault("%w", err)
	}
	if n := len(betas); n < 2 || n > maxSteps {
		return s.fault("the schedule \"betas\" has %d steps, want 2 to %d", n, maxSteps)
	}
	if s.betas.DType != tensor.F32 && s.betas.DType != tensor.F64 {
		s.snapSchedule(c, betas)
		return nil
	}
	c.steps, c.buffered = len(betas), true
	c.betaStart, c.betaEnd = shortest(betas[0]), shortest(betas[len(betas)-1])
	if !scaledLinear(betas, c.betaStart, c.betaEnd, 1e-5) {
		return s.fault("the schedule \"betas\" from %g to %g is not the linear one of the square roots", c.betaStart, c.betaEnd)
	}
	return nil
}

// maxSteps bounds the schedule; every published one has 1000 steps.
const maxSteps = 1 << 16

// snapSchedule finds a released schedule that was rounded to half precision with the weights.
func (s *state) snapSchedule(c *settings, betas []float32) {
	c.steps = 0
	for _, p := range systems {
		if scaledLinear(betas, p.betas[0], p.betas[1], 0.005) { // bfloat16 has 8 bits
			c.steps, c.betaStart, c.betaEnd = len(betas), p.betas[0], p.betas[1]
			return
		}
	}
}

// scaledLinear reports whether betas are linear in their square roots, within a relative error.
func scaledLinear(betas []float32, start, end, tolerance float64) bool {
	if !(start > 0 && start < end && end < 1) {
		return false
	}
	a, b := math.Sqrt(start), math.Sqrt(end)
	for i, beta := range betas {
		root := a + (b-a)*float64(i)/float64(len(betas)-1)
		if want := root * root; !(math.Abs(float64(beta)-want) <= tolerance*want) {
			return false
		}
	}
	return true
}

// shortest is the number with the fewest digits that float32 rounds to f: what a configuration
// said.
func shortest(f float32) float64 {
	d, err := strconv.ParseFloat(strconv.FormatFloat(float64(f), 'g', -1, 32), 64)
	if err != nil {
		return math.NaN()
	}
	return d
}
