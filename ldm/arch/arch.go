// Package arch has the architectures of published latent diffusion systems as tables, and writes
// them as model folders with random weights, so that speed, memory and loading can be measured at
// full size with nothing downloaded.
package arch

import (
	"fmt"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/cond"
	"ldm-mac/ldm/firststage"
	"ldm-mac/ldm/tensor"
	"ldm-mac/ldm/unet"
)

// architecture is a system.
type architecture struct {
	name, about string
	class       string // of the pipeline
	networks    Networks
	bert        *cond.BERTConfig          // the encoder of text or of a layout, or nil
	clip        *cond.CLIPConfig          // the encoder of text, or nil
	padding     string                    // token behind a text; of clip
	tokenizer   string                    // its class where an encoder reads text, or ""
	classes     *cond.ClassEmbedderConfig // or nil
	rescaler    *cond.RescalerConfig      // of label maps, or nil
	betas       [2]float64                // first and last of the scaled linear schedule
	plms        bool                      // the model's own sampler is PLMS, else DDIM
	velocity    bool                      // the U-Net predicts v, else noise
	lowRes      bool                      // noise is added to the small picture
}

// Networks are the configurations of a system's networks, and how it uses them.
type Networks struct {
	UNet       unet.Config
	FirstStage firststage.Config
	Tokens     int // of the condition; 0 for none
}

// Names lists the architectures.
func Names() []string {
	var names []string
	for _, a := range architectures() {
		names = append(names, a.name)
	}
	return names
}

// Describe is one line about an architecture, "" for an unknown one.
func Describe(name string) string {
	a, _ := find(name)
	return a.about
}

// Find returns the networks of the named architecture, one of Names.
func Find(name string) (Networks, error) {
	a, err := find(name)
	return a.networks, err
}

func find(name string) (architecture, error) {
	for _, a := range architectures() {
		if a.name == name {
			return a, nil
		}
	}
	return architecture{}, fmt.Errorf("arch: %q is unknown, want one of %q", name, Names())
}

// Class is the class of the named architecture's pipeline, "" for an unknown one.
func Class(name string) string {
	a, _ := find(name)
	return a.class
}

// Parameters are the numbers of weights of a system's networks. Condition is that of all that makes
// the condition, 0 for none.
type Parameters struct{ UNet, Condition, FirstStage int }

// CountParameters counts the weights of the named architecture, one of Names.
func CountParameters(name string) (p Parameters, err error) {
	a, err := find(name)
	if err != nil {
		return p, err
	}
	parts, err := a.parts()
	if err != nil {
		return p, err
	}
	for component, part := range parts {
		into := &p.Condition
		switch component {
		case "unet":
			into = &p.UNet
		case a.firstStage():
			into = &p.FirstStage
		}
		checkpoint.Walk(part.model, func(_ string, w *tensor.Weight) { *into += w.Shape.Elements() })
	}
	return p, nil
}
