package arch

import (
	"encoding/json"
	"slices"
	"strings"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/cond"
	"ldm-mac/ldm/firststage"
	"ldm-mac/ldm/unet"
)

// part is a component of a folder: its class as model_index.json has it, its config, and its
// network, or nil.
type part struct {
	library, class string
	config         any
	file           string // of the config
	weights        string
	model          any
}

// Names of files, as diffusers and transformers have them.
const (
	configFile         = "config.json"
	schedulerFile      = "scheduler_config.json"
	diffusersWeights   = "diffusion_pytorch_model.safetensors"
	transformerWeights = "model.safetensors"
)

// own is the library of the components that diffusers does not have.
const own = "ldm-mac"

// parts are the components by the names of their folders.
func (a *architecture) parts() (map[string]part, error) {
	n := &a.networks
	u, err := unet.New(&n.UNet)
	if err != nil {
		return nil, err
	}
	v, err := firststage.New(&n.FirstStage)
	if err != nil {
		return nil, err
	}
	parts := map[string]part{
		"unet":         {"diffusers", n.UNet.ClassName, n.UNet, configFile, diffusersWeights, u},
		a.firstStage(): {"diffusers", n.FirstStage.ClassName, n.FirstStage, configFile, diffusersWeights, v},
		"scheduler":    a.scheduler(),
	}
	if a.lowRes {
		parts["low_res_scheduler"] = lowResScheduler()
	}
	if a.tokenizer != "" {
		parts["tokenizer"] = part{library: "transformers", class: a.tokenizer, file: "tokenizer_config.json", config: a.tokenizerConfig()}
	}
	return parts, a.addConditions(parts)
}

// addConditions adds what makes the conditions.
func (a *architecture) addConditions(parts map[string]part) error {
	if a.bert != nil {
		b, err := cond.NewBERT(a.bert)
		if err != nil {
			return err
		}
		parts["bert"] = part{"latent_diffusion", "LDMBertModel", a.bert, configFile, transformerWeights, b}
	}
	if a.clip != nil {
		c, err := cond.NewCLIP(a.clip)
		if err != nil {
			return err
		}
		parts["text_encoder"] = part{"transformers", "CLIPTextModel", a.clip, configFile, transformerWeights, c}
	}
	if a.classes != nil {
		e, err := cond.NewClassEmbedder(a.classes)
		if err != nil {
			return err
		}
		parts["class_embedder"] = part{own, "ClassEmbedder", a.classes, configFile, diffusersWeights, e}
	}
	if a.rescaler != nil {
		r, err := cond.NewRescaler(a.rescaler)
		if err != nil {
			return err
		}
		parts["rescaler"] = part{own, "SpatialRescaler", a.rescaler, configFile, diffusersWeights, r}
	}
	return nil
}

// firstStage is the name of its folder.
func (a *architecture) firstStage() string {
	if a.stable() {
		return "vae"
	}
	return "vqvae"
}

// stable reports whether the system is one of Stable Diffusion.
func (a *architecture) stable() bool { return strings.HasPrefix(a.class, "StableDiffusion") }

// scheduler is the noise schedule of training and the sampler, both counted as CompVis does: steps
// from 1, the last one to the first of training.
func (a *architecture) scheduler() part {
	class, config := "DDIMScheduler", map[string]any{
		"beta_start": a.betas[0], "beta_end": a.betas[1], "beta_schedule": "scaled_linear", "clip_sample": false,
		"num_train_timesteps": 1000, "set_alpha_to_one": false, "steps_offset": 1, "prediction_type": "epsilon",
	}
	if a.plms {
		class, config["skip_prk_steps"] = "PNDMScheduler", true
		delete(config, "clip_sample")
	}
	if a.velocity {
		config["prediction_type"] = "v_prediction"
	}
	config["_class_name"] = class
	return part{library: "diffusers", class: class, file: schedulerFile, config: config}
}

// lowResScheduler is that of the noise in the small picture (Stability-AI stablediffusion,
// configs/stable-diffusion/x4-upscaling.yaml).
func lowResScheduler() part {
	const class = "DDPMScheduler"
	return part{library: "diffusers", class: class, file: schedulerFile, config: map[string]any{
		"_class_name": class, "beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "scaled_linear", "clip_sample": true,
		"num_train_timesteps": 1000, "prediction_type": "epsilon", "variance_type": "fixed_small",
	}}
}

// texts are the small files of the folder by name.
func (a *architecture) texts(parts map[string]part) (map[string]string, error) {
	index, files := map[string]any{"_class_name": a.class}, map[string]any{}
	for name, p := range parts {
		index[name] = []string{p.library, p.class}
		files[name+"/"+p.file] = p.config
	}
	if slices.Contains(ofCompVis, a.class) {
		index["_convention"] = checkpoint.CompVis
	}
	if a.stable() { // diffusers asks for these components, or their absence
		index["safety_checker"], index["feature_extractor"], index["requires_safety_checker"] = [2]any{}, [2]any{}, false
	}
	if a.lowRes {
		index["max_noise_level"] = 350 // Stability-AI stablediffusion, configs/stable-diffusion/x4-upscaling.yaml
	}
	files["model_index.json"] = index
	texts := map[string]string{}
	for name, content := range files {
		data, err := json.MarshalIndent(content, "", "  ")
		if err != nil {
			return nil, err
		}
		texts[name] = string(data) + "\n"
	}
	return texts, a.addVocabulary(texts)
}
