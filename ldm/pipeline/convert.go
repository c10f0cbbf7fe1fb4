package pipeline

import (
	"context"
	"image"

	"ldm-mac/ldm/imageio"
	"ldm-mac/ldm/rng"
	"ldm-mac/ldm/tensor"
)

// LatentChannels is the number of channels of the model's latents.
func (p *Pipeline) LatentChannels() int { return p.stage.config.Channels() }

// Encode compresses a picture, whose sides are multiples of Factor, to latents [1, c, h, w] in the scale
// of the U-Net. A generator, which may be nil, draws them where the first stage gives a distribution;
// without one they are its mean. The empty convention is the model's own.
func (p *Pipeline) Encode(ctx context.Context, picture *image.NRGBA, generator rng.Generator, convention Convention, tiles Tiles) (tensor.Array, error) {
	size, f := picture.Bounds().Size(), p.Factor()
	if size.X < 1 || size.Y < 1 || size.X%f != 0 || size.Y%f != 0 {
		return tensor.Array{}, mistake("a picture of %dx%d, want multiples of %d", size.X, size.Y, f)
	}
	if err := tiles.check("first stage"); err != nil {
		return tensor.Array{}, err
	}
	posterior, err := p.encodeImage(ctx, channelsFirst(imageio.ToFloats(picture), 3), size.Y, size.X, p.orOwn(convention), tiles)
	if err != nil {
		return tensor.Array{}, err
	}
	latents := posterior.mean
	if generator != nil {
		latents = posterior.sample(generator)
	}
	return tensor.Array{Shape: tensor.Shape{1, p.LatentChannels(), size.Y / f, size.X / f}, Data: latents}, nil
}

// Decode makes pictures of latents [n, c, h, w] in the scale of the U-Net, and gives them to emit in
// their order. The empty convention is the model's own.
func (p *Pipeline) Decode(ctx context.Context, latents tensor.Array, convention Convention, tiles Tiles, emit func(*image.NRGBA) error) error {
	if len(latents.Shape) != 4 || latents.Shape[1] != p.LatentChannels() || latents.Shape.Elements() == 0 {
		return mistake("latents of shape %s, want [n, %d, h, w]", latents.Shape, p.LatentChannels())
	}
	if err := tiles.check("first stage"); err != nil {
		return err
	}
	convention = p.orOwn(convention)
	n, height, width := latents.Shape[0], latents.Shape[2], latents.Shape[3]
	size := len(latents.Data) / n
	for i := range n {
		pixels, err := p.decodeLatents(ctx, latents.Data[i*size:][:size], height, width, convention, tiles)
		if err != nil {
			return err
		}
		picture, err := p.picture(pixels, height*p.Factor(), width*p.Factor(), convention)
		if err == nil {
			err = emit(picture)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// DecodeFloats is what the decoder makes of one picture's latents [1, c, h, w] by the model's own
// convention, before it is cut to levels: [3, f·h, f·w], mostly in -1…1.
func (p *Pipeline) DecodeFloats(ctx context.Context, latents tensor.Array) ([]float32, error) {
	if len(latents.Shape) != 4 || latents.Shape[0] != 1 || latents.Shape[1] != p.LatentChannels() {
		return nil, mistake("latents of shape %s, want [1, %d, h, w]", latents.Shape, p.LatentChannels())
	}
	return p.decodeLatents(ctx, latents.Data, latents.Shape[2], latents.Shape[3], p.Convention(), Tiles{})
}

// picture is decoded pixels [3, height, width] as levels.
func (p *Pipeline) picture(pixels []float32, height, width int, convention Convention) (*image.NRGBA, error) {
	rounding := imageio.HalfToEven
	if convention == CompVis {
		rounding = imageio.Truncate
	}
	return imageio.FromFloats(channelsLast(pixels, 3), height, width, rounding)
}

// orOwn is the model's own convention for the empty one.
func (p *Pipeline) orOwn(c Convention) Convention {
	if c == "" {
		return p.Convention()
	}
	return c
}
