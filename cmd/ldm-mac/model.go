package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/compvis"
	"ldm-mac/ldm/emoji"
	"ldm-mac/ldm/pipeline"
	"ldm-mac/ldm/tensor"
)

// model is a loaded pipeline and what users know it by.
type model struct {
	*pipeline.Pipeline
	name   string
	folder *checkpoint.Folder
}

// defaults are settings where the user gives none.
type defaults struct {
	steps              int
	guidanceScale, eta float64
}

// Settings for models that come without any.
const (
	defaultSteps = 50  // diffusers, pipeline_latent_diffusion.py
	defaultScale = 5.0 // CompVis latent-diffusion, scripts/txt2img.py
)

// defaults are those of the model's original program.
func (m *model) defaults() defaults {
	d := defaults{defaultSteps, 1, 0}
	switch {
	case m.folder.Path() == emoji.Name:
		d.steps, d.guidanceScale = emoji.Steps, emoji.GuidanceScale
	case m.Class() == "LDMTextToImagePipeline":
		d.guidanceScale = defaultScale
	case m.Task() == pipeline.TextToImage:
		d.guidanceScale = 7.5 // diffusers, pipeline_stable_diffusion.py
	case m.Class() == "StableDiffusionUpscalePipeline":
		d.steps, d.guidanceScale = 75, 9 // diffusers, pipeline_stable_diffusion_upscale.py
	case m.Task() == pipeline.SuperResolution:
		d.steps, d.eta = 100, 1 // diffusers, pipeline_latent_diffusion_superresolution.py; eta: CompVis, notebook_helpers.py
	case m.Task() == pipeline.ClassToImage && m.Guidable():
		d.guidanceScale = 3 // CompVis latent-diffusion, scripts/latent_imagenet_diffusion.ipynb
	case m.Task() == pipeline.Unconditional:
		d.eta = 1 // CompVis latent-diffusion, scripts/sample_diffusion.py
	}
	return d
}

func modelFlag() cli.Flag {
	return &cli.StringFlag{Name: "model", Aliases: []string{"m"}, Category: "Model", EnvVars: []string{"LDM_MAC_MODEL"},
		Usage: "`PATH` model: a folder in the diffusers layout, or an original .ckpt or .safetensors file", DefaultText: "the built-in " + emoji.Name + " model"}
}

// modelName is the name of the model at path.
func modelName(path string) string {
	if path == "" {
		return emoji.Name
	}
	if full, err := filepath.Abs(path); err == nil {
		path = full
	}
	return strings.TrimSuffix(strings.TrimSuffix(filepath.Base(path), ".ckpt"), ".safetensors")
}

// openFolder opens the model at path, or the embedded one for the empty path, without its weights.
func openFolder(path string) (*checkpoint.Folder, error) {
	if path == "" {
		return checkpoint.OpenFolderFS(emoji.Name, emoji.FS())
	}
	if _, err := os.Stat(path); err == nil && !isFolderOfDiffusers(path) {
		return compvis.Open(path, compvis.Options{})
	}
	return checkpoint.OpenFolder(path)
}

// isFolderOfDiffusers reports whether path is a model in the diffusers layout.
func isFolderOfDiffusers(path string) bool {
	_, err := os.Stat(filepath.Join(path, "model_index.json"))
	return err == nil
}

// openModel loads the model of a folder. The caller closes it.
func openModel(backend tensor.Backend, folder *checkpoint.Folder, path string) (*model, error) {
	p, err := pipeline.Load(backend, folder)
	if err != nil {
		return nil, err
	}
	return &model{p, modelName(path), folder}, nil
}

// hash is the SHA-256 of the U-Net's weight file in hexadecimal, by which the field's programs
// tell models apart; of shards, that of their contents in the order of their names.
func (m *model) hash(ctx context.Context) (string, error) {
	names, err := m.WeightFiles("unet")
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, name := range names {
		file, err := m.folder.OpenFile(name)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(sum, contextReader{ctx, file})
		file.Close()
		if err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// contextReader fails when its context has ended.
type contextReader struct {
	ctx context.Context
	io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
