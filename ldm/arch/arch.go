// Package arch writes published architectures as model folders with random weights, so that
// speed, memory and loading can be measured at full size with nothing downloaded.
package arch

import (
	"encoding/json"
	"fmt"
	"strings"

	"ldm-mac/ldm/cond"
	"ldm-mac/ldm/firststage"
	"ldm-mac/ldm/unet"
)

// architecture is a text-to-image system.
type architecture struct {
	name, about string
	unet        unet.Config
	vae         firststage.Config
	bert        cond.BERTConfig
}

// architectures are all that WriteRandom knows.
var architectures = []architecture{txt2imgLarge()}

// txt2imgLarge is the paper's text-to-image model with 1.45 billion parameters (CompVis
// latent-diffusion, configs/latent-diffusion/txt2img-1p4B-eval.yaml; on the Hugging Face Hub
// CompVis/ldm-text2im-large-256).
func txt2imgLarge() architecture {
	a := architecture{
		name:  "txt2img-large",
		about: "the paper's text-to-image model: U-Net 872 M, text encoder 543 M, first stage 84 M parameters",
		unet:  unet.DefaultConfig(), vae: firststage.DefaultConfig(), bert: cond.DefaultBERTConfig(),
	}
	a.unet.ClassName, a.unet.SampleSize = "UNet2DConditionModel", 32
	a.vae.ClassName, a.vae.SampleSize, a.vae.LayersPerBlock = "AutoencoderKL", 256, 2
	a.vae.BlockOutChannels = []int{128, 256, 512, 512}
	for len(a.vae.DownBlockTypes) < len(a.vae.BlockOutChannels) {
		a.vae.DownBlockTypes = append(a.vae.DownBlockTypes, a.vae.DownBlockTypes[0])
		a.vae.UpBlockTypes = append(a.vae.UpBlockTypes, a.vae.UpBlockTypes[0])
	}
	a.bert.Architectures = []string{"LDMBertModel"}
	return a
}

// Names lists the architectures.
func Names() []string {
	var names []string
	for _, a := range architectures {
		names = append(names, a.name)
	}
	return names
}

// Describe is one line about an architecture, "" for an unknown one.
func Describe(name string) string {
	a, _ := find(name)
	return a.about
}

func find(name string) (architecture, error) {
	for _, a := range architectures {
		if a.name == name {
			return a, nil
		}
	}
	return architecture{}, fmt.Errorf("arch: %q is unknown, want one of %q", name, Names())
}

// Networks are the configurations of an architecture's networks.
type Networks struct {
	UNet       unet.Config
	FirstStage firststage.Config
}

// Find returns the networks of the named architecture: one of Names, or stable-diffusion-1.5, whose
// text encoder this program does not have.
func Find(name string) (Networks, error) {
	a, err := find(name)
	if name == stableDiffusion {
		a, err = txt2imgLarge(), nil
		a.unet.CrossAttentionDim, a.unet.SampleSize = unet.PerLevel{768}, 64
	}
	return Networks{a.unet, a.vae}, err
}

// stableDiffusion has the networks of txt2img-large but for the width of its text encoder (CompVis
// stable-diffusion, configs/stable-diffusion/v1-inference.yaml).
const stableDiffusion = "stable-diffusion-1.5"

// scheduler is the noise schedule of the published model.
const scheduler = `{
  "_class_name": "DDIMScheduler",
  "beta_start": 0.00085,
  "beta_end": 0.012,
  "beta_schedule": "scaled_linear",
  "clip_sample": false,
  "num_train_timesteps": 1000,
  "set_alpha_to_one": false,
  "steps_offset": 1
}
`

const modelIndex = `{
  "_class_name": "LDMTextToImagePipeline",
  "bert": ["latent_diffusion", "LDMBertModel"],
  "scheduler": ["diffusers", "DDIMScheduler"],
  "tokenizer": ["transformers", "BertTokenizer"],
  "unet": ["diffusers", "UNet2DConditionModel"],
  "vqvae": ["diffusers", "AutoencoderKL"]
}
`

// texts are the small files of the folder by name.
func (a *architecture) texts() (map[string]string, error) {
	files := map[string]string{
		"model_index.json":                modelIndex,
		"scheduler/scheduler_config.json": scheduler,
		"tokenizer/tokenizer_config.json": "{\"do_lower_case\": true}\n",
		"tokenizer/vocab.txt":             vocabulary(a.bert.VocabSize),
	}
	for name, config := range map[string]any{"unet": a.unet, "vqvae": a.vae, "bert": a.bert} {
		data, err := json.MarshalIndent(config, "", "  ")
		if err != nil {
			return nil, err
		}
		files[name+"/config.json"] = string(data) + "\n"
	}
	return files, nil
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
