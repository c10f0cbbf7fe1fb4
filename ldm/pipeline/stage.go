package pipeline

import (
	"context"

	"ldm-mac/ldm/firststage"
	"ldm-mac/ldm/rng"
	"ldm-mac/ldm/tensor"
)

// This file runs the first stage, on one picture at a time: its activations, not its weights, take the
// memory.

// stageProgram is one half of the first stage compiled for one size.
type stageProgram struct {
	program tensor.Program // nil before the first use
	input   tensor.Array   // [1, h, w, c]
	in      map[string]tensor.Array
}

// stagePrograms are the two halves as they were used last.
type stagePrograms struct{ encoder, decoder stageProgram }

func (s *stagePrograms) close() {
	s.encoder.close()
	s.decoder.close()
}

func (s *stageProgram) close() {
	if s.program != nil {
		s.program.Close()
	}
	*s = stageProgram{}
}

// compileStage makes program the half of the first stage that build gives, for the given size of input,
// unless it is.
func (p *Pipeline) compileStage(s *stageProgram, height, width, channels int, build func(x *tensor.Tensor) *tensor.Tensor) error {
	shape := tensor.Shape{1, height, width, channels}
	if s.program != nil && s.input.Shape.Equal(shape) {
		return nil
	}
	s.close()
	program, err := p.compile(&p.stage.component, func(g *tensor.Graph) {
		g.Output("out", build(g.Input("in", shape...)))
	})
	if err != nil {
		return err
	}
	s.program, s.input = program, tensor.NewArray(shape...)
	s.in = map[string]tensor.Array{"in": s.input}
	return nil
}

// run maps values [c, h, w] to what the half makes of them, [1, h', w', c'], valid until the next run.
func (s *stageProgram) run(ctx context.Context, values []float32) (tensor.Array, error) {
	toChannelsLast(s.input.Data, values, s.input.Shape[3])
	out, err := s.program.Run(ctx, s.in)
	return out["out"], err
}

// posterior is what the first stage's encoder makes of a picture: latents in the scale of the U-Net,
// and their deviation, nil where they are exact. All are [c, h, w].
type posterior struct{ mean, deviation []float32 }

// sample draws latents. It draws nothing where they are exact.
func (p posterior) sample(g rng.Generator) []float32 {
	z := make([]float32, len(p.mean))
	if p.deviation == nil {
		copy(z, p.mean)
		return z
	}
	g.Normal(z)
	for i := range z {
		z[i] = p.mean[i] + p.deviation[i]*z[i]
	}
	return z
}

// latentScale is the factor from the encoder's latents to those of the U-Net.
func (p *Pipeline) latentScale(convention Convention) float64 {
	switch {
	case p.system.concat == concatImage:
		return 1 // diffusers, pipeline_latent_diffusion_superresolution.py, does not scale
	case p.stage.config.ClassName == firststage.VQ && convention == CompVis && p.Convention() == Diffusers:
		return 1 // what diffusers' VQModel defaults to, CompVis' models were not trained with
	}
	return p.stage.config.ScalingFactor
}

// momentChannels is the number of channels of what the encoder gives.
func (p *Pipeline) momentChannels() int {
	if p.stage.config.ClassName == firststage.VQ {
		return p.LatentChannels()
	}
	return 2 * p.LatentChannels()
}

// encodeImage encodes a picture [3, height, width] in -1…1.
func (p *Pipeline) encodeImage(ctx context.Context, picture []float32, height, width int, convention Convention, tiles Tiles) (posterior, error) {
	channels := p.momentChannels()
	moments, err := p.encodeMoments(ctx, picture, height, width, channels, tiles)
	if err != nil {
		return posterior{}, err
	}
	scale, z := float32(p.latentScale(convention)), p.LatentChannels()
	if p.stage.config.ClassName == firststage.VQ {
		return posterior{mean: scaled(moments, scale)}, nil
	}
	mean, deviation := firststage.Moments(channelsLast(moments, channels), z)
	return posterior{
		mean:      scaled(channelsFirst(mean, z), scale),
		deviation: scaled(channelsFirst(deviation, z), scale),
	}, nil
}

