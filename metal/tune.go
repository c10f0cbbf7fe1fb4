package metal

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"ldm-mac/ldm/tensor"
)

// Problem is a product of matrices or a convolution that Tune measures, in the terms of Rule.
type Problem struct {
	Rows     int  `json:"rows"`
	Columns  int  `json:"columns"`
	Terms    int  `json:"terms"`
	Side     int  `json:"side,omitempty"` // of the square images of a convolution of 3×3; 0 for a product
	Residual bool `json:"residual"`       // something is added to the result
}

// Measurement is what a problem took on the device, in seconds; see Program.Seconds. All times
// include what every evaluation does beside: the check that the result is finite.
type Measurement struct {
	Problem
	Graph  float64 `json:"graph_seconds"`  // the median by MPSGraph
	Kernel float64 `json:"kernel_seconds"` // the median by the kernel of shaders/
	// Noise is the difference of the medians up to which they are the same.
	Noise float64 `json:"noise_seconds"`
}

// Tie tells whether the measurement says nothing about who is faster.
func (m Measurement) Tie() bool { return math.Abs(m.Graph-m.Kernel) <= m.Noise }

const (
	imagesMeasured     = 2 // a picture with guidance
	embeddingsMeasured = 8 // rows of the time embedding, for up to four pictures
)

// problems are those of the U-Nets of Stable Diffusion 1.5 with latents of 64×64 and of the paper's
// text-to-image model, txt2img-large, with 32×32, for one picture with guidance. Both have 320, 640,
// 1280 and 1280 channels at sides that halve (their unet/config.json on the Hugging Face Hub:
// block_out_channels). Divisors above 1 make them smaller.
//
// At each level, a transformer projects c channels to c, and to queries, keys and values side by
// side; its feed-forward layer goes to 8c, values beside gates, and back from 4c. The convolutions of
// a residual block have c channels or, after the widest concatenation on the way up, 3c; in 1280,
// 2560. Something is added to what goes back to c channels.
func problems(sideDivisor, channelDivisor int) []Problem {
	var list []Problem
	product := func(rows, columns, terms int, residual bool) {
		list = append(list, Problem{Rows: rows, Columns: columns, Terms: terms, Residual: residual})
	}
	product(embeddingsMeasured, 1280/channelDivisor, 320/channelDivisor, false)
	product(embeddingsMeasured, 1280/channelDivisor, 1280/channelDivisor, false)
	for _, level := range []struct{ side, channels, widest int }{
		{64, 320, 960}, {32, 640, 1920}, {16, 1280, 2560}, {8, 1280, 2560}, // Stable Diffusion 1.5
		{32, 320, 960}, {16, 640, 1920}, // txt2img-large, without what it shares
	} {
		side, c := level.side/sideDivisor, level.channels/channelDivisor
		rows := imagesMeasured * side * side
		product(rows, c, c, true)
		product(rows, 3*c, c, false)
		product(rows, 8*c, c, false)
		product(rows, c, 4*c, true)
		for _, in := range []int{c, level.widest / channelDivisor} {
			list = append(list, Problem{Rows: rows, Columns: c, Terms: 9 * in, Side: side, Residual: true})
		}
	}
	return list
}

// roundsMeasured is how often each problem is run each way: an odd number, so that the median is a
// measured time, and few enough for 5·10¹² operations in all, which a chip of 2.6 TFLOPS does in
// seconds.
const roundsMeasured = 7

// Tune measures on the default device who computes typical products and convolutions faster, and
// returns the table that says so, with what it was made from. Options' Tuning and TuningFile are
// ignored; progress, which may be nil, is told how many of the measurements are done. Nothing else
// should use the device meanwhile. It ends with ctx's error when ctx is done.
func Tune(ctx context.Context, o Options, progress func(done, total int)) (Tuning, []Measurement, error) {
	return tune(ctx, o, problems(1, 1), roundsMeasured, progress)
}

func tune(ctx context.Context, o Options, list []Problem, rounds int, progress func(done, total int)) (Tuning, []Measurement, error) {
	o.Tuning, o.TuningFile = nil, ""
	b, err := Open(o)
	if err != nil {
		return Tuning{}, nil, err
	}
	defer b.Close()
	standard := b.tuning
	var measured []Measurement
	for i, p := range list {
		m, err := b.measure(ctx, p, rounds)
		if err != nil {
			return Tuning{}, nil, fmt.Errorf("metal: measure %d × %d of %d terms: %w", p.Rows, p.Columns, p.Terms, err)
		}
		measured = append(measured, m)
		if progress != nil {
			progress(i+1, len(list))
		}
	}
	return tuningOf(measured, standard), measured, nil
}

