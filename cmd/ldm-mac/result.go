package main

import (
	"time"

	"ldm-mac/ldm/pipeline"
)

// result is what --json prints about a run.
type result struct {
	Version        int              `json:"version"` // of this format
	Images         []imageResult    `json:"images"`
	Prompt         string           `json:"prompt"`
	NegativePrompt string           `json:"negative_prompt"`
	Model          modelResult      `json:"model"`
	Sampler        string           `json:"sampler"`
	Steps          int              `json:"steps"`
	GuidanceScale  float64          `json:"guidance_scale"`
	Eta            float64          `json:"eta"`
	RNG            string           `json:"rng"`
	Backend        string           `json:"backend"`
	DType          string           `json:"dtype"` // of stored numbers
	Latents        string           `json:"latents,omitempty"`
	Timings        map[string]int64 `json:"timings"` // in milliseconds
	Warnings       []string         `json:"warnings"`

	encoding time.Duration
}

type imageResult struct {
	Path     string `json:"path"`
	Seed     uint64 `json:"seed"`
	Width    int    `json:"width"`
	Height   int    `json:"height"`
	SHA256   string `json:"sha256"`      // of the file
	Duration int64  `json:"duration_ms"` // since the picture before, or the start
}

type modelResult struct {
	Name   string `json:"name"`
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
}

func (r *result) add(p pipeline.Picture, path, hash string, took time.Duration) {
	size := p.Image.Bounds().Size()
	r.Images = append(r.Images, imageResult{path, p.Seed, size.X, size.Y, hash, took.Milliseconds()})
}

// fill completes the result of a finished run.
func (r *result) fill(g *generation, timings pipeline.Timings) {
	s := &g.recipe
	r.Version = 1
	r.Prompt, r.NegativePrompt = s.Prompt, s.NegativePrompt
	r.Model = modelResult(s.Model)
	r.Sampler, r.Steps, r.GuidanceScale, r.Eta, r.RNG = s.Sampler, s.Steps, s.GuidanceScale, s.Eta, s.RNG
	r.Backend, r.DType = s.Backend, s.DType
	r.Timings = map[string]int64{
		"load_ms": timings[pipeline.StageLoad].Milliseconds(), "text_ms": timings[pipeline.StageText].Milliseconds(),
		"unet_ms": timings[pipeline.StageSample].Milliseconds(), "vae_ms": timings[pipeline.StageDecode].Milliseconds(),
		"encode_ms": r.encoding.Milliseconds(),
	}
	r.Warnings = g.report.warnings
}
