package rng

import "math"

// Torch is PyTorch's generator on the CPU, torch.Generator().manual_seed(seed).
//
// Integers, uniform numbers and fewer than 16 normal numbers are PyTorch's. Longer calls of Normal
// differ by up to 2e-6, because PyTorch uses the vector logarithm and sines of its CPU build.
//
// Source: pytorch/pytorch aten/src/ATen/native/cpu/DistributionTemplates.h,
// aten/src/ATen/core/{DistributionsHelper,TransformationHelper}.h and aten/src/ATen/CPUGeneratorImpl.cpp.
type Torch struct {
	engine *MT19937
	second float64 // the other normal number of the last pair
	cached bool    // second has not been given out yet
}

// block is how many elements PyTorch turns into normal numbers at once; shorter calls draw them
// one by one.
const block = 16

// NewTorch returns the generator after manual_seed(seed), which keeps the low 32 bits.
func NewTorch(seed uint64) *Torch { return &Torch{engine: NewMT19937(uint32(seed))} }

func (g *Torch) uint64() uint64 {
	high := uint64(g.engine.Uint32())
	return high<<32 | uint64(g.engine.Uint32())
}

// uniform returns a number of [0, 1) with as many bits as the mantissa of the type it is for,
// counting the hidden one: at most 32.
func (g *Torch) uniform(bits uint) float64 {
	mask := uint32(1<<bits - 1)
	return math.Ldexp(float64(g.engine.Uint32()&mask), -int(bits))
}

func (g *Torch) uniformFloat64() float64 {
	return math.Ldexp(float64(g.uint64()&(1<<53-1)), -53)
}

// normal returns one normal number by the method of Box and Muller and keeps the other.
func (g *Torch) normal() float64 {
	if g.cached {
		g.cached = false
		return g.second
	}
	u1 := g.uniformFloat64()
	u2 := g.uniformFloat64()
	radius := math.Sqrt(-2 * math.Log1p(-u2))
	sin, cos := math.Sincos(2 * math.Pi * u1)
	g.second, g.cached = radius*sin, true
	return radius * cos
}

// Uniform fills dst as torch.rand does in float32: numbers of [0, 1) with 24 bits.
func (g *Torch) Uniform(dst []float32) {
	for i := range dst {
		dst[i] = float32(g.uniform(float32Format.bits))
	}
}

// Normal fills dst as torch.randn does in float32.
func (g *Torch) Normal(dst []float32) { g.normalIn(float32Format, dst) }

// NormalFloat16 fills dst with the float16 numbers of torch.randn in float16, which are not
// rounded float32 ones.
func (g *Torch) NormalFloat16(dst []float32) { g.normalIn(float16Format, dst) }

// NormalBFloat16 fills dst with the bfloat16 numbers of torch.randn in bfloat16, which are not
// rounded float32 ones.
func (g *Torch) NormalBFloat16(dst []float32) { g.normalIn(bfloat16Format, dst) }

func (g *Torch) normalIn(f format, dst []float32) {
	if len(dst) < block {
		for i := range dst {
			dst[i] = float32(f.round(g.normal()))
		}
		return
	}
	for i := range dst {
		dst[i] = float32(g.uniform(f.bits))
	}
	whole := len(dst) / block * block
	for i := 0; i < whole; i += block {
		f.boxMuller(dst[i : i+block])
	}
	if whole < len(dst) {
		tail := dst[len(dst)-block:]
		for i := range tail {
			tail[i] = float32(g.uniform(f.bits))
		}
		f.boxMuller(tail)
	}
}

// NormalFloat64 fills dst as torch.randn does in float64.
func (g *Torch) NormalFloat64(dst []float64) {
	if len(dst) < block {
		for i := range dst {
			dst[i] = g.normal()
		}
		return
	}
	for i := range dst {
		dst[i] = g.uniformFloat64()
	}
	whole := len(dst) / block * block
	for i := 0; i < whole; i += block {
		boxMullerFloat64(dst[i : i+block])
	}
	if whole < len(dst) {
		tail := dst[len(dst)-block:]
		for i := range tail {
			tail[i] = g.uniformFloat64()
		}
		boxMullerFloat64(tail)
	}
}

// boxMullerFloat64 turns the 16 uniform numbers of b into normal ones: the first eight give the
// radii, the last eight the angles.
func boxMullerFloat64(b []float64) {
	half := len(b) / 2
	for i := range half {
		radius := math.Sqrt(-2 * math.Log(1-b[i]))
		sin, cos := math.Sincos(2 * math.Pi * b[i+half])
		b[i], b[i+half] = radius*cos, radius*sin
	}
}

// Intn returns one number of torch.randint(0, n) in int64. It panics if n is not positive.
//
// Ranges of 2^28 and more take 64 bits, as in PyTorch 2.9; older releases draw 32 bits below 2^32.
func (g *Torch) Intn(n int64) int64 {
	if n <= 0 {
		panic("rng: Intn needs a positive range")
	}
	if n >= 1<<28 {
		return int64(g.uint64() % uint64(n))
	}
	return int64(g.engine.Uint32() % uint32(n))
}

// Perm returns torch.randperm(n): a permutation of the integers below n.
func (g *Torch) Perm(n int) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	for i := range n - 1 {
		j := i + int(g.engine.Uint32()%uint32(n-i))
		p[i], p[j] = p[j], p[i]
	}
	return p
}