// tuningOf puts a rule for each measurement before the products' rules of standard, and behind its
// rules of convolutions: those are for few channels, which are not measured. A tie is decided as in
// standard.
//
// The rules are ordered by the work of their largest product, so that the smallest that is as large
// in all dimensions decides. For each problem this is its own: any other that it fits is larger.
// Those with a residual come before those without, which would fit them too.
func tuningOf(measured []Measurement, standard Tuning) Tuning {
	t := standard
	var products, convolutions []Rule
	for _, m := range measured {
		rules, kernel := &products, standard.productByKernel(m.Rows, m.Columns, m.Terms, m.Residual)
		if m.Side > 0 {
			rules, kernel = &convolutions, byRule(standard.Convolutions, m.Rows, m.Columns, m.Terms, m.Residual)
		}
		if !m.Tie() {
			kernel = m.Kernel < m.Graph
		}
		*rules = append(*rules, Rule{m.Rows, m.Columns, m.Terms, m.Residual, kernel})
	}
	order := func(a, b Rule) int {
		switch {
		case a.Residual && !b.Residual:
			return -1
		case b.Residual && !a.Residual:
			return 1
		}
		return cmp.Compare(a.MaxRows*a.MaxColumns*a.MaxTerms, b.MaxRows*b.MaxColumns*b.MaxTerms)
	}
	slices.SortStableFunc(products, order)
	slices.SortStableFunc(convolutions, order)
	t.Products = append(products, standard.Products...)
	t.Convolutions = append(slices.Clone(standard.Convolutions), convolutions...)
	return t
}

// measure runs a problem by MPSGraph and by the kernel in turn, so that both see the same
// temperature, after a first run of each that is not counted.
func (b *Backend) measure(ctx context.Context, p Problem, rounds int) (Measurement, error) {
	operands, problem, in := p.graphs()
	source, err := b.Compile(operands)
	if err != nil {
		return Measurement{}, err
	}
	defer source.Close()
	if _, err := source.Run(ctx, in); err != nil {
		return Measurement{}, err
	}
	own := []Rule{{Kernel: true}}
	standard := b.tuning
	defer func() { b.tuning = standard }()
	var programs [2]*Program
	for i, tuning := range []Tuning{{}, {Products: own, Convolutions: own, SmallTile: standard.SmallTile}} {
		b.tuning = tuning
		program, err := b.Compile(problem)
		if err != nil {
			return Measurement{}, err
		}
		defer program.Close()
		for _, o := range operands.Outputs() {
			if err := program.Bind(o.Name, source, o.Name); err != nil {
				return Measurement{}, err
			}
		}
		programs[i] = program.(*Program)
	}
	var seconds [2][]float64
	for round := range 1 + rounds {
		for i, program := range programs {
			if _, err := program.Run(ctx, nil); err != nil {
				return Measurement{}, err
			}
			if round > 0 {
				seconds[i] = append(seconds[i], program.Seconds())
			}
		}
	}
	graph, graphSpread := median(seconds[0])
	kernel, kernelSpread := median(seconds[1])
	return Measurement{p, graph, kernel, max(graphSpread+kernelSpread, leastNoise*min(graph, kernel))}, nil
}

// leastNoise is the part of a time below which a difference is not worth a rule of its own.
const leastNoise = 0.02

// median is the median of values, and of their distances from it.
func median(values []float64) (middle, spread float64) {
	slices.Sort(values)
	middle = values[len(values)/2]
	distances := make([]float64, len(values))
	for i, v := range values {
		distances[i] = math.Abs(v - middle)
	}
	slices.Sort(distances)
	return middle, distances[len(distances)/2]
}

// graphs are two: one leaves the operands, made from in, on the device; the other, the problem,
// reads them there, so that its runs move nothing between host and device.
func (p Problem) graphs() (operands, problem *tensor.Graph, in map[string]tensor.Array) {
	random := rand.New(rand.NewPCG(1, uint64(p.Rows*p.Columns*p.Terms)))
	parameter := func(name string, shape ...int) *tensor.Weight {
		return &tensor.Weight{Name: name, Shape: shape, DType: tensor.F16, Data: randomHalves(random, tensor.Shape(shape).Elements())}
	}
	x, y, weight := tensor.Shape{p.Rows, p.Terms}, tensor.Shape{p.Rows, p.Columns}, tensor.Shape{p.Columns, p.Terms}
	if p.Side > 0 {
		images, channels := p.Rows/(p.Side*p.Side), p.Terms/9
		x, y = tensor.Shape{images, p.Side, p.Side, channels}, tensor.Shape{images, p.Side, p.Side, p.Columns}
		weight = tensor.Shape{p.Columns, channels, 3, 3}
	}
	operands, problem, in = tensor.NewGraph(), tensor.NewGraph(), map[string]tensor.Array{}
	operand := func(name string, shape tensor.Shape) *tensor.Tensor {
		in[name] = tensor.NewArray(shape...)
		decodeFloats(in[name].Data, randomHalves(random, shape.Elements()), storage(tensor.F16))
		operands.Keep(name, tensor.Affine(operands.Input(name, shape...), 1, 0))
		return problem.Input(name, shape...)
	}
	result, bias := operand("x", x), parameter("bias", p.Columns)
	if p.Side > 0 {
		result = tensor.Conv2D(result, parameter("weight", weight...), bias, 1, tensor.Same(3))
	} else {
		result = tensor.Linear(result, parameter("weight", weight...), bias)
	}
	if p.Residual {
		result = tensor.Add(result, operand("residual", y))
	}
	problem.Keep("y", result)
	return operands, problem, in
}

// randomHalves are n numbers in float16, of both signs and from 1/32 to 1/16, so that no sum of
// products overflows.
func randomHalves(random *rand.Rand, n int) []byte {
	const mantissas, exponents = 0x83FF83FF83FF83FF, 0x2800280028002800
	data := make([]byte, 0, 2*n+6)
	for len(data) < 2*n {
		data = binary.LittleEndian.AppendUint64(data, random.Uint64()&mantissas|exponents)
	}
	return data[:2*n]
}
