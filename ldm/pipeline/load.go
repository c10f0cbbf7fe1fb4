package pipeline

import (
	"fmt"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/cond"
	"ldm-mac/ldm/firststage"
	"ldm-mac/ldm/sampler"
	"ldm-mac/ldm/tensor"
	"ldm-mac/ldm/unet"
)

// Load reads a model's configuration, and checks that its weights fit, without reading them. All
// errors about the model are *checkpoint.Error.
func Load(backend tensor.Backend, folder *checkpoint.Folder) (*Pipeline, error) {
	p := &Pipeline{backend: backend, folder: folder}
	for _, load := range []func() error{p.loadUNet, p.loadStage, p.loadCondition, p.checkChannels, p.loadSchedule, p.bind} {
		if err := load(); err != nil {
			p.Close()
			return nil, err
		}
	}
	return p, nil
}

// bind opens the weights of all networks.
func (p *Pipeline) bind() error {
	for _, c := range p.components() {
		if err := c.bind(p.folder); err != nil {
			return err
		}
	}
	return nil
}

func (p *Pipeline) loadUNet() (err error) {
	if _, err := systemOf(p.folder.Class, 0, 0); err != nil {
		return &checkpoint.Error{Path: p.folder.Path(), Err: err}
	}
	u := &p.unet
	u.config = unet.DefaultConfig()
	if err := p.folder.Config("unet", &u.config); err != nil {
		return err
	}
	if u.model, err = unet.New(&u.config); err != nil {
		return p.fault("unet/config.json", err)
	}
	u.component = component{name: "unet", model: u.model}
	return nil
}

func (p *Pipeline) loadStage() (err error) {
	name := systems[p.folder.Class].firstStage
	s := &p.stage
	s.config = firststage.DefaultConfig()
	if err := p.folder.Config(name, &s.config); err != nil {
		return err
	}
	if s.model, err = firststage.New(&s.config); err != nil {
		return p.fault(name+"/config.json", err)
	}
	if s.config.InChannels != 3 || s.config.OutChannels != 3 {
		return p.fault(name+"/config.json", fmt.Errorf("in_channels is %d and out_channels %d, want 3 of both",
			s.config.InChannels, s.config.OutChannels))
	}
	s.component = component{name: name, model: s.model}
	p.system, err = systemOf(p.folder.Class, p.unet.config.InChannels, p.LatentChannels())
	return err
}

// loadCondition loads what makes the condition of cross-attention, or the label map's channels.
func (p *Pipeline) loadCondition() (err error) {
	width := 0
	switch {
	case p.system.condition == "class_embedder":
		err = p.loadClass()
		width = p.class.config.EmbedDim
	case p.system.condition != "":
		if err = p.loadText(); err == nil {
			width = p.text.model.Width()
		}
	case p.system.concat == concatLabelMap:
		err = p.loadRescaler()
	}
	if want := p.condWidth(); err == nil && want != width {
		err = p.fault("unet/config.json", fmt.Errorf("cross_attention_dim is %d, the condition of %s %d wide", want, p.folder.Class, width))
	}
	return err
}

// condWidth is that of the conditions that the U-Net attends to; 0 for none.
func (p *Pipeline) condWidth() int {
	if p.unet.config.ClassName != unet.Conditional {
		return 0
	}
	return p.unet.config.CrossAttentionDim[0]
}

func (p *Pipeline) loadClass() (err error) {
	c := &p.class
	c.config = cond.DefaultClassEmbedderConfig()
	if err := p.folder.Config("class_embedder", &c.config); err != nil {
		return err
	}
	if c.model, err = cond.NewClassEmbedder(&c.config); err != nil {
		return p.fault("class_embedder/config.json", err)
	}
	c.component = component{name: "class_embedder", model: c.model}
	return nil
}

func (p *Pipeline) loadRescaler() (err error) {
	r := &p.rescaler
	r.config = cond.DefaultRescalerConfig()
	if err := p.folder.Config("rescaler", &r.config); err != nil {
		return err
	}
	if r.model, err = cond.NewRescaler(&r.config); err != nil {
		return p.fault("rescaler/config.json", err)
	}
	r.component = component{name: "rescaler", model: r.model}
	return nil
}

// loadText loads the encoder of texts or of a layout's tokens.
func (p *Pipeline) loadText() (err error) {
	t := &p.text
	var unused []string
	if t.model, unused, err = loadTextEncoder(p.folder, p.system.condition); err != nil {
		return err
	}
	t.length = t.model.Length()
	t.component = component{name: p.system.condition, model: t.model, unused: unused}
	if p.system.tokenizer {
		p.tokenizer, t.length, err = LoadTokenizer(p.folder)
	}
	return err
}

// checkChannels compares what the networks hand on to each other.
func (p *Pipeline) checkChannels() error {
	z, labels := p.LatentChannels(), p.rescaler.config.OutChannels
	want := z + p.system.concat.channels(z, labels)
	if u := &p.unet.config; u.InChannels != want || u.OutChannels != z {
		return p.fault("unet/config.json", fmt.Errorf("%d channels in and %d out, want %d and %d for %s with latents of %d",
			u.InChannels, u.OutChannels, want, z, p.folder.Class, z))
	}
	return nil
}

func (p *Pipeline) loadSchedule() error {
	if err := p.folder.Config("scheduler", &p.schedule); err != nil {
		return err
	}
	if _, err := sampler.New("", p.schedule, sampler.Options{Steps: 1}); err != nil {
		return p.fault("scheduler/scheduler_config.json", err)
	}
	if p.system.concat != concatNoisy {
		return nil
	}
	if err := p.folder.Config("low_res_scheduler", &p.lowRes); err != nil {
		return err
	}
	if _, err := sampler.New("ddpm", p.lowRes, sampler.Options{Steps: 1}); err != nil {
		return p.fault("low_res_scheduler/scheduler_config.json", err)
	}
	return nil
}
