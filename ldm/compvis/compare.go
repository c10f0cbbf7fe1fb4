package compvis

import (
	"slices"

	"gopkg.in/yaml.v3"
)

// The classes of CompVis that a configuration may name as its targets.
var (
	modelTargets = []string{
		"ldm.models.diffusion.ddpm.LatentDiffusion", "ldm.models.diffusion.ddpm.LatentInpaintDiffusion",
		"ldm.models.diffusion.ddpm.LatentUpscaleDiffusion",
	}
	unetTargets  = []string{"ldm.modules.diffusionmodules.openaimodel.UNetModel"}
	stageTargets = map[bool][]string{ // by whether there is a codebook
		true:  {"ldm.models.autoencoder.VQModelInterface", "ldm.models.autoencoder.VQModel"},
		false: {"ldm.models.autoencoder.AutoencoderKL"},
	}
	condTargets = map[condKind][]string{
		bertCond:     {"ldm.modules.encoders.modules.BERTEmbedder"},
		clipCond:     {"ldm.modules.encoders.modules.FrozenCLIPEmbedder"},
		openCLIPCond: {"ldm.modules.encoders.modules.FrozenOpenCLIPEmbedder"},
		classCond:    {"ldm.modules.encoders.modules.ClassEmbedder"},
		rescaleCond:  {"ldm.modules.encoders.modules.SpatialRescaler"},
		noCond:       {"__is_unconditional__", "__is_first_stage__", "torch.nn.Identity"},
	}
)

// targets refuses classes that are not CompVis', or that the weights are not of.
func (d *document) targets(h *shapes, class string) {
	oneOf := func(path string, want []string) {
		if n := d.find(path); n == nil {
			d.fault(path, "is missing, want one of %q", want)
		} else if target := d.text(path); !slices.Contains(want, target) {
			d.fault(path, "is %.80q, want one of %q", target, want)
		}
	}
	oneOf("model.target", modelTargets)
	oneOf("model.params.unet_config.target", unetTargets)
	oneOf("model.params.first_stage_config.target", stageTargets[h.stage.codes > 0])
	const cond = "model.params.cond_stage_config"
	if n := d.find(cond); n != nil && n.Kind == yaml.ScalarNode {
		oneOf(cond, condTargets[h.cond.kind])
		if first := n.Value == "__is_first_stage__"; h.cond.kind == noCond && first != (class == inpaint) {
			d.fault(cond, "is %q, which does not fit the U-Net's %d channels", n.Value, h.unet.in)
		}
	} else {
		oneOf(cond+".target", condTargets[h.cond.kind])
	}
	if tokenizer := d.find(cond + ".params.use_tokenizer"); tokenizer != nil && h.cond.kind == bertCond {
		if uses := d.boolean(cond + ".params.use_tokenizer"); uses != (class == textToImage) {
			d.fault(cond+".params.use_tokenizer", "is %v, which does not fit the %d positions of the weights", uses, h.cond.positions)
		}
	}
}

// compare refuses numbers that differ from what the weights tell.
func (d *document) compare(h *shapes) {
	const params, unet, stage = "model.params.", "model.params.unet_config.params.", "model.params.first_stage_config.params."
	const cond = "model.params.cond_stage_config.params."
	u, f, c := h.unet, h.stage, h.cond
	numbers := map[string]int{
		unet + "in_channels": u.in, unet + "out_channels": u.out, unet + "model_channels": u.channels[0], unet + "num_res_blocks": u.layers,
		stage + "ddconfig.z_channels": f.z, stage + "ddconfig.in_channels": f.in, stage + "ddconfig.out_ch": f.out,
		stage + "ddconfig.ch": f.channels[0], stage + "ddconfig.num_res_blocks": f.layers, params + "channels": u.out,
	}
	if f.codes > 0 {
		numbers[stage+"n_embed"], numbers[stage+"embed_dim"] = f.codes, f.codeDim
	} else {
		numbers[stage+"embed_dim"] = f.z
	}
	if u.transformer {
		numbers[unet+"context_dim"], numbers[unet+"transformer_depth"] = u.context, u.depth
	}
	switch c.kind {
	case bertCond:
		numbers[cond+"n_embed"], numbers[cond+"n_layer"] = c.width, c.layers
		numbers[cond+"vocab_size"], numbers[cond+"max_seq_len"] = c.vocabulary, c.positions
	case classCond:
		numbers[cond+"n_classes"], numbers[cond+"embed_dim"] = c.in, c.out
	case rescaleCond:
		numbers[cond+"n_stages"], numbers[cond+"in_channels"], numbers[cond+"out_channels"] = f.stages(), c.in, c.out
	}
	for _, path := range sortedKeys(numbers) {
		if got := d.integer(path, numbers[path], 0, 1<<30); got != numbers[path] {
			d.fault(path, "is %d, the weights have %d", got, numbers[path])
		}
	}
	d.compareLists(unet+"channel_mult", u.channels)
	d.compareLists(stage+"ddconfig.ch_mult", f.channels)
	truths := map[string]bool{
		unet + "use_spatial_transformer": u.transformer, unet + "use_scale_shift_norm": u.scaleShift,
		unet + "resblock_updown": u.updown, unet + "use_linear_in_transformer": u.linear,
	}
	for _, path := range sortedKeys(truths) {
		if got := d.boolean(path); got != truths[path] {
			d.fault(path, "is %v, the weights say %v", got, truths[path])
		}
	}
	if kind := d.text(stage + "ddconfig.attn_type"); (kind == "none") == f.midAttention {
		d.fault(stage+"ddconfig.attn_type", "is %.40q, the weights say %v to attention in the middle", kind, f.midAttention)
	}
	if at := d.integers(unet+"attention_resolutions", 1, 1<<20); at != nil {
		for level, attends := range u.attention {
			if attends != slices.Contains(at, 1<<level) {
				d.fault(unet+"attention_resolutions", "is %v, the weights have attention at %v by level", at, u.attention)
			}
		}
	}
}

// compareLists compares a list of multiples of the first level's channels.
func (d *document) compareLists(path string, channels []int) {
	got := d.integers(path, 1, maxChannels)
	if got == nil {
		return
	}
	for i := range got {
		got[i] *= channels[0]
	}
	if !slices.Equal(got, channels) {
		d.fault(path, "makes levels of %v channels, the weights have %v", got, channels)
	}
}

// stages is the number of times that a segmentation is halved to have the size of the latents.
func (f *stageShape) stages() int { return len(f.channels) - 1 }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
