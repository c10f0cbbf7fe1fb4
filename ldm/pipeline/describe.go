package pipeline

import (
	"ldm-mac/ldm/cond"
	"ldm-mac/ldm/firststage"
	"ldm-mac/ldm/sampler"
	"ldm-mac/ldm/tokenizer"
	"ldm-mac/ldm/unet"
)

// Architecture is the configuration of a model's networks.
type Architecture struct {
	Text       cond.TextEncoder // nil for none
	UNet       unet.Config
	FirstStage firststage.Config
}

// Architecture returns the configuration that was loaded. Its slices belong to the pipeline.
func (p *Pipeline) Architecture() Architecture {
	return Architecture{p.text.model, p.unet.config, p.stage.config}
}

// Class is the class of the model's pipeline, as in "LDMTextToImagePipeline".
func (p *Pipeline) Class() string { return p.folder.Class }

// Task is what the model makes pictures of.
func (p *Pipeline) Task() Task { return p.system.task }

// Inpaints reports whether the U-Net is given the hole of a picture that is to be filled; other
// models fill holes by keeping the rest at each step.
func (p *Pipeline) Inpaints() bool {
	return p.system.concat == concatHole || p.system.concat == concatMask
}

// Guidable reports whether the model knows a condition to move away from, so that there is
// guidance.
func (p *Pipeline) Guidable() bool {
	_, ok := p.class.config.Unconditional()
	return p.tokenizer != nil || p.class.model != nil && ok
}

// Convention is the one that the model's own program follows.
func (p *Pipeline) Convention() Convention {
	if p.folder.Convention == string(CompVis) {
		return CompVis
	}
	return Diffusers
}

// Tokenizer splits prompts as the text encoder was trained with; nil where there is none.
func (p *Pipeline) Tokenizer() tokenizer.Tokenizer { return p.tokenizer }

// TextLength is the number of tokens that the text encoder reads; 0 where there is none.
func (p *Pipeline) TextLength() int {
	return p.text.length
}

// Classes is the number of classes, without the unconditional one; 0 where the condition is none.
func (p *Pipeline) Classes() int {
	if p.class.model == nil {
		return 0
	}
	if unconditional, ok := p.class.config.Unconditional(); ok {
		return unconditional
	}
	return p.class.config.NumClasses
}

// Labels is the number of classes of a label map; 0 where the model reads none.
func (p *Pipeline) Labels() int {
	if p.rescaler.model == nil {
		return 0
	}
	return p.rescaler.config.InChannels
}

// Objects is the most objects that a layout may have; 0 where the model reads none.
func (p *Pipeline) Objects() int {
	if p.system.task != LayoutToImage {
		return 0
	}
	return p.layout().MaxBoxes()
}

// Factor is the number of pixels to a side of one latent.
func (p *Pipeline) Factor() int { return p.stage.config.Factor() }

// Multiple is what the sides of a picture, of super-resolution the small one, have to be multiples of,
// in pixels.
func (p *Pipeline) Multiple() int {
	if p.system.task == SuperResolution {
		return p.unet.config.Multiple()
	}
	return p.unet.config.Multiple() * p.Factor()
}

// Noises reports whether noise is added to the small picture of super-resolution, see
// Request.NoiseLevel.
func (p *Pipeline) Noises() bool { return p.system.concat == concatNoisy }

// Size is the side of the pictures that the model was trained on, in pixels: of those that it makes,
// or of the small ones that it enlarges by Factor.
func (p *Pipeline) Size() int {
	side := p.stage.config.SampleSize
	if p.unet.config.SampleSize > 0 {
		side = p.unet.config.SampleSize * p.Factor()
	}
	if p.system.task == SuperResolution {
		side /= p.Factor()
	}
	return side
}

// Sampler is the name of the sampler that the model's own configuration describes.
func (p *Pipeline) Sampler() string {
	name, _ := sampler.FromClass(p.schedule.ClassName)
	return name
}

// CheckWeights returns a *checkpoint.Error that names the first weight of any network that is not
// finite. Generate checks them too, network by network.
func (p *Pipeline) CheckWeights() error {
	for _, c := range p.components() {
		if err := c.load(p.folder); err != nil {
			return err
		}
	}
	return nil
}

// WeightFiles are the names within the model's folder of the files of a component's weights, see
// checkpoint.Folder.
func (p *Pipeline) WeightFiles(component string) ([]string, error) {
	return p.folder.WeightFiles(component)
}
