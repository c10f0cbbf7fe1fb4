package metal

import "time"

// Chip is what public sources say of one of Apple's chips, to predict times that nobody measured.
type Chip struct {
	Name      string
	TFLOPS    float64 // of multiply-adds in float32, two operations each; float16 has the same rate up to M2
	Bandwidth float64 // of memory, in GB/s
}

// Chips are those whose rates philipturner/metal-benchmarks (README, Overview) and Apple's data
// sheets give; M4's rate is that of philipturner/metal-flash-attention (README).
var Chips = []Chip{
	{"M1", 2.617, 68},
	{"M1 Pro", 5.308, 200},
	{"M1 Max", 10.617, 400},
	{"M1 Ultra", 21.233, 800},
	{"M2", 3.579, 100},
	{"M2 Pro", 6.800, 200},
	{"M2 Max", 13.600, 400},
	{"M4", 3.580, 120},
}

// reached is the part of the peak rate that good programs reach over a whole U-Net: Core ML and MLX
// 45 to 55 % on M2 Pro (coreml-diffusion-benchmarks), single products 80 % and more.
const reached = 0.6

// Predict is the longer of the time for p's operations, at 60 % of the chip's rate, and the time for
// its bytes at the full bandwidth.
func (c Chip) Predict(p Plan) time.Duration {
	compute := float64(p.FLOPs) / (reached * c.TFLOPS * 1e12)
	memory := float64(p.Bytes) / (c.Bandwidth * 1e9)
	return time.Duration(max(compute, memory) * float64(time.Second))
}
