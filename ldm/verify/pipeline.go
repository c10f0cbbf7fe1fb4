package verify

import (
	"context"
	"fmt"
	"math"
	"slices"

	"ldm-mac/ldm/cond"
	"ldm-mac/ldm/pipeline"
	"ldm-mac/ldm/rng"
	"ldm-mac/ldm/tensor"
)

// PipelineCheck compares a whole picture with the published one where p has the architecture of
// CompVis/ldm-text2im-large-256, and is false for any other: 3 steps of DDIM at guidance scale 6
// from the latents of NumPy's RandomState(0). The check uses p, which the caller keeps.
func PipelineCheck(p *pipeline.Pipeline) (Check, bool) {
	a := p.Architecture()
	text, ok := a.Text.(*cond.BERT)
	ok = ok && slices.Equal(a.UNet.BlockOutChannels, []int{320, 640, 1280, 1280}) &&
		slices.Equal(a.UNet.CrossAttentionDim, []int{1280}) &&
		text.Width() == 1280 && text.Depth() == 32 && p.Size() == 256 && p.Factor() == 8
	return Check{
		Group: "pipeline", Name: "a painting of a squirrel",
		Source: "diffusers tests/pipelines/latent_diffusion/test_latent_diffusion.py",
		Run:    func() (float64, float64, error) { return squirrel(p) },
	}, ok
}

// squirrelCorner holds the last three rows of the last three columns of the picture's blue.
var squirrelCorner = []float64{
	0.51825, 0.52850, 0.52543,
	0.54258, 0.52304, 0.52569,
	0.54363, 0.55276, 0.56878,
}

func squirrel(p *pipeline.Pipeline) (difference, tolerance float64, err error) {
	noise := tensor.NewArray(1, 4, 32, 32)
	rng.NewNumPy(0).Normal(noise.Data)
	var corner []float64
	request := pipeline.Request{
		Prompt: "A painting of a squirrel eating a burger",
		Width:  256, Height: 256, Steps: 3, Sampler: "ddim", GuidanceScale: 6,
		RNG: "numpy", Seeds: []uint64{0}, BatchSize: 1, Noise: &pipeline.NoiseSource{Array: noise},
		OnTensor: func(name string, value tensor.Array) {
			if name == "image" {
				corner = lastCorner(value)
			}
		},
	}
	if _, err := p.Generate(context.Background(), request, func(pipeline.Picture) error { return nil }); err != nil {
		return 0, 0, err
	}
	if len(corner) != len(squirrelCorner) {
		return 0, 0, fmt.Errorf("verify: %d values of the picture, want %d", len(corner), len(squirrelCorner))
	}
	for i, want := range squirrelCorner {
		difference = math.Max(difference, math.Abs(corner[i]-want))
	}
	return difference, 1e-3, nil
}

// lastCorner is the lower right corner, 3x3, of the last channel of a decoder's output [1, c, h, w],
// as levels from 0 to 1, row by row.
func lastCorner(image tensor.Array) []float64 {
	c, h, w := image.Shape[1], image.Shape[2], image.Shape[3]
	var corner []float64
	for y := h - 3; y < h; y++ {
		for x := w - 3; x < w; x++ {
			level := float64(image.Data[((c-1)*h+y)*w+x])/2 + 0.5
			corner = append(corner, min(max(level, 0), 1))
		}
	}
	return corner
}
