// Package pipeline makes pictures: it puts the encoder of a condition, a U-Net, a first stage and a
// sampler together as a model's folder says, and runs them on a backend.
//
// Sampling happens on the host, on latents in PyTorch's layout [n, c, h, w], in which the noise of
// every generator is drawn; only the networks run on the backend, on [n, h, w, c].
package pipeline

import (
	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/cond"
	"ldm-mac/ldm/firststage"
	"ldm-mac/ldm/sampler"
	"ldm-mac/ldm/tensor"
	"ldm-mac/ldm/tokenizer"
	"ldm-mac/ldm/unet"
)

// Pipeline is a loaded model. It serves one goroutine at a time.
type Pipeline struct {
	backend  tensor.Backend
	folder   *checkpoint.Folder
	system   system
	schedule sampler.Config
	lowRes   sampler.Config // of the noise in the small picture, where there is some

	tokenizer tokenizer.Tokenizer // nil unless the condition is a text
	text      struct {            // of a text, or of a layout's tokens
		component
		model  cond.TextEncoder // nil for none
		length int              // tokens that it is given
	}
	class struct {
		component
		config cond.ClassEmbedderConfig
		model  *cond.ClassEmbedder // nil for none
	}
	rescaler struct {
		component
		config cond.RescalerConfig
		model  *cond.Rescaler // nil for none
	}
	unet struct {
		component
		config unet.Config
		model  *unet.UNet
	}
	stage struct {
		component
		config firststage.Config
		model  *firststage.FirstStage
	}
	denoiser *denoiser            // of the latest size of batch, or nil
	programs stagePrograms        // of the first stage, of the latest sizes
	codebook *firststage.Codebook // nil before the first use, or for none
}

// component is a network and the file that its weights are bound to. The file is open while the
// network is prepared and closed when the backend has made its own copy.
type component struct {
	name   string
	model  any
	unused []string // keys of the file that the network does not need
	file   *checkpoint.File
}

// fault is an error about a file of the model.
func (p *Pipeline) fault(name string, err error) error { return inFolder(p.folder, name, err) }

// bind opens the component's weights, unless they are open.
func (c *component) bind(folder *checkpoint.Folder) error {
	if c.file != nil {
		return nil
	}
	file, err := folder.Weights(c.name)
	if err != nil {
		return err
	}
	c.file = file
	if err := checkpoint.Bind(c.model, file, "", c.unused...); err != nil {
		c.release()
		return err
	}
	return nil
}

// load opens the component's weights and checks that they are finite.
func (c *component) load(folder *checkpoint.Folder) error {
	if err := c.bind(folder); err != nil {
		return err
	}
	return checkpoint.CheckFinite(c.file.Path(), c.model)
}

// release closes the component's weights.
func (c *component) release() {
	if c.file == nil {
		return
	}
	checkpoint.Walk(c.model, func(_ string, w *tensor.Weight) { w.Data, w.Mapping = nil, nil })
	c.file.Close()
	c.file = nil
}

// graph is that which build makes of the component's network, whose weights are open and finite.
func (p *Pipeline) graph(c *component, build func(*tensor.Graph)) (*tensor.Graph, error) {
	if err := c.load(p.folder); err != nil {
		return nil, err
	}
	g := tensor.NewGraph()
	build(g)
	return g, nil
}

// compile makes a program of the component's network, of which build makes the graph, and closes the
// component's weights.
func (p *Pipeline) compile(c *component, build func(*tensor.Graph)) (tensor.Program, error) {
	g, err := p.graph(c, build)
	if err != nil {
		return nil, err
	}
	defer c.release()
	return p.backend.Compile(g)
}

// components are the networks that the model has.
func (p *Pipeline) components() []*component {
	var all []*component
	for _, c := range []*component{
		&p.text.component, &p.class.component, &p.rescaler.component, &p.unet.component, &p.stage.component,
	} {
		if c.model != nil {
			all = append(all, c)
		}
	}
	return all
}

// Close frees the networks and closes the model's files. It may be called again.
func (p *Pipeline) Close() error {
	p.denoiser.close()
	p.denoiser = nil
	p.programs.close()
	for _, c := range p.components() {
		c.release()
	}
	return nil
}
