package compvis

import "slices"

// The pipelines that an original checkpoint can be of.
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

// published is a released system: what it is recognised by, and what its shapes do not tell.
type published struct {
	name           string
	class          string
	in, out        int
	channels       []int
	context        int // 0 without cross-attention
	heads          int // a fixed number, or
	headSize       int // a fixed number of channels in a head
	sampleSize     int // of latents at training
	scale          float64
	betas          [2]float64 // ends of the noise schedule of 1000 steps
	prediction     string     // "" for epsilon
	alsoPrediction string     // another that shapes do not tell apart
	note           string
}

// The ends of the noise schedules of the released systems.
var (
	largeBetas     = [2]float64{0.00085, 0.012}
	wideBetas      = [2]float64{0.0015, 0.0195}
	narrowBetas    = [2]float64{0.0015, 0.0155}
	widestBetas    = [2]float64{0.0015, 0.0205}
	upscalingBetas = [2]float64{0.0001, 0.02}
)

// releasedSteps is the number of steps of all of them.
const releasedSteps = 1000

// systems are the released checkpoints (CompVis/latent-diffusion models/ldm/*/config.yaml and
// configs/latent-diffusion, CompVis/stable-diffusion and Stability-AI/stablediffusion configs).
var systems = []published{
	{name: "txt2img-large", class: textToImage, in: 4, out: 4, channels: []int{320, 640, 1280, 1280}, context: 1280, heads: 8, sampleSize: 32, betas: largeBetas, scale: 0.18215},
	{name: "text2img256", class: textToImage, in: 3, out: 3, channels: []int{192, 384, 576, 960}, context: 640, headSize: 32, sampleSize: 64, betas: wideBetas, scale: 1,
		note: "the released weights of text2img256 are reported to draw nothing that can be recognised"},
	{name: "cin256", class: classToImage, in: 4, out: 4, channels: []int{256, 512, 1024}, context: 512, headSize: 32, sampleSize: 32, betas: wideBetas, scale: 1},
	{name: "cin256-v2", class: classToImage, in: 3, out: 3, channels: []int{192, 384, 576, 960}, context: 512, heads: 1, sampleSize: 64, betas: wideBetas, scale: 1},
	{name: "celeba256, ffhq256 or lsun_beds256", class: unconditional, in: 3, out: 3, channels: []int{224, 448, 672, 896}, headSize: 32, sampleSize: 64, betas: wideBetas, scale: 1},
	{name: "lsun_churches256", class: unconditional, in: 4, out: 4, channels: []int{192, 384, 384, 768, 768}, heads: 8, sampleSize: 32, betas: narrowBetas},
	{name: "bsr_sr", class: superResolution, in: 6, out: 3, channels: []int{160, 320, 320, 640}, headSize: 32, sampleSize: 64, betas: narrowBetas, scale: 1},
	{name: "inpainting_big", class: inpaint, in: 7, out: 3, channels: []int{256, 512, 768, 1024}, heads: 8, sampleSize: 64, betas: widestBetas, scale: 1},
	{name: "layout2img-openimages256", class: layoutToImage, in: 3, out: 3, channels: []int{128, 256, 384, 512}, context: 512, headSize: 32, sampleSize: 64, betas: widestBetas, scale: 1},
	{name: "semantic_synthesis256 or semantic_synthesis512", class: semantic, in: 6, out: 3, channels: []int{128, 512, 1024}, heads: 8, sampleSize: 64, betas: widestBetas, scale: 1},
	{name: "Stable Diffusion 1", class: stable, in: 4, out: 4, channels: []int{320, 640, 1280, 1280}, context: 768, heads: 8, sampleSize: 64, betas: largeBetas, scale: 0.18215},
	{name: "Stable Diffusion 1 inpainting", class: stableInpaint, in: 9, out: 4, channels: []int{320, 640, 1280, 1280}, context: 768, heads: 8, sampleSize: 64, betas: largeBetas, scale: 0.18215},
	{name: "Stable Diffusion 2", class: stable, in: 4, out: 4, channels: []int{320, 640, 1280, 1280}, context: 1024, headSize: 64, sampleSize: 64, betas: largeBetas, scale: 0.18215,
		prediction: "v_prediction", alsoPrediction: "epsilon"},
	{name: "Stable Diffusion 2 inpainting", class: stableInpaint, in: 9, out: 4, channels: []int{320, 640, 1280, 1280}, context: 1024, headSize: 64, sampleSize: 64, betas: largeBetas, scale: 0.18215},
	{name: "Stable Diffusion x4 upscaler", class: stableUpscale, in: 7, out: 4, channels: []int{256, 512, 512, 1024}, context: 1024, heads: 8, sampleSize: 128, betas: upscalingBetas, scale: 0.08333,
		prediction: "v_prediction"},
}

