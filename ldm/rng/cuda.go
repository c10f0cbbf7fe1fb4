package rng

import "math"

// Philox4x32 returns the four words that ten rounds of Philox give for a counter and a key.
//
// Source: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011,
// section 3.3; constants of DEShawResearch/random123 include/Random123/philox.h.
func Philox4x32(counter [4]uint32, key [2]uint32) [4]uint32 {
	const rounds = 10
	for range rounds {
		a := uint64(counter[0]) * 0xd2511f53
		b := uint64(counter[2]) * 0xcd9e8d57
		counter = [4]uint32{
			uint32(b>>32) ^ counter[1] ^ key[0], uint32(b),
			uint32(a>>32) ^ counter[3] ^ key[1], uint32(a),
		}
		key[0] += 0x9e3779b9
		key[1] += 0xbb67ae85
	}
	return counter
}

// CUDA is PyTorch's generator on an NVIDIA GPU: Philox with the seed as key and the counter
// (call, 0, element, 0).
//
// PyTorch starts one thread for each element as long as the GPU can hold that many, which is so
// for latents of common sizes; beyond, threads give several elements each and the numbers depend
// on the GPU. The GPU's fast sine makes its own numbers differ in the last places.
//
// Source: AUTOMATIC1111/stable-diffusion-webui modules/rng_philox.py; cuRAND's curand_normal.h.
type CUDA struct {
	key  [2]uint32
	call uint32
}

// NewCUDA returns the generator after torch.cuda.manual_seed(seed).
func NewCUDA(seed uint64) *CUDA { return &CUDA{key: [2]uint32{uint32(seed), uint32(seed >> 32)}} }

// words gives yield the first two words of each of n elements and counts the call.
func (g *CUDA) words(n int, yield func(i int, x, y uint32)) {
	for i := range n {
		w := Philox4x32([4]uint32{g.call, 0, uint32(i), uint32(uint64(i) >> 32)}, g.key)
		yield(i, w[0], w[1])
	}
	g.call++
}

// CURAND_2POW32_INV and CURAND_2POW32_INV_2PI of curand_globals.h, float32 constants.
const (
	twoPow32Inv    = 0x1p-32
	twoPow32Inv2Pi = float64(twoPow32Inv * float32(2*math.Pi))
)

// Normal fills dst as torch.randn on the GPU does: the sine of each pair of Box and Muller.
func (g *CUDA) Normal(dst []float32) {
	g.words(len(dst), func(i int, x, y uint32) {
		u := float64(x)*twoPow32Inv + twoPow32Inv/2
		// The conversion of the product forbids a fused multiply-add, which would round differently.
		v := float64(float64(y)*twoPow32Inv2Pi) + twoPow32Inv2Pi/2
		dst[i] = float32(math.Sqrt(-2*math.Log(u)) * math.Sin(v))
	})
}

// Uniform fills dst as torch.rand on the GPU does: cuRAND's numbers of (0, 1], with 1 turned to 0.
func (g *CUDA) Uniform(dst []float32) {
	g.words(len(dst), func(i int, x, _ uint32) {
		u := float32(x)*twoPow32Inv + twoPow32Inv/2
		if u == 1 {
			u = 0
		}
		dst[i] = u
	})
}
