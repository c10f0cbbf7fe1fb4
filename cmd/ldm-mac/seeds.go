package main

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"

	"ldm-mac/ldm/rng"
)

// maxPictures bounds one run.
const maxPictures = 100_000

// readNoise reads the noise of --latents, or that of which the picture of --from was made.
func (s *settings) readNoise() (err error) {
	recorded := s.recipe.Noise
	s.recipe.Noise = nil
	switch {
	case s.flags.IsSet("latents"):
		s.noise, err = readNoise(s.flags.String("latents"))
	case recorded != nil:
		path := recorded.File
		if recorded.Tensor != "" {
			path += ":" + recorded.Tensor
		}
		if s.noise, err = readNoise(path); err != nil {
			return fmt.Errorf("%w; the picture was made of that noise, --latents tells where it is now", err)
		}
		if s.noise.sha256 != recorded.SHA256 {
			return inputError(fmt.Errorf("%s has changed since the picture was made of it: its SHA-256 is %s, want %s",
				recorded.File, s.noise.sha256, recorded.SHA256))
		}
	}
	if err != nil || s.noise == nil {
		return err
	}
	s.recipe.Noise = &recipeNoise{File: s.noise.file, SHA256: s.noise.sha256}
	if s.noise.start > 0 {
		s.recipe.Noise.Tensor = s.noise.tensor
	}
	if recorded != nil && s.noise.sha256 == recorded.SHA256 {
		s.recipe.Noise.Index = recorded.Index
		return s.noise.row(recorded.Index)
	}
	return nil
}

// readSeeds finds the seed of every picture: those asked for, each with those that follow it.
func (s *settings) readSeeds() error {
	first, err := s.firstSeeds()
	if err != nil {
		return err
	}
	count, err := s.count(len(first))
	if err != nil {
		return err
	}
	for _, seed := range first {
		if seed < 0 {
			seed = randomSeed(count)
			s.random = append(s.random, seed)
		}
		if seed > math.MaxInt64-int64(count) {
			return usagef("--seed %d has not %d seeds from it on", seed, count)
		}
		for i := range count {
			s.seeds = append(s.seeds, uint64(seed)+uint64(i))
		}
	}
	if _, err := rng.New(s.recipe.RNG, slices.Max(s.seeds)); err != nil {
		return usagef("%w", err)
	}
	return nil
}

// firstSeeds are the seeds that are asked for, -1 for a random one.
func (s *settings) firstSeeds() ([]int64, error) {
	if !s.flags.IsSet("seed") {
		if s.origin != nil && !s.origin.randomSeed {
			return []int64{int64(s.origin.Seed)}, nil
		}
		return []int64{-1}, nil
	}
	var seeds []int64
	for _, text := range s.flags.StringSlice("seed") {
		seed, err := strconv.ParseInt(text, 10, 64)
		if err != nil || seed < -1 {
			return nil, usagef("--seed %q, want a whole number from 0 to %d, or -1 for a random one", text, int64(math.MaxInt64))
		}
		seeds = append(seeds, seed)
	}
	return seeds, nil
}

// count is the number of pictures for each of the seeds asked for. Given noise decides it where
// the user does not.
func (s *settings) count(seeds int) (int, error) {
	count, given := 1, s.flags.IsSet("count")
	if given {
		if count = s.flags.Int("count"); count < 1 || count > maxPictures {
			return 0, usagef("--count %d, want 1 to %d", count, maxPictures)
		}
	}
	if s.noise != nil {
		n := s.noise.Shape[0]
		if !given && seeds == 1 {
			count = n
		}
		if seeds*count != n {
			return 0, usagef("%d seeds with --count %d ask for %d pictures, but the noise of %s is for %d",
				seeds, count, seeds*count, s.noise.file, n)
		}
	}
	if seeds*count > maxPictures {
		return 0, usagef("%d pictures, want at most %d", seeds*count, maxPictures)
	}
	return count, nil
}

// randomSeed draws a seed that is below 2^32, as all generators take it, even when count-1 is
// added.
func randomSeed(count int) int64 {
	var b [4]byte
	rand.Read(b[:]) // never fails
	return min(int64(binary.LittleEndian.Uint32(b[:])), math.MaxUint32-int64(count-1))
}
