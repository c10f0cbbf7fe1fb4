// Package rng reproduces the random generators of other programs, so that a seed gives the same
// picture here as there.
//
// The one idea: a seed is portable only when the order of the draws is, so one call of Normal is
// one call of the original's randn, whatever that call reads, rounds and keeps. Bits of the
// underlying engines are equal; normal numbers are equal up to the last places of logarithms and
// sines, which differ between mathematics libraries.
//
// Sources: the files and papers named at each generator.
package rng

import (
	"fmt"
	"strings"
)

// Generator is a seeded source of random numbers. It is not safe for concurrent use.
type Generator interface {
	// Normal fills dst with standard normal numbers as one call of the original's randn with
	// len(dst) elements does.
	Normal(dst []float32)
	// Uniform fills dst with numbers of [0, 1) as one call of the original's rand does. NumPy's
	// have 53 bits, so the largest of them round to 1 in float32.
	Uniform(dst []float32)
}

// Names returns the names that New knows.
func Names() []string { return []string{"torch", "numpy", "cuda"} }

// New returns the generator of the given name in the state that seed gives: "torch" is PyTorch's
// on the CPU, "numpy" is NumPy's RandomState, "cuda" is PyTorch's on an NVIDIA GPU. NumPy takes
// seeds below 2^32; PyTorch's CPU generator keeps the low 32 bits of larger ones.
func New(name string, seed uint64) (Generator, error) {
	switch name {
	case "torch":
		return NewTorch(seed), nil
	case "numpy":
		if seed > maxNumPySeed {
			return nil, fmt.Errorf("rng: numpy takes seeds from 0 to %d, not %d", maxNumPySeed, seed)
		}
		return NewNumPy(uint32(seed)), nil
	case "cuda":
		return NewCUDA(seed), nil
	}
	return nil, fmt.Errorf("rng: unknown generator %q, want one of %s", name, strings.Join(Names(), ", "))
}
