package verify

import (
	"math"

	"ldm-mac/ldm/rng"
)

// Printed decimals are rounded to half a unit of their last place; the last bits of the float32
// numbers that were printed come on top.
const (
	fourDecimals  = 0.5e-4 + 2e-6
	eightDecimals = 0.5e-8 + 1e-12
)

// The published numbers of the CUDA generator were made with 2 pi in float64. cuRAND has it in
// float32, where it is larger by 1.75e-7; this is multiplied by the radius, at most 6.8 for a
// uniform number of 32 bits.
const float32Angle = 6.8 * 1.75e-7

// generatorChecks compare the random generators with published values.
func generatorChecks() []Check {
	const (
		kornia    = "kornia/kornia kornia/augmentation/"
		random123 = "DEShawResearch/random123 tests/kat_vectors"
	)
	return []Check{
		word("MT19937, 10000th word", "ISO/IEC 14882 (C++), [rand.predef]", 4123659995, func() uint32 {
			return nth(10000, rng.NewMT19937(5489).Uint32)
		}),
		philox("Philox 4x32-10, zeros", random123, [4]uint32{}, [2]uint32{},
			[4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}),
		philox("Philox 4x32-10, ones", random123,
			[4]uint32{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, [2]uint32{0xffffffff, 0xffffffff},
			[4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}),
		philox("Philox 4x32-10, digits of pi", random123,
			[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}),
		numbers("torch.rand, seed 0, first 15 of 75", kornia+"_2d/intensity/random_rgb_shift.py", fourDecimals,
			[]float64{
				0.4963, 0.7682, 0.0885, 0.1320, 0.3074,
				0.6341, 0.4901, 0.8964, 0.4556, 0.6323,
				0.3489, 0.4017, 0.0223, 0.1689, 0.2939,
			},
			func() []float64 { return drawn(rng.NewTorch(0).Uniform, 75) }),
		numbers("torch.randn of 8, seed 0", kornia+"random_generator/base.py", fourDecimals,
			[]float64{1.5410, -0.2934, -2.1788, 0.5684, -1.0845, -1.3986, 0.4033, 0.8380},
			func() []float64 { return drawn(rng.NewTorch(0).Normal, 8) }),
		numbers("torch.randn of 48, seed 0", kornia+"_3d/geometric/center_crop.py", fourDecimals,
			[]float64{
				-1.1258, -1.1524, -0.2506, -0.4339, 0.8487, 0.6920,
				-0.3160, -2.1152, 0.3223, -1.2633, 0.3500, 0.3081,
				0.1198, 1.2377, 1.1168, -0.2473, -1.3527, -1.6959,
				0.5667, 0.7935, 0.5988, -1.5551, -0.3414, 1.8530,
				0.7502, -0.5855, -0.1734, 0.1835, 1.3894, 1.5863,
				0.9463, -0.8437, -0.6136, 0.0316, -0.4927, 0.2484,
				0.4397, 0.1124, 0.6408, 0.4412, -0.1023, 0.7924,
				-0.2897, 0.0525, 0.5229, 2.3022, -1.4689, -1.5867,
			},
			func() []float64 { return drawn(rng.NewTorch(0).Normal, 48) }),
		numbers("numpy standard_normal, seed 12345, last 5 of 10000",
			"apple/ml-stable-diffusion swift/StableDiffusionTests/StableDiffusionTests.swift", eightDecimals,
			[]float64{-0.86285345, 2.15229409, -0.00670556, -1.21472309, 0.65498866},
			func() []float64 {
				values := make([]float64, 10000)
				rng.NewNumPy(12345).NormalFloat64(values)
				return values[len(values)-5:]
			}),
		numbers("torch.randn on CUDA, seed 0", "AUTOMATIC1111/stable-diffusion-webui modules/rng_philox.py", float32Angle,
			[]float64{
				-0.92466259, -0.42534415, -2.6438457, 0.14518388,
				-0.12086647, -0.57972564, -0.62285122, -0.32838709,
				-1.07454231, -0.36314407, -1.67105067, 2.26550497,
			},
			func() []float64 { return drawn(rng.NewCUDA(0).Normal, 12) }),
	}
}

// word is a check of one word, which has to be equal.
func word(name, source string, want uint32, got func() uint32) Check {
	return Check{"generator", name, source, func() (difference, tolerance float64, err error) {
		return math.Abs(float64(got()) - float64(want)), 0, nil
	}}
}

func nth(n int, next func() uint32) (word uint32) {
	for range n {
		word = next()
	}
	return word
}

// philox is a check of one block; the difference is the number of words that differ.
func philox(name, source string, counter [4]uint32, key [2]uint32, want [4]uint32) Check {
	return Check{"generator", name, source, func() (difference, tolerance float64, err error) {
		got := rng.Philox4x32(counter, key)
		for i := range want {
			if got[i] != want[i] {
				difference++
			}
		}
		return difference, 0, nil
	}}
}

// numbers is a check of real numbers; got returns as many as want has.
func numbers(name, source string, allowed float64, want []float64, got func() []float64) Check {
	return Check{"generator", name, source, func() (difference, tolerance float64, err error) {
		values := got()
		for i := range want {
			difference = max(difference, math.Abs(values[i]-want[i]))
		}
		return difference, allowed, nil
	}}
}

// drawn returns the n numbers of one call.
func drawn(fill func([]float32), n int) []float64 {
	narrow, wide := make([]float32, n), make([]float64, n)
	fill(narrow)
	for i, v := range narrow {
		wide[i] = float64(v)
	}
	return wide
}
