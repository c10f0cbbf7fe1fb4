package pipeline

import (
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
