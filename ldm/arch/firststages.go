package arch

import (
	"fmt"
	"slices"

	"ldm-mac/ldm/firststage"
)

// autoencoder is a row of the table of first stages (Rombach et al. 2022, table 8; CompVis
// latent-diffusion, models/first_stage_models).
type autoencoder struct {
	name           string
	z              int   // channels of latents
	codes          int   // of vector quantisation; 0 for a KL model
	multiples      []int // of 128 channels, by level
	attention      []int // sizes, of a picture of 256, with attention
	noAttnInMiddle bool
}

var autoencoders = []autoencoder{
	{name: "kl-f4", z: 3, multiples: []int{1, 2, 4}},
	{name: "kl-f8", z: 4, multiples: []int{1, 2, 4, 4}},
	{name: "kl-f16", z: 16, multiples: []int{1, 1, 2, 2, 4}, attention: []int{16}},
	{name: "kl-f32", z: 64, multiples: []int{1, 1, 2, 2, 4, 4}, attention: []int{16, 8}},
	{name: "vq-f4", z: 3, codes: 8192, multiples: []int{1, 2, 4}},
	{name: "vq-f4-noattn", z: 3, codes: 8192, multiples: []int{1, 2, 4}, noAttnInMiddle: true},
	{name: "vq-f8", z: 4, codes: 16384, multiples: []int{1, 2, 2, 4}, attention: []int{32}},
	{name: "vq-f8-n256", z: 4, codes: 256, multiples: []int{1, 2, 2, 4}, attention: []int{32}},
	{name: "vq-f16", z: 8, codes: 16384, multiples: []int{1, 1, 2, 2, 4}, attention: []int{16}},
}

// firstStage is the config of the named row, which there is.
func firstStage(name string) firststage.Config {
	i := slices.IndexFunc(autoencoders, func(a autoencoder) bool { return a.name == name })
	if i < 0 {
		panic(fmt.Sprintf("arch: no first stage %q", name))
	}
	return autoencoders[i].config()
}

func (a *autoencoder) config() firststage.Config {
	c := firststage.DefaultConfigOf(firststage.KL)
	if a.codes > 0 {
		c = firststage.DefaultConfigOf(firststage.VQ)
		c.NumVQEmbeddings, c.ScalingFactor = a.codes, 1 // CompVis latent-diffusion, scale_factor of every VQ system
	}
	c.LatentChannels, c.LayersPerBlock, c.SampleSize = a.z, 2, 256
	c.MidBlockAddAttention = !a.noAttnInMiddle
	c.BlockOutChannels, c.DownBlockTypes, c.UpBlockTypes = nil, nil, nil
	for level, multiple := range a.multiples {
		down, up := "DownEncoderBlock2D", "UpDecoderBlock2D"
		if slices.Contains(a.attention, 256>>level) {
			down, up = "AttnDownEncoderBlock2D", "AttnUpDecoderBlock2D"
		}
		c.BlockOutChannels = append(c.BlockOutChannels, 128*multiple)
		c.DownBlockTypes = append(c.DownBlockTypes, down)
		c.UpBlockTypes = append([]string{up}, c.UpBlockTypes...)
	}
	return c
}
