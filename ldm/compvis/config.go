package compvis

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"ldm-mac/ldm/checkpoint"
)

// object is a JSON object; encoding/json sorts its keys, so that equal systems give equal bytes.
type object map[string]any

// component is a part of the pipeline: where model_index.json says it comes from, and its config.
type component struct {
	name, library, class string
	file                 string // "config.json" or the scheduler's or tokenizer's own
	config               object
}

// files are the small files of the folder that a system amounts to.
func (h *shapes) files(class string, c *settings) map[string][]byte {
	index := object{"_class_name": class, "_convention": checkpoint.CompVis}
	files := map[string][]byte{}
	for _, p := range h.components(class, c) {
		index[p.name] = []string{p.library, p.class}
		if p.config != nil {
			if p.library != "transformers" && p.library != "latent_diffusion" {
				p.config["_class_name"] = p.class // theirs have "architectures"
			}
			files[p.name+"/"+p.file] = encode(p.config)
		}
	}
	if stableDiffusion(class) {
		for _, absent := range []string{"safety_checker", "feature_extractor"} {
			index[absent] = []any{nil, nil}
		}
		index["requires_safety_checker"] = false
	}
	if class == stableUpscale {
		index["max_noise_level"] = c.maxNoise
	}
	files["model_index.json"] = encode(index)
	return files
}

// encode writes an object of plain values, which cannot fail.
func encode(o object) []byte {
	data, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("compvis: %v in %v", err, o))
	}
	return append(data, '\n')
}

func stableDiffusion(class string) bool { return strings.HasPrefix(class, "StableDiffusion") }

// stageName is the folder name of the first stage in a pipeline.
func stageName(class string) string {
	if stableDiffusion(class) {
		return "vae"
	}
	return "vqvae"
}

// components are the parts of a system. A tokenizer has no config here: its files decide.
func (h *shapes) components(class string, c *settings) []component {
	const own = "ldm-mac"
	parts := []component{h.unet.component(class, c), h.stage.component(class, c), scheduler(c)}
	switch h.cond.kind {
	case bertCond:
		parts = append(parts, component{"bert", "latent_diffusion", "LDMBertModel", "config.json", h.cond.bert()})
		if class == textToImage {
			parts = append(parts, component{name: "tokenizer", library: "transformers", class: "BertTokenizer"})
		}
	case clipCond, openCLIPCond:
		parts = append(parts,
			component{"text_encoder", "transformers", "CLIPTextModel", "config.json", h.cond.clip(c)},
			component{name: "tokenizer", library: "transformers", class: "CLIPTokenizer"})
	case classCond:
		parts = append(parts, component{"class_embedder", own, "ClassEmbedder", "config.json",
			object{"num_classes": h.cond.in, "embed_dim": h.cond.out}})
	case rescaleCond:
		o := object{"n_stages": h.stage.stages(), "in_channels": h.cond.in, "out_channels": h.cond.out}
		if c.resize != "" {
			o["method"] = c.resize
		}
		if c.resizeBy != 0 {
			o["multiplier"] = c.resizeBy
		}
		parts = append(parts, component{"rescaler", own, "SpatialRescaler", "config.json", o})
	}
	if class == stableUpscale {
		parts = append(parts, component{"low_res_scheduler", "diffusers", "DDPMScheduler", "scheduler_config.json", object{
			"beta_start": c.noiseStart, "beta_end": c.noiseEnd, "beta_schedule": "scaled_linear",
			"num_train_timesteps": 1000, "clip_sample": true, "variance_type": "fixed_small", "prediction_type": "epsilon",
		}})
	}
	return parts
}

// scheduler is CompVis' DDIM as diffusers calls it (ddim.py: steps counted from 1, the last one ends
// at the first step of training).
func scheduler(c *settings) component {
	o := object{
		"beta_start": c.betaStart, "beta_end": c.betaEnd, "beta_schedule": "scaled_linear", "num_train_timesteps": c.steps,
		"clip_sample": false, "set_alpha_to_one": false, "steps_offset": 1, "timestep_spacing": "leading",
		"prediction_type": c.prediction,
	}
	if c.zeroSNR {
		o["rescale_betas_zero_snr"] = true
	}
	return component{"scheduler", "diffusers", "DDIMScheduler", "scheduler_config.json", o}
}