// decodeLatents makes the pixels [3, f·height, f·width], mostly in -1…1, of latents
// [c, height, width] in the scale of the U-Net.
func (p *Pipeline) decodeLatents(ctx context.Context, latents []float32, height, width int, convention Convention, tiles Tiles) ([]float32, error) {
	values := scaled(latents, float32(1/p.latentScale(convention)))
	if p.stage.config.ClassName == firststage.VQ {
		var err error
		if values, err = p.quantise(values); err != nil {
			return nil, err
		}
	}
	return p.decodeCodes(ctx, values, height, width, tiles)
}

// decodeCodes runs the decoder on what it reads [c, height, width]: latents in the encoder's scale, or
// entries of the codebook.
func (p *Pipeline) decodeCodes(ctx context.Context, values []float32, height, width int, tiles Tiles) ([]float32, error) {
	f, z, m := p.Factor(), p.LatentChannels(), p.stage.model
	if tiles.covers(height, width) {
		return p.runStage(ctx, &p.programs.decoder, values, height, width, z, m.Decode)
	}
	coarse := p.stage.config.CoarseChannels()
	h, err := p.coarse(ctx, values, height, width, z, coarse, tiles, m.DecodeCoarse)
	if err != nil {
		return nil, err
	}
	return p.fine(ctx, fineStage{m.DecodeFine, h, 1, f, coarse, 3}, height, width, tiles)
}

// encodeMoments runs the encoder on a picture [3, height, width]; the result is [channels, h, w].
func (p *Pipeline) encodeMoments(ctx context.Context, picture []float32, height, width, channels int, tiles Tiles) ([]float32, error) {
	f, m := p.Factor(), p.stage.model
	if tiles.covers(height/f, width/f) {
		return p.runStage(ctx, &p.programs.encoder, picture, height, width, 3, m.Encode)
	}
	coarse := p.stage.config.FineChannels()
	h, err := p.fine(ctx, fineStage{m.EncodeFine, picture, f, 1, 3, coarse}, height/f, width/f, tiles)
	if err != nil {
		return nil, err
	}
	return p.coarse(ctx, h, height/f, width/f, coarse, channels, tiles, m.EncodeCoarse)
}

// runStage runs a half of the first stage on all of its input [channels, height, width]; the result is
// in the same layout.
func (p *Pipeline) runStage(ctx context.Context, s *stageProgram, values []float32, height, width, channels int, build func(*tensor.Tensor) *tensor.Tensor) ([]float32, error) {
	if err := p.compileStage(s, height, width, channels, build); err != nil {
		return nil, err
	}
	out, err := s.run(ctx, values)
	if err != nil {
		return nil, err
	}
	return channelsFirst(out.Data, out.Shape.Last()), nil
}

// quantise is latents [c, h, w] in the encoder's scale as the nearest entries of the codebook.
func (p *Pipeline) quantise(latents []float32) ([]float32, error) {
	book, err := p.loadCodebook()
	if err != nil {
		return nil, err
	}
	z := channelsLast(latents, p.LatentChannels())
	codes, _, err := book.Quantize(z)
	if err == nil {
		err = book.Lookup(z, codes)
	}
	return channelsFirst(z, p.LatentChannels()), err
}

// loadCodebook is the codebook, read at its first use.
func (p *Pipeline) loadCodebook() (*firststage.Codebook, error) {
	if p.codebook == nil {
		if err := p.stage.load(p.folder); err != nil {
			return nil, err
		}
		var err error
		if p.codebook, err = p.stage.model.Codebook(); err != nil {
			return nil, err
		}
	}
	return p.codebook, nil
}

// scaled are values times scale, as new ones.
func scaled(values []float32, scale float32) []float32 {
	out := make([]float32, len(values))
	for i, v := range values {
		out[i] = v * scale
	}
	return out
}
