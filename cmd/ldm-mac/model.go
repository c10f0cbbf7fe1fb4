package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/emoji"
	"ldm-mac/ldm/pipeline"
	"ldm-mac/ldm/tensor"
)

// model is a loaded pipeline and what users know it by.
type model struct {
	*pipeline.Pipeline
	name  string
	files fs.FS

	steps         int // where the user gives no number
	guidanceScale float64
}

// Settings for models that come without any.
const (
	defaultSteps = 50  // diffusers, pipeline_latent_diffusion.py
	defaultScale = 5.0 // CompVis latent-diffusion, scripts/txt2img.py
)

func modelFlag() cli.Flag {
	return &cli.StringFlag{Name: "model", Aliases: []string{"m"}, Category: "Model", EnvVars: []string{"LDM_MAC_MODEL"},
		Usage: "`FOLDER` model in the diffusers layout", DefaultText: "the built-in " + emoji.Name + " model"}
}

// modelName is the name of the model at path.
func modelName(path string) string {
	if path == "" {
		return emoji.Name
	}
	if full, err := filepath.Abs(path); err == nil {
		return filepath.Base(full)
	}
	return filepath.Base(path)
}

// openModel loads the model at path, or the embedded one for the empty path. The caller closes it.
func openModel(backend tensor.Backend, path string) (*model, error) {
	m := &model{name: modelName(path), steps: defaultSteps, guidanceScale: defaultScale}
	var folder *checkpoint.Folder
	var err error
	if path == "" {
		m.steps, m.guidanceScale, m.files = emoji.Steps, emoji.GuidanceScale, emoji.FS()
		folder, err = checkpoint.OpenFolderFS(emoji.Name, m.files)
	} else {
		m.files = os.DirFS(path)
		folder, err = checkpoint.OpenFolder(path)
	}
	if err != nil {
		return nil, err
	}
	if m.Pipeline, err = pipeline.Load(backend, folder); err != nil {
		return nil, err
	}
	return m, nil
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
		file, err := m.files.Open(name)
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
