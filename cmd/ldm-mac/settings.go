package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"ldm-mac/ldm/emoji"
	"ldm-mac/ldm/pipeline"
	"ldm-mac/ldm/rng"
	"ldm-mac/ldm/sampler"
)

func requestFlags() []cli.Flag {
	const group = "Picture"
	model := "the model's"
	return []cli.Flag{
		&cli.IntFlag{Name: "steps", Category: group, Usage: "`N` sampling steps", DefaultText: fmt.Sprintf("%d, with --model %d", emoji.Steps, defaultSteps)},
		&cli.Float64Flag{Name: "guidance-scale", Aliases: []string{"g", "cfg-scale", "scale"}, Category: group,
			Usage: "`X` how strongly to follow the prompt; 1 is no guidance", DefaultText: fmt.Sprintf("%g, with --model %g", emoji.GuidanceScale, defaultScale)},
		&cli.StringSliceFlag{Name: "seed", Aliases: []string{"s"}, Category: group, Usage: "`N` number that decides the noise, -1 for a random one; may be repeated", DefaultText: "-1"},
		&cli.IntFlag{Name: "count", Aliases: []string{"c", "batch-count", "n_samples"}, Category: group,
			Usage: "`N` pictures for each seed: of seed, seed+1, …", DefaultText: "1"},
		&cli.IntFlag{Name: "batch-size", Category: group, Usage: "`N` pictures sampled together, for more memory and the same results", Value: 1},
		&cli.IntFlag{Name: "width", Aliases: []string{"W"}, Category: group, Usage: "`PIXELS` of the picture", DefaultText: model},
		&cli.IntFlag{Name: "height", Aliases: []string{"H"}, Category: group, Usage: "`PIXELS` of the picture", DefaultText: model},
		&cli.StringFlag{Name: "size", Category: group, Usage: "`WxH` width and height together", DefaultText: model},
		&cli.StringFlag{Name: "sampler", Aliases: []string{"scheduler"}, Category: group, Usage: "`NAME` a name of the list above", DefaultText: model},
		&cli.Float64Flag{Name: "eta", Category: group, Usage: "`X` noise that ddim adds: 0 is none, 1 is as much as ddpm", DefaultText: "0"},
		&cli.StringFlag{Name: "rng", Category: group, Usage: "`NAME` random generator: torch, numpy, or cuda for torch's on a graphics card", DefaultText: "torch"},
		&cli.StringFlag{Name: "latents", Category: group, Usage: "`FILE` safetensors file with the tensor noise [n, c, h, w] to start from"},
		&cli.StringFlag{Name: "from", Category: group, Usage: "`IMAGE` picture to make again; flags override what it says"},
	}
}

// settings are what the user asks for, before and after the model has filled in what is left
// open.
type settings struct {
	flags  *cli.Context
	recipe recipe // of all pictures: without a seed and the place in the noise
	seeds  []uint64
	random []int64 // seeds that were drawn, of which others are counted on
	noise  *noise  // nil where the seeds make it
	origin *origin // nil without --from
}

// newSettings reads flags and what they name, except the model.
func newSettings(c *cli.Context, report *reporter) (*settings, error) {
	s := &settings{flags: c}
	if c.IsSet("from") {
		var err error
		if s.origin, err = readOrigin(c.String("from")); err != nil {
			return nil, err
		}
		for _, note := range s.origin.notes {
			report.note("--from %s: %s", c.String("from"), note)
		}
		s.recipe = s.origin.recipe
	}
	s.recipe.Version = recipeVersion
	for _, read := range []func() error{s.readPrompts, s.readNames, s.readSize, s.readNoise, s.readSeeds} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	report.batchSize = c.Int("batch-size")
	return s, nil
}

func (s *settings) readPrompts() error {
	prompt, given, err := readPrompt(s.flags, s.origin == nil)
	switch {
	case err != nil:
		return err
	case given:
		s.recipe.Prompt = prompt
	case s.origin == nil:
		return usagef("no prompt; see %s --help", s.flags.Command.HelpName)
	}
	if s.flags.IsSet("negative-prompt") {
		s.recipe.NegativePrompt = s.flags.String("negative-prompt")
	}
	return nil
}

