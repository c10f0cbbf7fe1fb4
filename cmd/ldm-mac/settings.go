package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/emoji"
	"ldm-mac/ldm/pipeline"
	"ldm-mac/ldm/rng"
	"ldm-mac/ldm/sampler"
)

// samplingFlags are those of every command that samples; guidance are the other names of
// --guidance-scale.
func samplingFlags(guidance ...string) []cli.Flag {
	const group = "Sampling"
	model := "the model's"
	return []cli.Flag{
		&cli.IntFlag{Name: "steps", Category: group, Usage: "`N` sampling steps", DefaultText: fmt.Sprintf("%d, with --model %d", emoji.Steps, defaultSteps)},
		&cli.Float64Flag{Name: "guidance-scale", Aliases: guidance, Category: group,
			Usage: "`X` how strongly to follow the prompt; 1 is no guidance", DefaultText: fmt.Sprintf("%g, with --model its program's", emoji.GuidanceScale)},
		&cli.Float64Flag{Name: "guidance-rescale", Category: group, Usage: "`X` 0 to 1: how far to undo that guidance makes pictures harsh", DefaultText: "0"},
		&cli.IntFlag{Name: "clip-skip", Category: group, Usage: "`N` last layers of a CLIP text encoder to leave out", DefaultText: "0"},
		&cli.StringFlag{Name: "sampler", Aliases: []string{"scheduler"}, Category: group, Usage: "`NAME` one that ldm-mac run --help lists", DefaultText: model},
		&cli.Float64Flag{Name: "eta", Category: group, Usage: "`X` noise that ddim adds: 0 is none, 1 is as much as ddpm", DefaultText: model},
		&cli.StringSliceFlag{Name: "seed", Aliases: []string{"s"}, Category: group, Usage: "`N` number that decides the noise, -1 for a random one; may be repeated", DefaultText: "-1"},
		&cli.StringFlag{Name: "rng", Category: group, Usage: "`NAME` random generator: torch, numpy, or cuda for torch's on a graphics card", DefaultText: "torch"},
		&cli.StringFlag{Name: "convention", Category: group, Usage: "`NAME` whose program to repeat where they differ: compvis or diffusers", DefaultText: model},
	}
}

// requestFlags are those of commands that draw pictures of any size and number.
func requestFlags() []cli.Flag {
	const group = "Picture"
	model := "the model's"
	return []cli.Flag{
		&cli.IntFlag{Name: "count", Aliases: []string{"c", "batch-count", "n_samples"}, Category: group,
			Usage: "`N` pictures for each seed: of seed, seed+1, …", DefaultText: "1"},
		&cli.IntFlag{Name: "batch-size", Category: group, Usage: "`N` pictures sampled together, for more memory and the same results", Value: 1},
		&cli.IntFlag{Name: "width", Aliases: []string{"W"}, Category: group, Usage: "`PIXELS` of the picture", DefaultText: model},
		&cli.IntFlag{Name: "height", Aliases: []string{"H"}, Category: group, Usage: "`PIXELS` of the picture", DefaultText: model},
		&cli.StringFlag{Name: "size", Category: group, Usage: "`WxH` width and height together", DefaultText: model},
		&cli.StringFlag{Name: "latents", Category: group, Usage: "`FILE` of --save-latents, to start from its noise; with :step.003 behind it, to go on from that step"},
		&cli.StringFlag{Name: "from", Category: group, Usage: "`IMAGE` picture to make again; flags override what it says"},
	}
}

// settings are what the user asks for, before and after the model has filled in what is left
// open.
type settings struct {
	flags  *cli.Context
	report *reporter
	recipe recipe // of all pictures: without a seed and the place in the noise
	folder *checkpoint.Folder
	seeds  []uint64
	random []int64 // seeds that were drawn, of which others are counted on
	noise  *noise  // nil where the seeds make it
	origin *origin // nil without --from
	source *source // the picture to begin with; nil for none
}

// newSettings reads flags and what they name, of the model no more than what it is.
func newSettings(c *cli.Context, report *reporter) (*settings, error) {
	s := &settings{flags: c, report: report}
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
	for _, read := range []func() error{
		s.readNames, s.readModel, s.readCondition, s.readSource, s.readSize, s.readNoise, s.readSeeds,
	} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	report.batchSize = c.Int("batch-size")
	return s, nil
}

// readNames reads the names of the model, the sampler, the generator and the convention.
func (s *settings) readNames() error {
	c, r := s.flags, &s.recipe
	if c.IsSet("model") {
		r.Model.Path = c.String("model")
		if r.Model.Path == "" {
			return usagef("--model is empty, want a folder or file")
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
	if c.IsSet("convention") {
		r.Convention = c.String("convention")
	}
	if r.Convention != "" && !slices.Contains(pipeline.Conventions(), pipeline.Convention(r.Convention)) {
		return usagef("unknown convention %q, want one of %q", r.Convention, pipeline.Conventions())
	}
	return nil
}

// readModel opens the model's folder or file, without its weights.
func (s *settings) readModel() (err error) {
	s.folder, err = openFolder(s.recipe.Model.Path)
	return err
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

// sized reports whether the user gives a size.
func (s *settings) sized() bool {
	return s.flags.IsSet("size") || s.flags.IsSet("width") || s.flags.IsSet("height")
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
