// Package pipeline makes pictures: it puts a text encoder, a U-Net, a first stage and a sampler
// together as a model's folder says, and runs them on a backend.
//
// Sampling happens on the host, on latents in PyTorch's layout [n, c, h, w], in which the noise of
// every generator is drawn; only the networks run on the backend, on [n, h, w, c].
package pipeline

import (
	"bytes"
	"fmt"
	"path/filepath"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/cond"
	"ldm-mac/ldm/firststage"
	"ldm-mac/ldm/sampler"
	"ldm-mac/ldm/tensor"
	"ldm-mac/ldm/tokenizer"
	"ldm-mac/ldm/unet"
)

// Pipeline is a loaded text-to-image model. It serves one goroutine at a time.
type Pipeline struct {
	backend   tensor.Backend
	folder    *checkpoint.Folder
	tokenizer *tokenizer.WordPiece
	schedule  sampler.Config

	text struct {
		component
		config cond.BERTConfig
		model  *cond.BERT
	}
	unet struct {
		component
		config unet.Config
		model  *unet.UNet
	}
	vae struct {
		component
		config firststage.Config
		model  *firststage.AutoencoderKL
	}
	denoiser *denoiser // of the latest size of batch, or nil
	decoder  *decoder  // of the latest size of picture, or nil
}

// component is a network and the file that its weights are bound to. The file is open while the
// network is prepared and closed when the backend has made its own copy.
type component struct {
	name   string
	model  any
	unused []string // keys of the file that the network does not need
	file   *checkpoint.File
}

// Load reads a model's configuration, and checks that its weights fit, without reading them. The
// folder must be an LDMTextToImagePipeline. All errors about the model are *checkpoint.Error.
func Load(backend tensor.Backend, folder *checkpoint.Folder) (*Pipeline, error) {
	if folder.Class != "LDMTextToImagePipeline" {
		return nil, &checkpoint.Error{Path: folder.Path(), Err: fmt.Errorf(
			"pipeline %q is not supported, want LDMTextToImagePipeline", folder.Class)}
	}
	p := &Pipeline{backend: backend, folder: folder}
	for _, load := range []func() error{p.loadText, p.loadUNet, p.loadVAE, p.loadSchedule} {
		if err := load(); err != nil {
			p.Close()
			return nil, err
		}
	}
	return p, nil
}

// fault is an error about a file of the model.
func (p *Pipeline) fault(name string, err error) error {
	return &checkpoint.Error{Path: filepath.Join(p.folder.Path(), name), Err: err}
}

func (p *Pipeline) loadText() error {
	var config tokenizer.Config
	if err := p.folder.Config("tokenizer", &config); err != nil {
		return err
	}
	vocabulary, err := p.folder.ReadFile("tokenizer/vocab.txt")
	if err != nil {
		return err
	}
	if p.tokenizer, err = tokenizer.NewWordPiece(bytes.NewReader(vocabulary), config); err != nil {
		return p.fault("tokenizer/vocab.txt", err)
	}
	t := &p.text
	t.config = cond.DefaultBERTConfig()
	if err := p.folder.Config("bert", &t.config); err != nil {
		return err
	}
	if t.model, err = cond.NewBERT(&t.config); err != nil {
		return p.fault("bert/config.json", err)
	}
	if n := p.tokenizer.Size(); n > t.config.VocabSize {
		return p.fault("tokenizer/vocab.txt", fmt.Errorf("%d pieces for a vocabulary of %d", n, t.config.VocabSize))
	}
	t.component = component{name: "bert", model: t.model, unused: cond.BERTUnused}
	return t.bind(p.folder)
}

func (p *Pipeline) loadUNet() (err error) {
	u := &p.unet
	u.config = unet.DefaultConfig()
	if err := p.folder.Config("unet", &u.config); err != nil {
		return err
	}
	if u.model, err = unet.New(&u.config); err != nil {
		return p.fault("unet/config.json", err)
	}
	for _, width := range u.config.CrossAttentionDim {
		if width != p.text.config.Width {
			return p.fault("unet/config.json", fmt.Errorf("cross_attention_dim is %d, the text encoder's d_model %d",
				width, p.text.config.Width))
		}
	}
	u.component = component{name: "unet", model: u.model}
	return u.bind(p.folder)
}

func (p *Pipeline) loadVAE() (err error) {
	v := &p.vae
	v.config = firststage.DefaultConfig()
	if err := p.folder.Config("vqvae", &v.config); err != nil {
		return err
	}
	if v.model, err = firststage.New(&v.config); err != nil {
		return p.fault("vqvae/config.json", err)
	}
	z := v.config.LatentChannels
	if p.unet.config.InChannels != z || p.unet.config.OutChannels != z {
		return p.fault("unet/config.json", fmt.Errorf("%d channels in and %d out, latents have %d",
			p.unet.config.InChannels, p.unet.config.OutChannels, z))
	}
	if v.config.OutChannels != 3 {
		return p.fault("vqvae/config.json", fmt.Errorf("out_channels is %d, want 3", v.config.OutChannels))
	}
	v.component = component{name: "vqvae", model: v.model}
	return v.bind(p.folder)
}

func (p *Pipeline) loadSchedule() error {
	if err := p.folder.Config("scheduler", &p.schedule); err != nil {
		return err
	}
	if _, err := sampler.New("", p.schedule, sampler.Options{Steps: 1}); err != nil {
		return p.fault("scheduler/scheduler_config.json", err)
	}
	return nil
}

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
	checkpoint.Walk(c.model, func(_ string, w *tensor.Weight) { w.Data = nil })
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

// compile makes a program of the component's network, of which build makes the graph.
func (p *Pipeline) compile(c *component, build func(*tensor.Graph)) (tensor.Program, error) {
	g, err := p.graph(c, build)
	if err != nil {
		return nil, err
	}
	return p.backend.Compile(g)
}

// Factor is the number of pixels to a side of one latent.
func (p *Pipeline) Factor() int { return p.vae.config.Factor() }

// Size is the side of the pictures that the model was trained on, in pixels.
func (p *Pipeline) Size() int {
	if p.unet.config.SampleSize > 0 {
		return p.unet.config.SampleSize * p.Factor()
	}
	return p.vae.config.SampleSize
}

// Sampler is the name of the sampler that the model's own configuration describes.
func (p *Pipeline) Sampler() string {
	name, _ := sampler.FromClass(p.schedule.ClassName)
	return name
}

// Tokenizer splits prompts as the text encoder was trained with.
func (p *Pipeline) Tokenizer() *tokenizer.WordPiece { return p.tokenizer }

// Close frees the networks and closes the model's files. It may be called again.
func (p *Pipeline) Close() error {
	p.denoiser.close()
	p.decoder.close()
	p.denoiser, p.decoder = nil, nil
	for _, c := range []*component{&p.text.component, &p.unet.component, &p.vae.component} {
		c.release()
	}
	return nil
}
