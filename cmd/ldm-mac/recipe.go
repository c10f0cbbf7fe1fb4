package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"

	"ldm-mac/ldm/imageio"
	"ldm-mac/ldm/pipeline"
	"ldm-mac/ldm/sampler"
)

// recipeKeyword is the PNG keyword of the text that holds a recipe as JSON.
const recipeKeyword = "ldm-mac"

// recipeVersion is the number of the format of recipes.
const recipeVersion = 1

// recipe is everything that decides a picture, and nothing that differs between two runs that
// make it.
type recipe struct {
	Version         int             `json:"version"`
	Prompt          string          `json:"prompt"`
	NegativePrompt  string          `json:"negative_prompt"`
	ClipSkip        int             `json:"clip_skip,omitempty"`
	Class           string          `json:"class,omitempty"`
	Boxes           []string        `json:"boxes,omitempty"`
	Segmentation    *recipeFile     `json:"segmentation,omitempty"`
	Image           *recipeFile     `json:"image,omitempty"` // to begin with
	Strength        float64         `json:"strength,omitempty"`
	Mask            *recipeFile     `json:"mask,omitempty"`
	InvertMask      bool            `json:"invert_mask,omitempty"`
	MaskBlur        float64         `json:"mask_blur,omitempty"` // in pixels
	KeepUnmasked    bool            `json:"keep_unmasked,omitempty"`
	Scale           int             `json:"scale,omitempty"` // of upscale
	NoiseLevel      int             `json:"noise_level,omitempty"`
	Seed            uint64          `json:"seed"`
	Width           int             `json:"width"`
	Height          int             `json:"height"`
	Steps           int             `json:"steps"`
	Sampler         string          `json:"sampler"`
	OwnSampler      bool            `json:"own_sampler"` // configured exactly as the model says, not by the name's rules
	Eta             float64         `json:"eta"`
	GuidanceScale   float64         `json:"guidance_scale"`
	GuidanceRescale float64         `json:"guidance_rescale,omitempty"`
	RNG             string          `json:"rng"`
	Convention      string          `json:"convention,omitempty"` // empty in pictures that this program made before it had any
	Tiling          pipeline.Tiling `json:"tiling,omitzero"`
	Model           recipeModel     `json:"model"`
	Backend         string          `json:"backend"`
	DType           string          `json:"dtype"`           // of stored numbers, f32 or f16
	Noise           *recipeNoise    `json:"noise,omitempty"` // nil where the seed makes the noise
}

type recipeModel struct {
	Name   string `json:"name"`
	Path   string `json:"path"`   // empty for the embedded model
	SHA256 string `json:"sha256"` // see model.hash
}

type recipeNoise struct {
	File   string `json:"file"`
	SHA256 string `json:"sha256"`
	Tensor string `json:"tensor,omitempty"` // of latents to go on from; empty for noise
	Index  int    `json:"index"`            // of the picture's noise in the file's
}

// command is the name of the command that makes such pictures.
func (r *recipe) command() string {
	switch {
	case r.Scale > 0:
		return "upscale"
	case r.Mask != nil:
		return "inpaint"
	case r.Image != nil:
		return "img2img"
	}
	return "run"
}

// texts are the PNG texts that carry the recipe.
func (r *recipe) texts() ([]imageio.Text, error) {
	exact, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return []imageio.Text{
		{Keyword: imageio.ParametersKeyword, Value: r.parameters().String()},
		{Keyword: recipeKeyword, Value: string(exact)},
	}, nil
}

// randomSources are the web UI's names ("RNG", modules/rng.py) of the generators that it has.
var randomSources = map[string]string{"torch": "CPU", "cuda": "NV"}