// recognise finds the released system whose U-Net has that shape; nil when there is none.
func recognise(class string, u *unetShape) *published {
	i := slices.IndexFunc(systems, func(p published) bool {
		return p.class == class && p.in == u.in && p.out == u.out && p.context == u.context && slices.Equal(p.channels, u.channels)
	})
	if i < 0 {
		return nil
	}
	return &systems[i]
}

// shapes is all that the weights tell of a system.
type shapes struct {
	unet  *unetShape
	stage *stageShape
	cond  *condShape
}

func (s *state) shapes() (*shapes, error) {
	unet, err := s.unetShape()
	if err != nil {
		return nil, err
	}
	stage, err := s.stageShape()
	if err != nil {
		return nil, err
	}
	cond, err := s.condShape()
	if err != nil {
		return nil, err
	}
	return &shapes{unet, stage, cond}, nil
}

// textPositions is the length of a prompt in every text encoder of CompVis; layouts are longer
// (92) or, in small models, shorter.
const textPositions = 77

// class is the pipeline that a checkpoint is of: what its conditioner is, and what the U-Net reads
// beside the z channels of its latents.
func (s *state) class(h *shapes) (string, error) {
	z, extra, kind := h.stage.z, h.unet.in-h.stage.z, h.cond.kind
	if h.stage.codeDim > 0 {
		z = h.stage.codeDim // of the latents before quantisation
		extra = h.unet.in - z
	}
	for _, c := range []struct {
		class   string
		kind    condKind
		cross   bool // has cross-attention
		extra   int
		matches bool
	}{
		{textToImage, bertCond, true, 0, h.cond.positions == textPositions},
		{layoutToImage, bertCond, true, 0, h.cond.positions != textPositions},
		{classToImage, classCond, true, 0, true},
		{semantic, rescaleCond, false, h.cond.out, true},
		{unconditional, noCond, false, 0, true},
		{inpaint, noCond, false, z + 1, true},
		{superResolution, noCond, false, 3, true},
		{stable, clipCond, true, 0, true}, {stable, openCLIPCond, true, 0, true},
		{stableInpaint, clipCond, true, z + 1, true}, {stableInpaint, openCLIPCond, true, z + 1, true},
		{stableUpscale, openCLIPCond, true, 3, h.unet.classes > 0},
	} {
		if c.kind == kind && c.cross == h.unet.transformer && c.extra == extra && c.matches && h.unet.out == z &&
			(h.unet.classes > 0) == (c.class == stableUpscale) {
			return c.class, nil
		}
	}
	cross := "without"
	if h.unet.transformer {
		cross = "with"
	}
	return "", s.fault("no known system has a U-Net %s cross-attention from %d to %d channels, latents of %d channels and %s for a conditioner",
		cross, h.unet.in, h.unet.out, z, kind)
}

// String says what a conditioner is, for messages.
func (k condKind) String() string {
	return [...]string{"nothing", "a BERTEmbedder", "a FrozenCLIPEmbedder", "a FrozenOpenCLIPEmbedder", "a ClassEmbedder", "a SpatialRescaler"}[k]
}
