package arch

import (
	"slices"

	"ldm-mac/ldm/cond"
	"ldm-mac/ldm/unet"
)

// network describes a U-Net as CompVis' configs do.
type network struct {
	in, out, model int
	multiples      []int // of model channels, by level
	attention      []int // factors of downsampling with attention
	cond           int   // width of the condition; 0 for none, and attention blocks for transformers
	headDim        int   // channels of a head, or
	heads          int   // their number
	depth          int   // of transformers; 0 for 1
	inBlocks       bool  // resampling in residual blocks
	scaleShift     bool
	size           int // of latents at training
}

func (n network) config() unet.Config {
	class, down, up, attnDown, attnUp := unet.Conditional, "DownBlock2D", "UpBlock2D", "CrossAttnDownBlock2D", "CrossAttnUpBlock2D"
	if n.cond == 0 {
		class, attnDown, attnUp = unet.Unconditional, "AttnDownBlock2D", "AttnUpBlock2D"
	}
	c := unet.DefaultConfigOf(class)
	if n.inBlocks {
		down, up = "ResnetDownsampleBlock2D", "ResnetUpsampleBlock2D"
		c.DownsampleType, c.UpsampleType = "resnet", "resnet"
	}
	c.InChannels, c.OutChannels, c.SampleSize = n.in, n.out, n.size
	c.BlockOutChannels, c.DownBlockTypes, c.UpBlockTypes = nil, nil, nil
	var heads unet.PerLevel
	for level, multiple := range n.multiples {
		downType, upType := down, up
		if slices.Contains(n.attention, 1<<level) {
			downType, upType = attnDown, attnUp
		}
		c.BlockOutChannels = append(c.BlockOutChannels, n.model*multiple)
		c.DownBlockTypes = append(c.DownBlockTypes, downType)
		c.UpBlockTypes = append([]string{upType}, c.UpBlockTypes...)
		if n.headDim > 0 {
			heads = append(heads, n.model*multiple/n.headDim)
		}
	}
	switch {
	case n.cond > 0:
		c.CrossAttentionDim, c.TransformerLayers = unet.PerLevel{n.cond}, unet.PerLevel{max(n.depth, 1)}
		if c.AttentionHeadDim = heads; n.heads > 0 {
			c.AttentionHeadDim = unet.PerLevel{n.heads}
		}
	case n.heads > 0:
		c.NumAttentionHeads = unet.PerLevel{n.heads}
	default:
		c.AttentionHeadDim = unet.PerLevel{n.headDim}
	}
	if n.scaleShift {
		groups := c.NormNumGroups
		c.ResnetTimeScaleShift, c.AttnNormNumGroups = "scale_shift", &groups // CompVis norms in the middle, too
	}
	return c
}

// bert is CompVis' BERTEmbedder of the given width and depth.
func bert(width, layers int) *cond.BERTConfig {
	c := cond.DefaultBERTConfig()
	c.Architectures = []string{"LDMBertModel"}
	c.Width, c.Layers, c.FFNDim = width, layers, 4*width
	return &c
}

// The pipelines; those that diffusers does not have carry names in its manner.
const (
	textToImage     = "LDMTextToImagePipeline"
	unconditional   = "LDMPipeline"
	superResolution = "LDMSuperResolutionPipeline"
	classToImage    = "LDMClassToImagePipeline"
	layoutToImage   = "LDMLayoutToImagePipeline"
	semantic        = "LDMSemanticSynthesisPipeline"
	inpaint         = "LDMInpaintPipeline"
	stable          = "StableDiffusionPipeline"
	stableInpaint   = "StableDiffusionInpaintPipeline"
	stableUpscale   = "StableDiffusionUpscalePipeline"
)

// ofCompVis are those that diffusers does not have.
var ofCompVis = []string{classToImage, layoutToImage, semantic, inpaint}

