package pipeline

import (
	"context"
	"fmt"
	"math"
	"slices"

	"ldm-mac/ldm/tensor"
)

// This file runs a first stage in tiles. A group norm that sees a tile alone would give each its own
// brightness and contrast. So the part of the network in the size of latents, where its attention is,
// sees all of the picture, and the part between that and pixels runs several times: in each pass it is
// measured what the norms see of every tile and of the whole, and in the next what a norm makes of a tile
// is brought to what it would have made of that as a part of the whole. It still normalises by the tile
// first, so that what is wrong before it does not grow.

// passes are enough for tiles that differ much: after them, pictures of the built-in model are within
// 45 dB of undivided ones (TestTiles).
const passes = 5

// coarse runs the part of the first stage that is in the size of latents, on values [in, height,
// width]. What is too large for attention between all latents is divided into plain tiles.
func (p *Pipeline) coarse(ctx context.Context, values []float32, height, width, in, out int, tiles Tiles, build func(*tensor.Tensor) *tensor.Tensor) ([]float32, error) {
	if height*width <= mostTokens {
		tiles = Tiles{}
	}
	var s stageProgram
	defer s.close()
	return tiles.blend(height, width, out, 1, func(t tile) ([]float32, error) {
		if err := p.compileStage(&s, t.height, t.width, in, build); err != nil {
			return nil, err
		}
		made, err := s.run(ctx, crop(values, in, height, width, t))
		return made.Data, err
	})
}

// fineStage is the part of the first stage between the size of latents and that of pixels.
type fineStage struct {
	build               func(*tensor.Tensor) *tensor.Tensor
	values              []float32 // [in, height·inFactor, width·inFactor]
	inFactor, outFactor int       // sizes of input and output, divided by that of latents
	in, out             int       // channels
}

// statistics are the means of a norm's operand and of its square, by channel.
type statistics struct{ mean, square []float64 }

func newStatistics(channels int) statistics {
	return statistics{make([]float64, channels), make([]float64, channels)}
}

// group is the mean and the deviation of the channels from first up to before last.
func (s statistics) group(first, last int, eps float32) (mean, deviation float64) {
	var square float64
	for c := first; c < last; c++ {
		mean += s.mean[c] / float64(last-first)
		square += s.square[c] / float64(last-first)
	}
	return mean, math.Sqrt(max(square-mean*mean, 0) + float64(eps))
}

// norm is a group norm, with its weight and bias, and what was measured of it.
type norm struct {
	*tensor.Tensor
	weight, bias []float32
	whole        statistics
	tiles        []statistics // by row, then column
}

// fineRun is one run of a fineStage.
type fineRun struct {
	fineStage
	p             *Pipeline
	height, width int
	tiles         Tiles
	rows, columns []int // where tiles begin
	norms         []norm
	weights       map[[2]int][][]float32
}

// fine runs the stage in tiles of latents of the given size; the result is [out, height·outFactor,
// width·outFactor].
func (p *Pipeline) fine(ctx context.Context, s fineStage, height, width int, tiles Tiles) ([]float32, error) {
	r := &fineRun{fineStage: s, p: p, height: height, width: width, tiles: tiles, weights: map[[2]int][][]float32{}}
	h, w := tiles.shape(height, width)
	r.rows, _ = tiles.starts(height)
	r.columns, _ = tiles.starts(width)
	g, err := p.graph(&p.stage.component, func(g *tensor.Graph) {
		g.Output("out", s.build(g.Input("in", 1, h*s.inFactor, w*s.inFactor, s.in)))
	})
	if err != nil {
		return nil, err
	}
	defer p.stage.release()
	for _, t := range g.Norms() {
		n := norm{Tensor: t}
		if n.weight, err = t.Inputs[1].Weight.Floats(nil); err != nil {
			return nil, err
		}
		if n.bias, err = t.Inputs[2].Weight.Floats(nil); err != nil {
			return nil, err
		}
		r.norms = append(r.norms, n)
	}
	for pass := range passes {
		measuring := g.Measured()
		if pass > 0 {
			measuring = measuring.Corrected()
		}
		if err := r.measure(ctx, measuring); err != nil {
			return nil, err
		}
	}
	return r.blend(ctx, g.Corrected())
}

// program compiles a graph, and makes its inputs.
func (r *fineRun) program(g *tensor.Graph) (tensor.Program, map[string]tensor.Array, error) {
	program, err := r.p.backend.Compile(g)
	if err != nil {
		return nil, nil, err
	}
	in := map[string]tensor.Array{}
	for _, n := range g.Nodes() {
		if n.Op == tensor.OpInput {
			in[n.Name] = tensor.NewArray(n.Shape...)
		}
	}
	return program, in, nil
}

