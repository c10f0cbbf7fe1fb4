package rng

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/goldentest"
	"ldm-mac/ldm/tensor"
)

const (
	// PyTorch's vector logarithm and sines differ from exact ones by up to 1.7e-6 (the fixtures'
	// README).
	vectorTolerance = 2e-6
	// Go's and C's float64 logarithms and sines may differ in the last of 53 bits; the largest
	// normal numbers are below 8.
	float64Tolerance = 8 * 0x1p-52

	// What case.json says in words only, or not at all: the ranges of randint, and the calls of
	// numpy_mixed_normal_uniform, which go on where numpy_uint32 and one call of normals end.
	smallRange, largeRange      = 1000, 1 << 40
	mixedNormals, mixedUniforms = 3, 2
)

// noise is one tensor of the fixture, named kind/seedS or kind/seedS/what.
type noise struct {
	*testing.T
	folder *goldentest.Folder
	name   string
}

func TestGoldenNoise(t *testing.T) {
	folder := goldentest.Open(t, "noise", &struct{}{})
	file, err := checkpoint.Open(folder.Path("expect.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	sequences := map[string]*Torch{}    // by kind and seed
	for _, name := range file.Names() { // sorted, so the calls of a sequence come in order
		n := noise{t, folder, name}
		parts := strings.Split(name, "/")
		kind, seeds := parts[0], parseSeeds(t, parts[1])
		switch kind {
		case "batch_list":
			n.batch(consecutive(seeds[0], folder.Weight(name).Shape[0]))
		case "diffusers_randn_tensor_list":
			n.batch(seeds)
		case "randn_sequence", "mixed_sequence":
			stream := parts[0] + "/" + parts[1]
			if sequences[stream] == nil {
				sequences[stream] = NewTorch(seeds[0])
			}
			call := strings.Split(parts[2], "_") // 03_randint_n6, or 3_n6 for randn
			if len(call) == 2 {
				call[1] = "randn"
			}
			n.torch(sequences[stream], call[1])
		default:
			if strings.HasPrefix(kind, "numpy_") {
				n.numpy(uint32(seeds[0]), kind)
			} else {
				n.torch(NewTorch(seeds[0]), kind)
			}
		}
	}
	folder.Count(len(file.Names()))
}

// parseSeeds reads "seed7" and "seeds7_8".
func parseSeeds(t *testing.T, s string) (seeds []uint64) {
	for _, field := range strings.Split(strings.TrimPrefix(strings.TrimPrefix(s, "seeds"), "seed"), "_") {
		seed, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seeds = append(seeds, seed)
	}
	return seeds
}

func consecutive(first uint64, n int) (seeds []uint64) {
	for i := range n {
		seeds = append(seeds, first+uint64(i))
	}
	return seeds
}

// torch makes a call of the given kind and compares its result.
func (n noise) torch(g *Torch, kind string) {
	n.Helper()
	size := n.folder.Weight(n.name).Shape.Elements()
	got := make([]float32, size)
	tolerance := 0.0
	switch kind {
	case "randn", "randn_shape":
		g.Normal(got)
		if size >= block {
			tolerance = vectorTolerance
		}
	case "rand":
		g.Uniform(got)
	case "randn_float16":
		g.NormalFloat16(got)
	case "randn_bfloat16":
		g.NormalBFloat16(got)
	case "randn_float64":
		wide := make([]float64, size)
		g.NormalFloat64(wide)
		n.equal(wide, n.float64s(), float64Tolerance)
		return
	case "randint":
		n.integers(func(int) int64 { return g.Intn(smallRange) })
		return
	case "randint64":
		n.integers(func(int) int64 { return g.Intn(largeRange) })
		return
	case "randperm":
		p := g.Perm(size)
		n.integers(func(i int) int64 { return int64(p[i]) })
		return
	default:
		n.Errorf("tensor %q is of an unknown kind", n.name)
		return
	}
	want, _ := n.folder.Floats(n.name)
	n.equal(widen(got), widen(want), tolerance)
}

// batch compares samples that have a generator each.
func (n noise) batch(seeds []uint64) {
	n.Helper()
	want, _ := n.folder.Floats(n.name)
	var got []float32
	for _, seed := range seeds {
		sample := make([]float32, len(want)/len(seeds))
		NewTorch(seed).Normal(sample)
		got = append(got, sample...)
	}
	n.equal(widen(got), widen(want), vectorTolerance)
}

// numpy makes a call of the given kind, after those that the fixture made before it.
func (n noise) numpy(seed uint32, kind string) {
	n.Helper()
	elements := func(kind string) int {
		return n.folder.Weight(fmt.Sprintf("%s/seed%d", kind, seed)).Shape.Elements()
	}
	g := NewNumPy(seed)
	got := make([]float64, elements(kind))
	tolerance := float64Tolerance
	switch kind {
	case "numpy_uint32":
		n.integers(func(int) int64 { return int64(g.Uint32()) })
		return
	case "numpy_random_sample":
		g.UniformFloat64(got)
		tolerance = 0
	case "numpy_standard_normal":
		g.NormalFloat64(got)
	case "numpy_standard_normal_then_more":
		g.NormalFloat64(make([]float64, elements("numpy_standard_normal")))
		g.NormalFloat64(got)
	case "numpy_mixed_normal_uniform":
		for range elements("numpy_uint32") {
			g.Uint32()
		}
		g.NormalFloat64(make([]float64, mixedNormals))
		g.NormalFloat64(got[:mixedNormals])
		g.UniformFloat64(got[mixedNormals : mixedNormals+mixedUniforms])
		g.NormalFloat64(got[mixedNormals+mixedUniforms:])
	default:
		n.Errorf("tensor %q is of an unknown kind", n.name)
		return
	}
	n.equal(got, n.float64s(), tolerance)
}

func (n noise) integers(got func(i int) int64) {
	n.Helper()
	want, _ := n.folder.Ints(n.name)
	values := make([]int64, len(want))
	for i := range values {
		values[i] = got(i)
	}
	if !slices.Equal(values, want) {
		n.Errorf("%s: %d, want %d", n.name, values, want)
	}
}

func (n noise) float64s() []float64 {
	n.Helper()
	w := n.folder.Weight(n.name)
	if w.DType != tensor.F64 {
		n.Fatalf("%s has dtype %s, want F64", n.name, w.DType)
	}
	values := make([]float64, w.Shape.Elements())
	for i := range values {
		values[i] = math.Float64frombits(binary.LittleEndian.Uint64(w.Data[8*i:]))
	}
	return values
}

// equal fails where got differs from want by more than tolerance.
func (n noise) equal(got, want []float64, tolerance float64) {
	n.Helper()
	for i, w := range want {
		if !(math.Abs(got[i]-w) <= tolerance) {
			n.Errorf("%s[%d] = %v, want %v", n.name, i, got[i], w)
			return
		}
	}
}

func widen(values []float32) []float64 {
	wide := make([]float64, len(values))
	for i, v := range values {
		wide[i] = float64(v)
	}
	return wide
}