// component is the U-Net. A fixed number of heads is attention_head_dim in a UNet2DConditionModel,
// in spite of the name; in a UNet2DModel that is the size of a head.
func (u *unetShape) component(class string, c *settings) component {
	o := object{
		"in_channels": u.in, "out_channels": u.out, "block_out_channels": u.channels, "layers_per_block": u.layers,
		"act_fn": "silu", "center_input_sample": false, "downsample_padding": 1, "flip_sin_to_cos": true, "freq_shift": 0,
		"mid_block_scale_factor": 1, "norm_eps": 1e-5, "norm_num_groups": 32, "resnet_time_scale_shift": "default",
	}
	if u.scaleShift {
		o["resnet_time_scale_shift"] = "scale_shift"
	}
	if c.sampleSize > 0 {
		o["sample_size"] = c.sampleSize
	}
	var down, up []string
	for level := range u.channels {
		kind := map[bool]string{true: "Attn", false: ""}[u.attention[level]]
		switch {
		case u.transformer && u.attention[level]:
			kind = "CrossAttn"
		case u.updown && !u.attention[level]:
			down, up = append(down, "ResnetDownsampleBlock2D"), append(up, "ResnetUpsampleBlock2D")
			continue
		}
		down, up = append(down, kind+"DownBlock2D"), append(up, kind+"UpBlock2D")
	}
	slices.Reverse(up)
	o["down_block_types"], o["up_block_types"] = down, up
	if !u.transformer {
		o["add_attention"], o["mid_block_type"] = true, "UNetMidBlock2D"
		o["attn_norm_num_groups"] = 32 // which diffusers leaves out of the middle with scale_shift
		o["downsample_type"], o["upsample_type"] = "conv", "conv"
		if u.updown {
			o["downsample_type"], o["upsample_type"] = "resnet", "resnet"
		}
		if c.headSize > 0 {
			o["attention_head_dim"] = c.headSize
		} else {
			o["num_attention_heads"] = c.heads
		}
		return component{"unet", "diffusers", "UNet2DModel", "config.json", o}
	}
	o["mid_block_type"], o["cross_attention_dim"] = "UNetMidBlock2DCrossAttn", u.context
	o["transformer_layers_per_block"], o["use_linear_projection"] = u.depth, u.linear
	o["attention_head_dim"] = c.heads
	if c.headSize > 0 {
		heads := make([]int, len(u.channels))
		for level := range heads {
			heads[level] = c.numHeads(u, level)
		}
		o["attention_head_dim"] = heads
	}
	if slices.Contains(c.onlyCross, true) {
		o["only_cross_attention"] = c.onlyCross
	}
	if u.classes > 0 {
		o["num_class_embeds"] = u.classes
	}
	return component{"unet", "diffusers", "UNet2DConditionModel", "config.json", o}
}

func (f *stageShape) component(class string, c *settings) component {
	o := object{
		"in_channels": f.in, "out_channels": f.out, "latent_channels": f.z, "block_out_channels": f.channels,
		"layers_per_block": f.layers, "act_fn": "silu", "norm_num_groups": 32, "scaling_factor": c.scale,
		"mid_block_add_attention": f.midAttention,
	}
	if c.sampleSize > 0 {
		o["sample_size"] = c.sampleSize * f.factor()
	}
	types := func(attention []bool, plain, attends string) []string {
		var out []string
		for _, a := range attention {
			out = append(out, map[bool]string{false: plain, true: attends}[a])
		}
		return out
	}
	up := types(f.upAttention, "UpDecoderBlock2D", "AttnUpDecoderBlock2D")
	slices.Reverse(up)
	o["down_block_types"], o["up_block_types"] = types(f.downAttention, "DownEncoderBlock2D", "AttnDownEncoderBlock2D"), up
	if f.codes > 0 {
		o["num_vq_embeddings"], o["vq_embed_dim"], o["norm_type"], o["lookup_from_codebook"] = f.codes, f.codeDim, "group", false
		return component{stageName(class), "diffusers", "VQModel", "config.json", o}
	}
	return component{stageName(class), "diffusers", "AutoencoderKL", "config.json", o}
}

// bertHeads is the number of heads of every BERTEmbedder (x_transformer.py, Attention).
const bertHeads = 8

func (c *condShape) bert() object {
	return object{
		"architectures": []string{"LDMBertModel"}, "model_type": "ldmbert", "vocab_size": c.vocabulary,
		"max_position_embeddings": c.positions, "encoder_layers": c.layers, "encoder_ffn_dim": c.inner,
		"encoder_attention_heads": bertHeads, "head_dim": c.heads / bertHeads, "activation_function": "gelu",
		"d_model": c.width, "scale_embedding": false, "pad_token_id": 0,
	}
}

// clipHead is the number of channels in each head of every CLIP text encoder.
const clipHead = 64

func (c *condShape) clip(s *settings) object {
	layers, activation, pad := c.layers, "quick_gelu", c.vocabulary-1
	if c.kind == openCLIPCond {
		activation, pad = "gelu", 0
		if s.penultimate {
			layers--
		}
	}
	return object{
		"architectures": []string{"CLIPTextModel"}, "model_type": "clip_text_model", "vocab_size": c.vocabulary,
		"max_position_embeddings": c.positions, "hidden_size": c.width, "intermediate_size": c.inner,
		"num_hidden_layers": layers, "num_attention_heads": c.heads / clipHead, "hidden_act": activation,
		"layer_norm_eps": 1e-5, "bos_token_id": c.vocabulary - 2, "eos_token_id": c.vocabulary - 1, "pad_token_id": pad,
	}
}