// readNames reads the names of the model, the sampler and the generator.
func (s *settings) readNames() error {
	c, r := s.flags, &s.recipe
	if c.IsSet("model") {
		r.Model.Path = c.String("model")
		if r.Model.Path == "" {
			return usagef("--model is empty, want a folder")
		}
	}
	if c.IsSet("sampler") {
		r.Sampler, r.OwnSampler = c.String("sampler"), false
		if sampler.Describe(r.Sampler) == "" {
			return usagef("unknown sampler %q%s; %s --help lists them", r.Sampler,
				didYouMean(r.Sampler, sampler.Names()), c.Command.HelpName)
		}
	}
	if c.IsSet("rng") {
		r.RNG = c.String("rng")
	}
	if r.RNG == "" {
		r.RNG = rng.Names()[0]
	}
	if !slices.Contains(rng.Names(), r.RNG) {
		return usagef("unknown generator %q%s; want one of %s", r.RNG, didYouMean(r.RNG, rng.Names()), strings.Join(rng.Names(), ", "))
	}
	return nil
}

func (s *settings) readSize() error {
	c, r := s.flags, &s.recipe
	if c.IsSet("size") {
		if c.IsSet("width") || c.IsSet("height") {
			return usagef("the size is given twice, by --size and by --width or --height")
		}
		var err error
		if r.Width, r.Height, err = parseSize(c.String("size")); err != nil {
			return err
		}
	}
	for name, side := range map[string]*int{"width": &r.Width, "height": &r.Height} {
		if c.IsSet(name) {
			if *side = c.Int(name); *side < 1 {
				return usagef("--%s %d, want at least 1", name, *side)
			}
		}
	}
	return nil
}

// settle fills in what the user has left to the model, in the recipe as in the request.
func (s *settings) settle(m *model) (pipeline.Request, error) {
	c, r := s.flags, &s.recipe
	r.Model.Name = m.name
	if c.IsSet("steps") {
		r.Steps = c.Int("steps")
	} else if r.Steps == 0 {
		r.Steps = m.steps
	}
	if c.IsSet("guidance-scale") {
		r.GuidanceScale = c.Float64("guidance-scale")
	} else if s.origin == nil {
		r.GuidanceScale = m.guidanceScale
	}
	if c.IsSet("eta") {
		r.Eta = c.Float64("eta")
	}
	if err := s.settleSize(m); err != nil {
		return pipeline.Request{}, err
	}
	if r.Sampler == "" || r.OwnSampler && r.Sampler == m.Sampler() {
		r.Sampler, r.OwnSampler = m.Sampler(), true
	} else {
		r.OwnSampler = false
	}
	request := pipeline.Request{
		Prompt: r.Prompt, NegativePrompt: r.NegativePrompt, Width: r.Width, Height: r.Height,
		Steps: r.Steps, Sampler: r.Sampler, GuidanceScale: r.GuidanceScale, Eta: r.Eta,
		RNG: r.RNG, Seeds: s.seeds, BatchSize: c.Int("batch-size"),
	}
	if r.OwnSampler {
		request.Sampler = ""
	}
	if s.noise != nil {
		request.Noise = &pipeline.NoiseSource{Array: s.noise.Array}
	}
	return request, nil
}

func (s *settings) settleSize(m *model) error {
	r := &s.recipe
	if s.noise == nil {
		if r.Width == 0 {
			r.Width = m.Size()
		}
		if r.Height == 0 {
			r.Height = m.Size()
		}
		return nil
	}
	width, height := s.noise.Shape[3]*m.Factor(), s.noise.Shape[2]*m.Factor()
	c := s.flags
	if c.IsSet("size") && (r.Width != width || r.Height != height) ||
		c.IsSet("width") && r.Width != width || c.IsSet("height") && r.Height != height {
		return usagef("the noise of %s is for %dx%d pixels; leave the size out, or give that", s.noise.file, width, height)
	}
	r.Width, r.Height = width, height
	return nil
}

// of is the recipe of one picture.
func (s *settings) of(p pipeline.Picture) *recipe {
	r := s.recipe
	r.Seed = p.Seed
	if r.Noise != nil {
		noise := *r.Noise
		noise.Index += p.Index
		r.Noise = &noise
	}
	return &r
}

// parseSize reads WIDTHxHEIGHT in pixels.
func parseSize(text string) (width, height int, err error) {
	w, h, _ := strings.Cut(strings.ToLower(text), "x")
	width, err = strconv.Atoi(w)
	height, err2 := strconv.Atoi(h)
	if err != nil || err2 != nil || width < 1 || height < 1 {
		return 0, 0, usagef("--size %q, want two numbers of pixels such as 256x256", text)
	}
	return width, height, nil
}
