package arch

import (
	"ldm-mac/ldm/cond"
	"ldm-mac/ldm/unet"
)

// stableDiffusions are the systems with CLIP's text encoder, of 77 tokens.
func stableDiffusions() []architecture {
	v1 := network{in: 4, out: 4, model: 320, multiples: []int{1, 2, 4, 4}, attention: []int{4, 2, 1}, cond: 768, heads: 8, size: 64}
	v2, filling := v1, v1
	v2.cond, v2.heads, v2.headDim, v2.size = 1024, 0, 64, 96
	filling.in = 9
	second := v2.config()
	second.UseLinearProjection = true
	stage := firstStage("kl-f8")
	upscaler, classes := network{in: 7, out: 4, model: 256, multiples: []int{1, 2, 2, 4}, attention: []int{2, 4, 8},
		cond: 1024, heads: 8, size: 128}.config(), 1000
	upscaler.OnlyCrossAttention = unet.FlagPerLevel{true, true, true, false}
	upscaler.UseLinearProjection, upscaler.NumClassEmbeds = true, &classes
	wide := firstStage("kl-f4")
	wide.LatentChannels, wide.ScalingFactor = 4, 0.08333
	ends := [2]float64{0.00085, 0.012}
	return []architecture{
		{name: "stable-diffusion-1.5", class: stable, clip: openAI(), padding: endOfText, tokenizer: bytePair, plms: true,
			about:    "Stable Diffusion 1: U-Net 860 M, text encoder 123 M, first stage 84 M parameters",
			networks: Networks{v1.config(), stage, 77}, betas: ends},
		{name: "stable-diffusion-2.1", class: stable, clip: openCLIP(), padding: "!", tokenizer: bytePair, velocity: true,
			about:    "Stable Diffusion 2 at 768 x 768 pixels: U-Net 866 M, text encoder 340 M, first stage 84 M parameters",
			networks: Networks{second, stage, 77}, betas: ends},
		{name: "stable-diffusion-inpainting", class: stableInpaint, clip: openAI(), padding: endOfText, tokenizer: bytePair, plms: true,
			about:    "Stable Diffusion 1 for inpainting: U-Net 860 M, text encoder 123 M, first stage 84 M parameters",
			networks: Networks{filling.config(), stage, 77}, betas: ends},
		{name: "stable-diffusion-x4-upscaler", class: stableUpscale, clip: openCLIP(), padding: "!", tokenizer: bytePair, velocity: true, lowRes: true,
			about:    "Stable Diffusion's 4 times upscaler: U-Net 473 M, text encoder 340 M, first stage 55 M parameters",
			networks: Networks{upscaler, wide, 77}, betas: [2]float64{0.0001, 0.02}},
	}
}

// openAI is the text encoder of CLIP ViT-L/14 (Radford et al. 2021, arXiv:2103.00020, table 20).
func openAI() *cond.CLIPConfig { return clip(768, 12, "quick_gelu") }

// openCLIP is that of OpenCLIP ViT-H/14 without its last layer, which Stable Diffusion 2 does not use
// (Stability-AI stablediffusion, FrozenOpenCLIPEmbedder).
func openCLIP() *cond.CLIPConfig { return clip(1024, 23, "gelu") }

// clip is a text encoder with heads of 64 channels.
func clip(width, layers int, activation string) *cond.CLIPConfig {
	c := cond.DefaultCLIPConfig()
	c.Architectures = []string{"CLIPTextModel"}
	c.Width, c.FFNDim, c.Heads, c.Layers, c.Activation = width, 4*width, width/64, layers, activation
	return &c
}