// architectures are the published systems (Rombach et al. 2022, tables 12 to 15; CompVis
// latent-diffusion, configs/latent-diffusion and models/ldm; CompVis stable-diffusion and Stability-AI
// stablediffusion, configs/stable-diffusion).
func architectures() []architecture {
	celeba := network{in: 3, out: 3, model: 224, multiples: []int{1, 2, 3, 4}, attention: []int{8, 4, 2}, headDim: 32, size: 64}
	faces := [2]float64{0.0015, 0.0195}
	layout := bert(512, 16)
	layout.VocabSize, layout.MaxPositions = 8192, 92
	synthesis := network{in: 6, out: 3, model: 128, multiples: []int{1, 4, 8}, attention: []int{32, 16, 8}, heads: 8, size: 64}
	rescaler := cond.DefaultRescalerConfig()
	rescaler.Stages, rescaler.InChannels, rescaler.OutChannels = 2, 182, 3
	synthesis512 := synthesis
	synthesis512.size = 128
	return append([]architecture{
		{name: "txt2img-large", class: textToImage, bert: bert(1280, 32), tokenizer: wordPiece,
			about: "the paper's text-to-image model: U-Net 872 M, text encoder 543 M, first stage 84 M parameters",
			networks: Networks{network{in: 4, out: 4, model: 320, multiples: []int{1, 2, 4, 4}, attention: []int{4, 2, 1},
				cond: 1280, heads: 8, size: 32}.config(), firstStage("kl-f8"), 77}, betas: [2]float64{0.00085, 0.012}},
		{name: "text2img256", class: textToImage, bert: bert(640, 32), tokenizer: wordPiece,
			about: "text to image, VQ f4: U-Net 404 M, text encoder 167 M, first stage 55 M parameters",
			networks: Networks{network{in: 3, out: 3, model: 192, multiples: []int{1, 2, 3, 5}, attention: []int{8, 4, 2},
				cond: 640, headDim: 32, size: 64}.config(), firstStage("vq-f4"), 77}, betas: faces},
		{name: "cin256", class: classToImage, classes: &cond.ClassEmbedderConfig{NumClasses: 1000, EmbedDim: 512},
			about: "ImageNet classes, VQ f8: U-Net 395 M, first stage 68 M parameters",
			networks: Networks{network{in: 4, out: 4, model: 256, multiples: []int{1, 2, 4}, attention: []int{4, 2, 1},
				cond: 512, headDim: 32, size: 32}.config(), firstStage("vq-f8"), 1}, betas: faces},
		{name: "cin256-v2", class: classToImage, classes: &cond.ClassEmbedderConfig{NumClasses: 1001, EmbedDim: 512},
			about: "ImageNet classes with classifier-free guidance, VQ f4: U-Net 401 M, first stage 55 M parameters",
			networks: Networks{network{in: 3, out: 3, model: 192, multiples: []int{1, 2, 3, 5}, attention: []int{8, 4, 2},
				cond: 512, heads: 1, size: 64}.config(), firstStage("vq-f4"), 1}, betas: faces},
		{name: "celeba256", class: unconditional, about: "faces of CelebA-HQ, VQ f4: U-Net 274 M, first stage 55 M parameters",
			networks: Networks{celeba.config(), firstStage("vq-f4"), 0}, betas: faces},
		{name: "ffhq256", class: unconditional, about: "faces of FFHQ, the architecture of celeba256",
			networks: Networks{celeba.config(), firstStage("vq-f4"), 0}, betas: faces},
		{name: "lsun_beds256", class: unconditional, about: "LSUN bedrooms, the architecture of celeba256",
			networks: Networks{celeba.config(), firstStage("vq-f4"), 0}, betas: faces},
		{name: "lsun_churches256", class: unconditional, about: "LSUN churches, KL f8: U-Net 295 M, first stage 84 M parameters",
			networks: Networks{network{in: 4, out: 4, model: 192, multiples: []int{1, 2, 2, 4, 4}, attention: []int{1, 2, 4, 8},
				heads: 8, inBlocks: true, scaleShift: true, size: 32}.config(), firstStage("kl-f8"), 0}, betas: [2]float64{0.0015, 0.0155}},
		{name: "bsr_sr", class: superResolution, about: "4 times super-resolution, VQ f4: U-Net 114 M, first stage 55 M parameters",
			networks: Networks{network{in: 6, out: 3, model: 160, multiples: []int{1, 2, 2, 4}, attention: []int{16, 8},
				headDim: 32, size: 64}.config(), firstStage("vq-f4"), 0}, betas: [2]float64{0.0015, 0.0155}},
		{name: "inpainting_big", class: inpaint, about: "inpainting, VQ f4 without attention: U-Net 387 M, first stage 53 M parameters",
			networks: Networks{network{in: 7, out: 3, model: 256, multiples: []int{1, 2, 3, 4}, attention: []int{8, 4, 2},
				heads: 8, inBlocks: true, size: 64}.config(), firstStage("vq-f4-noattn"), 0}, betas: [2]float64{0.0015, 0.0205}},
		{name: "layout2img-openimages256", class: layoutToImage, bert: layout,
			about: "boxes to images, VQ f4: U-Net 246 M, layout encoder 55 M, first stage 55 M parameters",
			networks: Networks{network{in: 3, out: 3, model: 128, multiples: []int{1, 2, 3, 4}, attention: []int{8, 4, 2},
				cond: 512, headDim: 32, depth: 3, size: 64}.config(), firstStage("vq-f4"), 92}, betas: [2]float64{0.0015, 0.0205}},
		{name: "semantic_synthesis256", class: semantic, rescaler: &rescaler,
			about:    "semantic maps to landscapes, VQ f4: U-Net 215 M, first stage 55 M parameters",
			networks: Networks{synthesis.config(), firstStage("vq-f4"), 0}, betas: [2]float64{0.0015, 0.0205}},
		{name: "semantic_synthesis512", class: semantic, rescaler: &rescaler, about: "semantic_synthesis256 at 512 x 512 pixels",
			networks: Networks{synthesis512.config(), firstStage("vq-f4"), 0}, betas: [2]float64{0.0015, 0.0205}},
	}, stableDiffusions()...)
}
