package main

import (
	"fmt"
	"image"
	"io"
	"math"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/imageio"
	"ldm-mac/ldm/pipeline"
	"ldm-mac/ldm/rng"
	"ldm-mac/ldm/tensor"
)

// stageFlags are what encode and decode have in common.
func stageFlags() []cli.Flag {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "`FILE` to write"},
		&cli.BoolFlag{Name: "force", Usage: "overwrite the file instead of choosing a free name"},
		&cli.StringFlag{Name: "convention", Usage: "`NAME` whose program to repeat where they differ: compvis or diffusers", DefaultText: "the model's"},
	}
	return append(append(append(flags, tilingFlags()...), modelFlag()), append(backendFlags(), reportFlags()...)...)
}

func encodeCommand() *cli.Command {
	return &cli.Command{
		Name: "encode", Usage: "compress a picture to latents", ArgsUsage: "IMAGE",
		Description: `Writes the tensor latents [1, c, h, w], in the scale in which the model's U-Net reads them, as safetensors.
First stages that draw latents from a distribution give its mean with --mode, a sample with --sample.

Examples:
  ldm-mac run "a red apple, 3d render" --seed 7 -o apple.png
  ldm-mac encode apple.png -o apple.safetensors
  ldm-mac encode apple.png --sample --seed 3 -o sampled.safetensors`,
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "mode", Usage: "the most likely latents; this is what happens anyway"},
			&cli.BoolFlag{Name: "sample", Usage: "latents drawn from their distribution"},
			&cli.Uint64Flag{Name: "seed", Aliases: []string{"s"}, Usage: "`N` number that decides what --sample draws", DefaultText: "0"},
		}, stageFlags()...),
		Action: encodeAction,
	}
}

func decodeCommand() *cli.Command {
	return &cli.Command{
		Name: "decode", Usage: "make pictures of latents", ArgsUsage: "LATENTS",
		Description: `Reads the tensor latents [n, c, h, w] of a safetensors file, as ldm-mac encode and ldm-mac run
--save-latents write it; --tensor names another one, such as step.003.

Examples:
  ldm-mac run "a red apple, 3d render" --seed 7 --save-latents steps.safetensors -o apple.png
  ldm-mac decode steps.safetensors -o again.png
  ldm-mac decode steps.safetensors --tensor step.003 -o early.png`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "tensor", Value: "latents", Usage: "`NAME` of the tensor to decode"},
			&cli.StringFlag{Name: "format", Usage: "`NAME` png, jpeg, webp or tiff", DefaultText: "that of the name, else png"},
			&cli.IntFlag{Name: "quality", Usage: "`N` of JPEG, 1 to 100", DefaultText: fmt.Sprint(imageio.DefaultQuality)},
		}, stageFlags()...),
		Action: decodeAction,
	}
}

// stageRun is one call of encode or decode.
type stageRun struct {
	input  string
	report *reporter
	out    *output
	model  *model
	close  func()
}

// newStageRun reads what both commands are given; ext is the ending of the output's usual name.
func newStageRun(c *cli.Context, ext string) (*stageRun, error) {
	if c.NArg() != 1 {
		return nil, usagef("%d arguments, want one file; see %s --help", c.NArg(), c.Command.HelpName)
	}
	r := &stageRun{input: c.Args().First()}
	var err error
	if r.report, err = newReporter(c); err != nil {
		return nil, err
	}
	r.out = &output{template: c.String("output"), overwrite: c.Bool("force"), written: map[string]bool{}}
	if r.out.template == "" {
		base := filepath.Base(r.input)
		r.out.template = strings.TrimSuffix(base, filepath.Ext(base)) + ext
	}
	if err := r.out.prepare([]string{r.out.template}); err != nil {
		return nil, err
	}
	folder, err := openFolder(c.String("model"))
	if err != nil {
		return nil, err
	}
	backend, err := openBackend(c, "", r.report.warn)
	if err != nil {
		return nil, err
	}
	if r.model, err = openModel(backend, folder, c.String("model")); err != nil {
		backend.Close()
		return nil, err
	}
	r.close = func() { r.model.Close(); backend.Close() }
	return r, nil
}

func encodeAction(c *cli.Context) error {
	if c.Bool("mode") && c.Bool("sample") {
		return usagef("both --mode and --sample, want one")
	}
	r, err := newStageRun(c, ".safetensors")
	if err != nil {
		return err
	}
	defer r.close()
	input, err := imageio.ReadFile(r.input)
	if err != nil {
		return inputError(err)
	}
	size := input.Image.Bounds().Size()
	f := r.model.Factor()
	width, height := roundUp(size.X, f), roundUp(size.Y, f)
	if width != size.X || height != size.Y {
		r.report.warn(fmt.Sprintf("%s is %dx%d: its edges are repeated up to %dx%d, a multiple of %d", r.input, size.X, size.Y, width, height, f))
	}
	picture := extend(input.Image, width, height)
	tiles, err := stageTiles(c, r.model.StageTiles(height/f, width/f, true))
	if err != nil {
		return err
	}
	var generator rng.Generator
	if c.Bool("sample") {
		generator = rng.NewTorch(c.Uint64("seed"))
	}
	latents, err := r.model.Encode(c.Context, picture, generator, pipeline.Convention(c.String("convention")), tiles)
	if err != nil {
		return err
	}
	path, err := r.out.write(r.out.template, func(w io.Writer) error {
		source := checkpoint.SourceOf(tensor.WeightOf("latents", latents.Data, latents.Shape...))
		return checkpoint.WriteSafetensors(w, []checkpoint.Source{source}, nil)
	})
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printed(writeJSON(c.App.Writer, map[string]any{"version": 1, "latents": path, "shape": latents.Shape, "warnings": r.report.warnings}))
	}
	_, err = fmt.Fprintln(c.App.Writer, path)
	return printed(err)
}

func decodeAction(c *cli.Context) error {
	r, err := newStageRun(c, ".png")
	if err != nil {
		return err
	}
	defer r.close()
	if err := r.out.chooseFormat(c); err != nil {
		return err
	}
	latents, err := parseNoise(r.input, c.String("tensor"))
	if err != nil {
		return inputError(err)
	}
	if want := r.model.LatentChannels(); latents.Shape[1] != want {
		return inputError(fmt.Errorf("%s: the tensor %q has shape %s, but the model's latents have %d channels",
			r.input, c.String("tensor"), latents.Shape, want))
	}
	f := r.model.Factor()
	if most := math.MaxInt16; latents.Shape[2]*f > most || latents.Shape[3]*f > most {
		return inputError(fmt.Errorf("%s: the tensor %q has shape %s, too large for a picture", r.input, c.String("tensor"), latents.Shape))
	}
	tiles, err := stageTiles(c, r.model.StageTiles(latents.Shape[2], latents.Shape[3], false))
	if err != nil {
		return err
	}
	var paths []string
	err = r.model.Decode(c.Context, latents.Array, pipeline.Convention(c.String("convention")), tiles, func(m *image.NRGBA) error {
		path, err := r.out.write(r.out.template, func(w io.Writer) error {
			return imageio.Encode(w, r.out.format, m, imageio.Options{Quality: r.out.quality})
		})
		if err != nil {
			return err
		}
		if paths = append(paths, path); c.Bool("json") {
			return nil
		}
		_, err = fmt.Fprintln(c.App.Writer, path)
		return printed(err)
	})
	if err == nil && c.Bool("json") {
		err = printed(writeJSON(c.App.Writer, map[string]any{"version": 1, "images": paths, "warnings": r.report.warnings}))
	}
	return err
}
