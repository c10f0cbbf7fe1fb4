package rng

import "math"

// NumPy is numpy.random.RandomState(seed), NumPy's legacy generator.
//
// Source: numpy/numpy numpy/random/src/legacy/legacy-distributions.c and
// numpy/random/src/mt19937/mt19937.h.
type NumPy struct {
	engine *MT19937
	second float64 // the other normal number of the last pair
	cached bool    // second has not been given out yet
}

const maxNumPySeed = math.MaxUint32

// NewNumPy returns the generator in the state that seed gives.
func NewNumPy(seed uint32) *NumPy { return &NumPy{engine: NewMT19937(seed)} }

// Uint32 returns the next 32 bits of the engine, randint(0, 2**32, dtype=uint32).
func (g *NumPy) Uint32() uint32 { return g.engine.Uint32() }

// uniform returns a number of [0, 1) with 53 bits, 27 and 26 of two words.
func (g *NumPy) uniform() float64 {
	high := uint64(g.engine.Uint32() >> 5)
	low := uint64(g.engine.Uint32() >> 6)
	return math.Ldexp(float64(high<<26|low), -53)
}

// normal returns one normal number by Marsaglia's polar method and keeps the other.
func (g *NumPy) normal() float64 {
	if g.cached {
		g.cached = false
		return g.second
	}
	var x, y, square float64
	for square == 0 || square >= 1 {
		x = 2*g.uniform() - 1
		y = 2*g.uniform() - 1
		// The conversions forbid a fused multiply-add, which would round differently.
		square = float64(x*x) + float64(y*y)
	}
	scale := math.Sqrt(-2 * math.Log(square) / square)
	g.second, g.cached = scale*x, true
	return scale * y
}

// Normal fills dst with standard_normal(len(dst)) rounded to float32.
func (g *NumPy) Normal(dst []float32) {
	for i := range dst {
		dst[i] = float32(g.normal())
	}
}

// NormalFloat64 fills dst with standard_normal(len(dst)).
func (g *NumPy) NormalFloat64(dst []float64) {
	for i := range dst {
		dst[i] = g.normal()
	}
}

// Uniform fills dst with random_sample(len(dst)) rounded to float32.
func (g *NumPy) Uniform(dst []float32) {
	for i := range dst {
		dst[i] = float32(g.uniform())
	}
}

// UniformFloat64 fills dst with random_sample(len(dst)).
func (g *NumPy) UniformFloat64(dst []float64) {
	for i := range dst {
		dst[i] = g.uniform()
	}
}
