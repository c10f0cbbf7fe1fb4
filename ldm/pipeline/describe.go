package pipeline

import (
	"path/filepath"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/cond"
	"ldm-mac/ldm/firststage"
	"ldm-mac/ldm/unet"
)

// Architecture is the configuration of a model's networks.
type Architecture struct {
	Text       cond.BERTConfig
	UNet       unet.Config
	FirstStage firststage.Config
}

// Architecture returns the configuration that was loaded. Its slices belong to the pipeline.
func (p *Pipeline) Architecture() Architecture {
	return Architecture{p.text.config, p.unet.config, p.vae.config}
}

// TextLength is the number of tokens that the text encoder reads.
func (p *Pipeline) TextLength() int { return p.text.config.MaxPositions }

// CheckWeights returns a *checkpoint.Error that names the first weight of any network that is not
// finite. Generate checks them too, network by network.
func (p *Pipeline) CheckWeights() error {
	for _, c := range []*component{&p.text.component, &p.unet.component, &p.vae.component} {
		if err := c.bind(p.folder); err != nil {
			return err
		}
		if err := checkpoint.CheckFinite(c.file.Path(), c.model); err != nil {
			return err
		}
	}
	return nil
}

// WeightsFile is the name within the model's folder, with slashes, of the file of a component's
// weights, such as "unet/diffusion_pytorch_model.safetensors".
func (p *Pipeline) WeightsFile(component string) (string, error) {
	file, err := p.folder.Weights(component)
	if err != nil {
		return "", err
	}
	defer file.Close()
	name, err := filepath.Rel(p.folder.Path(), file.Path())
	return filepath.ToSlash(name), err
}
