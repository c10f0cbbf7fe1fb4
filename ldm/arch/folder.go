package arch

import (
	"encoding/json"
	"fmt"
	"strings"

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

// parts are the components by the names of their folders.
func (a *architecture) parts() (map[string]part, error) {
	if a.missing != "" {
		return nil, fmt.Errorf("arch: the %s of %s cannot be written", a.missing, a.name)
	}
	n := &a.networks
	u, err := unet.New(&n.UNet)
	if err != nil {
		return nil, err
	}
	v, err := firststage.New(&n.FirstStage)
	if err != nil {
		return nil, err
	}
	const weights = "diffusion_pytorch_model.safetensors"
	parts := map[string]part{
		"unet":  {"diffusers", n.UNet.ClassName, n.UNet, "config.json", weights, u},
		"vqvae": {"diffusers", n.FirstStage.ClassName, n.FirstStage, "config.json", weights, v},
		"scheduler": {library: "diffusers", class: "DDIMScheduler", file: "scheduler_config.json", config: map[string]any{
			"_class_name": "DDIMScheduler", "beta_start": a.betas[0], "beta_end": a.betas[1], "beta_schedule": "scaled_linear",
			"clip_sample": false, "num_train_timesteps": 1000, "set_alpha_to_one": false, "steps_offset": 1,
		}},
	}
	if a.bert != nil {
		b, err := cond.NewBERT(a.bert)
		if err != nil {
			return nil, err
		}
		parts["bert"] = part{"latent_diffusion", "LDMBertModel", a.bert, "config.json", "model.safetensors", b}
	}
	if a.classes != nil {
		e, err := cond.NewClassEmbedder(a.classes)
		if err != nil {
			return nil, err
		}
		parts["class_embedder"] = part{"latent_diffusion", "ClassEmbedder", a.classes, "config.json", weights, e}
	}
	if a.rescaler != nil {
		r, err := cond.NewRescaler(a.rescaler)
		if err != nil {
			return nil, err
		}
		parts["rescaler"] = part{"latent_diffusion", "SpatialRescaler", a.rescaler, "config.json", weights, r}
	}
	if a.tokenizer {
		parts["tokenizer"] = part{library: "transformers", class: "BertTokenizer", file: "tokenizer_config.json",
			config: map[string]any{"do_lower_case": true}}
	}
	return parts, nil
}

// texts are the small files of the folder by name.
func (a *architecture) texts(parts map[string]part) (map[string]string, error) {
	index, files := map[string]any{"_class_name": a.class}, map[string]any{}
	for name, p := range parts {
		index[name] = []string{p.library, p.class}
		files[name+"/"+p.file] = p.config
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
	if a.tokenizer {
		texts["tokenizer/vocab.txt"] = vocabulary(a.bert.VocabSize)
	}
	return texts, nil
}

// vocabulary has the special tokens of bert-base-uncased in their places, then single characters,
// so that any English prompt has tokens; the rest is unused.
func vocabulary(size int) string {
	pieces := make([]string, size)
	for i := range pieces {
		pieces[i] = fmt.Sprintf("[unused%d]", i)
	}
	pieces[0] = "[PAD]"
	copy(pieces[100:], []string{"[UNK]", "[CLS]", "[SEP]", "[MASK]"})
	next := 104
	for c := '!'; c <= '~'; c++ {
		pieces[next], pieces[next+1] = string(c), "##"+string(c)
		next += 2
	}
	return strings.Join(pieces, "\n") + "\n"
}