// parameters are what other programs can read of a recipe.
func (r *recipe) parameters() imageio.Parameters {
	label, ok := imageio.SamplerLabel(r.Sampler)
	if !ok {
		label = r.Sampler
	}
	plain := strings.NewReplacer("\x00", "") // which a PNG text cannot hold
	p := imageio.Parameters{
		Prompt: plain.Replace(r.title()), NegativePrompt: plain.Replace(r.NegativePrompt), Steps: r.Steps, Sampler: label,
		GuidanceScale: r.GuidanceScale, Seed: int64(r.Seed), Width: r.Width, Height: r.Height,
		ModelHash: r.Model.SHA256[:min(len(r.Model.SHA256), 10)], Model: r.Model.Name, Eta: r.Eta,
		Version: "ldm-mac " + version,
	}
	if source := randomSources[r.RNG]; source != "" {
		p.Extra = append(p.Extra, imageio.Pair{Key: "RNG", Value: source})
	}
	return p
}

// origin is the recipe of an existing picture. Of those that other programs made, fields may be
// zero because they are unknown.
type origin struct {
	recipe
	randomSeed bool
	notes      []string // what was not understood
}

// readOrigin reads a recipe from the PNG at path.
func readOrigin(path string) (*origin, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, inputError(fmt.Errorf("--from: %w", err))
	}
	defer file.Close()
	texts, err := imageio.ReadText(file)
	if err != nil {
		return nil, inputError(fmt.Errorf("--from %s: %w", path, err))
	}
	o, err := parseOrigin(texts)
	if err != nil {
		return nil, inputError(fmt.Errorf("--from %s: %w", path, err))
	}
	return o, nil
}

// parseOrigin takes the exact recipe, or else what parameters of other programs say.
func parseOrigin(texts []imageio.Text) (*origin, error) {
	for _, t := range texts {
		if t.Keyword != recipeKeyword {
			continue
		}
		o := &origin{}
		if err := json.Unmarshal([]byte(t.Value), &o.recipe); err != nil {
			return nil, fmt.Errorf("the text %q: %w", recipeKeyword, err)
		}
		if o.Version != recipeVersion {
			return nil, fmt.Errorf("the text %q has version %d, want %d", recipeKeyword, o.Version, recipeVersion)
		}
		if o.Seed > math.MaxInt64 {
			return nil, fmt.Errorf("the text %q has the seed %d, want at most %d", recipeKeyword, o.Seed, int64(math.MaxInt64))
		}
		return o, nil
	}
	for _, t := range texts {
		if t.Keyword == imageio.ParametersKeyword {
			p, err := imageio.ParseParameters(t.Value)
			if err != nil {
				return nil, err
			}
			return foreignOrigin(p), nil
		}
	}
	return nil, fmt.Errorf("holds no parameters: no text %q or %q", recipeKeyword, imageio.ParametersKeyword)
}

// foreignOrigin is what this program can take from the parameters of another.
func foreignOrigin(p imageio.Parameters) *origin {
	o := &origin{recipe: recipe{
		Prompt: p.Prompt, NegativePrompt: p.NegativePrompt, Seed: uint64(max(p.Seed, 0)),
		Width: p.Width, Height: p.Height, Steps: p.Steps, Eta: p.Eta, GuidanceScale: p.GuidanceScale,
		RNG: "cuda", // the numbers of the web UI's default, a graphics card
	}, randomSeed: p.Seed < 0}
	o.notes = append(o.notes, "made by another program: its parameters are taken as far as they go")
	schedule := ""
	var unknown []string
	for _, extra := range p.Extra {
		switch {
		case extra.Key == "Schedule type":
			schedule = extra.Value
		case extra.Key == "RNG" && extra.Value == randomSources["torch"]:
			o.RNG = "torch"
		case extra.Key == "RNG":
		default:
			unknown = append(unknown, extra.Key)
		}
	}
	name, ok := imageio.SamplerName(p.Sampler, schedule)
	switch {
	case ok && sampler.Describe(name) != "":
		o.Sampler = name
	case p.Sampler != "":
		unknown = append(unknown, "Sampler")
	}
	if p.Model != "" || p.ModelHash != "" {
		o.notes = append(o.notes, fmt.Sprintf("made with the model %q (hash %q), of which no path is known; give one with --model", p.Model, p.ModelHash))
	}
	if len(unknown) > 0 {
		o.notes = append(o.notes, "passed over: "+strings.Join(unknown, ", "))
	}
	return o
}