// correct writes what takes the result of a norm on tile number i to that on the whole: with
// (x-m)/s·w+b of a tile, (x-M)/S·w+b of the whole is that times s/S, plus (m-M)/S·w + b·(1-s/S).
func (r *fineRun) correct(in map[string]tensor.Array, i int) {
	for _, n := range r.norms {
		shift, ok := in[n.Name+".shift"]
		if !ok {
			continue
		}
		scale, size := in[n.Name+".scale"], len(shift.Data)/n.Attrs.Groups
		for first := 0; first < len(shift.Data); first += size {
			mean, deviation := n.tiles[i].group(first, first+size, n.Attrs.Eps)
			wholeMean, wholeDeviation := n.whole.group(first, first+size, n.Attrs.Eps)
			ratio, moved := deviation/wholeDeviation, (mean-wholeMean)/wholeDeviation
			for c := first; c < first+size; c++ {
				scale.Data[c] = float32(ratio)
				shift.Data[c] = float32(moved*float64(n.weight[c]) + float64(n.bias[c])*(1-ratio))
			}
		}
	}
}

// measure runs g on all tiles and notes what its norms see of each, and of the whole.
func (r *fineRun) measure(ctx context.Context, g *tensor.Graph) error {
	program, in, err := r.program(g)
	if err != nil {
		return err
	}
	defer program.Close()
	whole, tiles := make([]statistics, len(r.norms)), make([][]statistics, len(r.norms))
	for k, n := range r.norms {
		whole[k] = newStatistics(n.Shape.Last())
	}
	tileHeight, tileWidth := r.tiles.shape(r.height, r.width)
	for i, y := range r.rows {
		for j, x := range r.columns {
			r.fillWeights(in, i, j)
			out, err := r.run(ctx, program, in, tile{y, x, tileHeight, tileWidth})
			if err != nil {
				return err
			}
			for k, n := range r.norms {
				channels, own := n.Shape.Last(), newStatistics(n.Shape.Last())
				means, squares := out[n.Name+".mean"].Data, out[n.Name+".squares"].Data
				for c := range channels {
					whole[k].mean[c] += float64(means[c])
					whole[k].square[c] += float64(squares[c])
					own.mean[c], own.square[c] = float64(means[3*channels+c]), float64(squares[3*channels+c])
				}
				tiles[k] = append(tiles[k], own)
			}
		}
	}
	for k := range r.norms {
		r.norms[k].whole, r.norms[k].tiles = whole[k], tiles[k]
	}
	return nil
}

// fillWeights writes how much the rows and columns of tile i, j count, in every size that norms have:
// first as parts of the whole, then of the tile.
func (r *fineRun) fillWeights(in map[string]tensor.Array, i, j int) {
	tileHeight, tileWidth := r.tiles.shape(r.height, r.width)
	for _, n := range r.norms {
		h, w := n.Shape[1], n.Shape[2]
		rows, columns := in[tensor.RowWeights(h)].Data, in[tensor.ColumnWeights(h, w)].Data
		r.fillSide(rows, r.rows, tileHeight, r.height, h, i)
		r.fillSide(columns, r.columns, tileWidth, r.width, w, j)
		for row := 1; row < h; row++ {
			copy(columns[row*2*w:], columns[:2*w])
		}
	}
}

// fillSide writes both weights [2, n] of tile number i along a side.
func (r *fineRun) fillSide(dst []float32, starts []int, length, side, n, i int) {
	factor := n / length
	key := [2]int{side, factor}
	if r.weights[key] == nil {
		r.weights[key] = r.tiles.weights(starts, length, side, factor)
	}
	for k, w := range r.weights[key][i] {
		dst[k] = w / float32(side*factor)
		dst[n+k] = 1 / float32(n)
	}
}

// blend runs g on all tiles and puts its outputs together.
func (r *fineRun) blend(ctx context.Context, g *tensor.Graph) ([]float32, error) {
	program, in, err := r.program(g)
	if err != nil {
		return nil, err
	}
	defer program.Close()
	return r.tiles.blend(r.height, r.width, r.out, r.outFactor, func(t tile) ([]float32, error) {
		out, err := r.run(ctx, program, in, t)
		return out["out"].Data, err
	})
}

// run runs a program on one tile.
func (r *fineRun) run(ctx context.Context, program tensor.Program, in map[string]tensor.Array, t tile) (map[string]tensor.Array, error) {
	r.correct(in, slices.Index(r.rows, t.y)*len(r.columns)+slices.Index(r.columns, t.x))
	f := r.inFactor
	toChannelsLast(in["in"].Data, crop(r.values, r.in, r.height*f, r.width*f, t.times(f)), r.in)
	out, err := program.Run(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("pipeline: tile at %d, %d: %w", t.x, t.y, err)
	}
	return out, nil
}
