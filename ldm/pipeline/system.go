package pipeline

import (
	"fmt"
	"slices"
)

// Task is what a model makes pictures of.
type Task string

// The tasks of Rombach et al. 2022, section 4.
const (
	TextToImage       Task = "text to image"
	ClassToImage      Task = "class to image"
	LayoutToImage     Task = "layout to image"
	SemanticSynthesis Task = "semantic synthesis"
	Unconditional     Task = "unconditional"
	SuperResolution   Task = "super-resolution"
	Inpainting        Task = "inpainting"
)

// concat is what a U-Net is given beside the latents, as further channels behind them.
type concat uint8

const (
	concatNothing  concat = iota
	concatImage           // the small picture: latent diffusion's super-resolution
	concatNoisy           // the small picture with noise, whose level is the class: Stable Diffusion's x4 upscaler
	concatHole            // latents of the picture with a hole, mask: latent diffusion's inpainting
	concatMask            // mask, latents of the picture with a hole: Stable Diffusion's inpainting
	concatLabelMap        // classes of pixels, rescaled: semantic synthesis
)

// system says how a pipeline's class is put together.
type system struct {
	task       Task
	firstStage string // name of the component
	condition  string // name of the component that makes the condition of cross-attention, or ""
	tokenizer  bool   // the condition is made of a text
	concat     concat
}

// systems are the classes of pipelines: those of diffusers, and this program's own for the systems
// that diffusers has none for.
var systems = map[string]system{
	"LDMTextToImagePipeline":         {TextToImage, "vqvae", "bert", true, concatNothing},
	"LDMPipeline":                    {Unconditional, "vqvae", "", false, concatNothing},
	"LDMSuperResolutionPipeline":     {SuperResolution, "vqvae", "", false, concatImage},
	"LDMClassToImagePipeline":        {ClassToImage, "vqvae", "class_embedder", false, concatNothing},
	"LDMLayoutToImagePipeline":       {LayoutToImage, "vqvae", "bert", false, concatNothing},
	"LDMSemanticSynthesisPipeline":   {SemanticSynthesis, "vqvae", "", false, concatLabelMap},
	"LDMInpaintPipeline":             {Inpainting, "vqvae", "", false, concatHole},
	"StableDiffusionPipeline":        {TextToImage, "vae", "text_encoder", true, concatNothing},
	"StableDiffusionImg2ImgPipeline": {TextToImage, "vae", "text_encoder", true, concatNothing},
	"StableDiffusionInpaintPipeline": {TextToImage, "vae", "text_encoder", true, concatMask},
	"StableDiffusionUpscalePipeline": {SuperResolution, "vae", "text_encoder", true, concatNoisy},
}

// TaskOf is the task of a class of pipelines, false for a class that is not supported.
func TaskOf(class string) (Task, bool) {
	s, ok := systems[class]
	return s.task, ok
}

// systemOf is the system of a class whose U-Net takes channels of input to latents of z channels.
func systemOf(class string, channels, z int) (system, error) {
	s, ok := systems[class]
	if !ok {
		var known []string
		for name := range systems {
			known = append(known, name)
		}
		slices.Sort(known)
		return s, fmt.Errorf("pipeline %q is not supported, want one of %q", class, known)
	}
	if s.concat == concatMask && channels == z { // diffusers inpaints with plain models as well
		s.concat = concatNothing
	}
	return s, nil
}

// channels is the number of channels that are put behind latents of z channels; of label maps, the
// rescaler decides it.
func (c concat) channels(z, labels int) int {
	switch c {
	case concatImage, concatNoisy:
		return 3
	case concatHole, concatMask:
		return z + 1
	case concatLabelMap:
		return labels
	}
	return 0
}

// Convention says whose program a run repeats where CompVis' and diffusers' differ: in time steps
// that do not divide those of training, in draws that count nothing, in the rounding of pixels, in
// what the hole of an inpainted picture is filled with, and in the scale of quantised latents.
type Convention string

// The conventions.
const (
	CompVis   Convention = "compvis"
	Diffusers Convention = "diffusers"
)

// Conventions lists them.
func Conventions() []Convention { return []Convention{CompVis, Diffusers} }
