package pipeline

import "fmt"

// This file divides pictures that are too large for one evaluation into tiles that overlap, and blends
// what the networks make of them (Rombach et al. 2022, appendix D.1, "convolutional sampling";
// CompVis latent-diffusion, ldm/models/diffusion/ddpm.py, get_fold_unfold).

// Tiling is how large pictures are divided. The zero value does not divide.
type Tiling struct {
	UNet  Tiles // of the latents that the U-Net sees at a time
	Stage Tiles // of the latents that the first stage decodes or makes at a time
}

// Tiles are squares of Size latents to a side of which neighbours share at least Overlap.
type Tiles struct {
	Size    int // 0 for one tile of everything
	Overlap int // less than Size
}

// check reports tiles that do not cover a picture.
func (t Tiles) check(name string) error {
	switch {
	case t.Size < 0 || t.Size == 0 && t.Overlap != 0:
		return mistake("%s tiles of size %d and overlap %d, want a positive size", name, t.Size, t.Overlap)
	case t.Size > 0 && (t.Overlap < 1 || t.Overlap > t.Size/2):
		return mistake("%s tiles of size %d overlap by %d, want 1 to %d", name, t.Size, t.Overlap, t.Size/2)
	}
	return nil
}

// tile is a part of an image.
type tile struct{ y, x, height, width int }

// times is the same part of an image that is f times as large.
func (t tile) times(f int) tile { return tile{t.y * f, t.x * f, t.height * f, t.width * f} }

// starts are where tiles begin along a side: as few as cover it, evenly spread, and their length.
func (t Tiles) starts(side int) (starts []int, length int) {
	if t.Size == 0 || t.Size >= side {
		return []int{0}, side
	}
	step := t.Size - t.Overlap
	n := (side - t.Overlap + step - 1) / step
	for i := range n {
		starts = append(starts, i*(side-t.Size)/(n-1))
	}
	return starts, t.Size
}

// covers reports whether one tile is all of an image.
func (t Tiles) covers(height, width int) bool {
	return t.Size == 0 || t.Size >= height && t.Size >= width
}

// shape is the size of all tiles of an image.
func (t Tiles) shape(height, width int) (tileHeight, tileWidth int) {
	_, tileHeight = t.starts(height)
	_, tileWidth = t.starts(width)
	return tileHeight, tileWidth
}

// blend puts together what evaluate makes of each tile of an image of height x width: a picture
// [h, w, channels] that is factor times as large as the tile. The result is [channels, h, w].
func (t Tiles) blend(height, width, channels, factor int, evaluate func(tile) ([]float32, error)) ([]float32, error) {
	rows, h := t.starts(height)
	columns, w := t.starts(width)
	out := make([]float32, channels*height*width*factor*factor)
	if len(rows) == 1 && len(columns) == 1 {
		made, err := evaluate(tile{0, 0, h, w})
		if err == nil {
			toChannelsFirst(out, made, channels)
		}
		return out, err
	}
	wy, wx := t.weights(rows, h, height, factor), t.weights(columns, w, width, factor)
	for i, y := range rows {
		for j, x := range columns {
			part := tile{y, x, h, w}
			made, err := evaluate(part)
			if err != nil {
				return nil, err
			}
			if len(made) != channels*h*w*factor*factor {
				return nil, fmt.Errorf("pipeline: a tile of %d values, want %d", len(made), channels*h*w*factor*factor)
			}
			addTile(out, made, part.times(factor), channels, height*factor, width*factor, wy[i], wx[j])
		}
	}
	return out, nil
}

// addTile adds a tile [h, w, c], times the weights of its rows and columns, to an image [c, height,
// width].
func addTile(image, made []float32, at tile, channels, height, width int, wy, wx []float32) {
	for y := range at.height {
		for x := range at.width {
			weight, pixel := wy[y]*wx[x], (at.y+y)*width+at.x+x
			for c := range channels {
				image[c*height*width+pixel] += weight * made[(y*at.width+x)*channels+c]
			}
		}
	}
}

// weights are those of each tile's rows, or columns: they rise from an edge that has a neighbour over
// the middle half of what both share, so that nothing near an edge is seen, and add up to 1.
func (t Tiles) weights(starts []int, length, side, factor int) [][]float32 {
	sum := make([]float64, side*factor)
	raw := make([][]float64, len(starts))
	overlap := float64(t.Overlap * factor)
	for i, start := range starts {
		raw[i] = make([]float64, length*factor)
		for j := range raw[i] {
			weight := 1.0
			rise := func(distance int) { // from an edge, in pixels
				weight = min(weight, max((float64(distance)+0.5-overlap/4)/(overlap/2), 0))
			}
			if start > 0 {
				rise(j)
			}
			if start+length < side {
				rise(length*factor - 1 - j)
			}
			raw[i][j] = weight
			sum[start*factor+j] += weight
		}
	}
	weights := make([][]float32, len(starts))
	for i, start := range starts {
		weights[i] = make([]float32, len(raw[i]))
		for j, weight := range raw[i] {
			weights[i][j] = float32(weight / sum[start*factor+j])
		}
	}
	return weights
}

// crop is a part of an image [c, height, width].
func crop(image []float32, channels, height, width int, t tile) []float32 {
	out := make([]float32, 0, channels*t.height*t.width)
	for c := range channels {
		for y := range t.height {
			row := (c*height+t.y+y)*width + t.x
			out = append(out, image[row:row+t.width]...)
		}
	}
	return out
}
