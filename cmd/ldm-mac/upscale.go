package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"ldm-mac/ldm/imageio"
	"ldm-mac/ldm/pipeline"
)

func upscaleCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.IntFlag{Name: "scale", Category: "Image", Value: 4, Usage: "`N` 4, or 2: what the model makes of 4 times the size, reduced"},
		&cli.IntFlag{Name: "noise-level", Category: "Image", Value: 20, Usage: "`N` steps of noise added to the picture, of Stable Diffusion's upscaler: more invents more"},
	}
	for _, group := range [][]cli.Flag{
		promptFlags()[:1], promptFlags()[2:], samplingFlags("g", "cfg-scale"), tilingFlags(), outputFlags(), {modelFlag()}, backendFlags(), reportFlags(), {dryRunFlag()},
	} {
		for _, f := range group {
			if name := f.Names()[0]; name != "preview" && name != "save-latents" {
				flags = append(flags, f)
			}
		}
	}
	return &cli.Command{
		Name: "upscale", Usage: "enlarge pictures", ArgsUsage: "IMAGE...",
		Description: `Pictures are enlarged by a super-resolution model, with --model or $LDM_MAC_MODEL: latent diffusion's
(bsr_sr, ldm-super-resolution-4x-openimages) or Stable Diffusion's x4 upscaler, which also reads a
prompt. Of a folder, all pictures in it are taken. Results lie beside the pictures, as
NAME-4x.png, unless --output says another folder, file or template with {name} {scale} {seed} {index};
transparency and colour profile are kept. A picture that cannot be read does not stop the others.

Examples:
  ldm-mac upscale photo.jpg -m ldm-super-resolution-4x-openimages
  ldm-mac upscale holiday/ --scale 2 -o enlarged/ -m last.ckpt --steps 50`,
		Flags: flags, Action: upscale,
	}
}

// upscaling is one call of the command upscale.
type upscaling struct {
	*settings
	c       *cli.Context
	stdout  io.Writer
	model   *model
	out     *output
	scale   int
	plain   bool
	results []upscaled
	failed  []error
}

// upscaled is one result; also the form of it in --json.
type upscaled struct {
	Input    string `json:"input"`
	Path     string `json:"path"`
	Seed     uint64 `json:"seed"`
	Width    int    `json:"width"`
	Height   int    `json:"height"`
	SHA256   string `json:"sha256"`
	Duration int64  `json:"duration_ms"`
}

func upscale(c *cli.Context) error {
	u := &upscaling{c: c, stdout: c.App.Writer, scale: c.Int("scale"), plain: c.Bool("no-metadata")}
	if u.scale != 2 && u.scale != 4 {
		return usagef("--scale %d, want 2 or 4", u.scale)
	}
	if c.NArg() == 0 {
		return usagef("no pictures; see %s --help", c.Command.HelpName)
	}
	report, err := newReporter(c)
	if err != nil {
		return err
	}
	files, err := pictureFiles(c.Args().Slice())
	if err != nil {
		return err
	}
	if u.out, err = newOutput(c); err != nil {
		return err
	}
	if u.out.stdout && (len(files) > 1 || c.Bool("json")) {
		return usagef("--output - is for a single picture without --json, not for %d pictures", len(files))
	}
	if !c.IsSet("model") {
		return &failure{exitInput, "model_not_found", errors.New("the built-in model does not enlarge pictures: " +
			"give a super-resolution model with --model, such as the folder of CompVis/ldm-super-resolution-4x-openimages")}
	}
	if u.settings, err = newUpscaleSettings(c, report); err != nil {
		return err
	}
	backend, err := openBackend(c, "", u.report.warn)
	if err != nil {
		return err
	}
	defer backend.Close()
	if u.model, err = openModel(backend, u.folder, u.recipe.Model.Path); err != nil {
		return err
	}
	defer u.model.Close()
	if u.model.Task() != pipeline.SuperResolution {
		return &failure{exitInput, "model_invalid", fmt.Errorf("%s is a model of the kind %q, want one of the kind %q",
			u.model.name, u.model.Task(), pipeline.SuperResolution)}
	}
	u.recipe.Backend, u.recipe.DType = backend.Name(), strings.ToLower(backend.dtype.String())
	if !u.plain || c.Bool("json") {
		if u.recipe.Model.SHA256, err = u.model.hash(c.Context); err != nil {
			return err
		}
	}
	for i, file := range files {
		if err := u.file(file, i, len(files)); err != nil {
			var known *failure
			if c.Context.Err() != nil || !errors.As(err, &known) || known.status != exitInput {
				u.report.clear()
				return err
			}
			u.report.warn(err.Error())
			u.failed = append(u.failed, err)
		}
	}
	return u.finish(len(files))
}

// newUpscaleSettings reads the flags that all pictures have in common.
func newUpscaleSettings(c *cli.Context, report *reporter) (*settings, error) {
	s := &settings{flags: c, report: report}
	s.recipe.Version, s.recipe.Scale = recipeVersion, c.Int("scale")
	s.recipe.Prompt, s.recipe.NegativePrompt = c.String("prompt"), c.String("negative-prompt")
	for _, read := range []func() error{s.readNames, s.readModel, s.readSeeds} {
		if err := read(); err != nil {
			return nil, err
		}
	}
	if len(s.seeds) != 1 {
		return nil, usagef("%d seeds, want one: every picture is enlarged once", len(s.seeds))
	}
	return s, nil
}

// pictureFiles are the files named, and those in the folders named whose names say that they are
// pictures.
func pictureFiles(names []string) (files []string, err error) {
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, inputError(err)
		}
		if !info.IsDir() {
			files = append(files, name)
			continue
		}
		entries, err := os.ReadDir(name)
		if err != nil {
			return nil, inputError(err)
		}
		before := len(files)
		for _, e := range entries {
			extension := strings.ToLower(filepath.Ext(e.Name()))
			if e.Type().IsRegular() && !strings.HasPrefix(e.Name(), ".") && slices.Contains(pictureExtensions, extension) {
				files = append(files, filepath.Join(name, e.Name()))
			}
		}
		if len(files) == before {
			return nil, inputError(fmt.Errorf("the folder %s has no pictures: looked for %s", name, strings.Join(pictureExtensions, ", ")))
		}
	}
	return files, nil
}

// pictureExtensions are those of the formats that are read.
var pictureExtensions = []string{".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif"}

// file enlarges picture number i of n.
func (u *upscaling) file(name string, i, n int) error {
	start := time.Now()
	u.recipe.Image = &recipeFile{File: name}
	if err := u.recipe.Image.verify("init-image"); err != nil {
		return err
	}
	input, err := imageio.ReadFile(name)
	if err != nil {
		return inputError(err)
	}
	request, err := u.settleUpscale(input)
	if err != nil {
		return err
	}
	path := u.path(name, input.Format, i)
	if u.c.Bool("dry-run") {
		p := newOutline(u.model, &u.recipe, &request, []string{path})
		if u.c.Bool("json") {
			return printed(writeJSON(u.stdout, p))
		}
		return printed(p.print(u.stdout))
	}
	if !u.out.stdout {
		if err := u.out.prepare([]string{path}); err != nil {
			return err
		}
	}
	request.OnProgress = func(p pipeline.Progress) {
		p.Picture, p.Count = i, n
		u.report.progress(p)
	}
	request.OnWarning = u.report.warn
	_, err = u.model.Generate(u.c.Context, request, func(p pipeline.Picture) error {
		m, err := u.finished(p.Image, input)
		if err != nil {
			return err
		}
		return u.write(m, input, name, path, start)
	})
	u.report.clear()
	return err
}

// settleUpscale is the request for a picture.
func (u *upscaling) settleUpscale(input *imageio.Input) (pipeline.Request, error) {
	size, multiple := input.Image.Bounds().Size(), u.model.Multiple()
	u.recipe.Width, u.recipe.Height = size.X, size.Y
	u.recipe.NoiseLevel = 0
	if u.model.Noises() {
		u.recipe.NoiseLevel = u.c.Int("noise-level")
	}
	request := u.settleSampling(u.model)
	request.Width, request.Height = roundUp(size.X, multiple), roundUp(size.Y, multiple)
	request.Image = extend(input.Image, request.Width, request.Height)
	request.NoiseLevel = u.recipe.NoiseLevel
	if err := u.settleTiling(u.model, &request); err != nil {
		return request, err
	}
	return request, u.model.Check(request)
}

// finished is an enlarged picture without what was added to it, in the size asked for and with the
// transparency of the picture that it is of.
func (u *upscaling) finished(m *image.NRGBA, input *imageio.Input) (*image.NRGBA, error) {
	size, factor := input.Image.Bounds().Size(), u.model.Factor()
	m = m.SubImage(image.Rect(0, 0, size.X*factor, size.Y*factor)).(*image.NRGBA)
	var err error
	if factor != u.scale {
		if m, err = imageio.Resize(m, size.X*u.scale, size.Y*u.scale, imageio.Lanczos); err != nil {
			return nil, err
		}
	}
	if input.Alpha {
		return imageio.WithAlpha(m, input.Image)
	}
	return m, nil
}

// path is where the picture enlarged of the file name goes.
func (u *upscaling) path(name string, format imageio.Format, i int) string {
	base := strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
	template := u.out.template
	if !u.c.IsSet("output") || filepath.Base(template) == defaultName {
		if !u.c.IsSet("format") {
			u.out.format = format
			if format == imageio.BMP || format == imageio.GIF {
				u.out.format = imageio.PNG
			}
		}
		folder := filepath.Dir(name)
		if u.c.IsSet("output") {
			folder = filepath.Dir(template)
		}
		template = filepath.Join(folder, "{name}-{scale}x"+extensionOf(name, u.out.format))
	}
	o := output{template: template}
	return o.path(fields{
		slug: slug(base), model: u.model.name, date: time.Now().Format(time.DateOnly), seed: u.seeds[0], index: i, name: base, scale: u.scale,
	})
}

// extensionOf is the ending of name if it stands for the format, else the usual one.
func extensionOf(name string, format imageio.Format) string {
	extension := filepath.Ext(name)
	if of, err := imageio.FormatOf(name); err == nil && of == format {
		return extension
	}
	return map[imageio.Format]string{imageio.PNG: ".png", imageio.JPEG: ".jpg", imageio.WebP: ".webp", imageio.TIFF: ".tiff"}[format]
}

// write writes an enlarged picture and tells of it.
func (u *upscaling) write(m *image.NRGBA, input *imageio.Input, name, path string, start time.Time) error {
	options := imageio.Options{Profile: input.Profile, Quality: u.out.quality}
	if !u.plain {
		var err error
		if options.Texts, err = u.texts(name); err != nil {
			return err
		}
	}
	var data bytes.Buffer
	if err := imageio.Encode(&data, u.out.format, m, options); err != nil {
		return err
	}
	sum := sha256.Sum256(data.Bytes())
	if u.out.stdout {
		_, err := u.stdout.Write(data.Bytes())
		return printed(err)
	}
	written, err := u.out.write(path, func(w io.Writer) error {
		_, err := w.Write(data.Bytes())
		return err
	})
	if err != nil {
		return err
	}
	size := m.Bounds().Size()
	u.results = append(u.results, upscaled{name, written, u.seeds[0], size.X, size.Y, hex.EncodeToString(sum[:]), time.Since(start).Milliseconds()})
	u.report.image(written, u.seeds[0])
	u.report.clear()
	if u.c.Bool("json") {
		return nil
	}
	_, err = fmt.Fprintln(u.stdout, written)
	return printed(err)
}

// texts are those of the picture that is enlarged, but how this program made it, and how it was
// enlarged.
func (u *upscaling) texts(name string) ([]imageio.Text, error) {
	own, err := u.of(pipeline.Picture{Seed: u.seeds[0]}).texts()
	if err != nil {
		return nil, err
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, inputError(err)
	}
	defer file.Close()
	texts, err := imageio.ReadText(file)
	if err != nil {
		return own, nil // a picture without texts that can be read is still a picture
	}
	texts = slices.DeleteFunc(texts, func(t imageio.Text) bool { return t.Keyword == recipeKeyword })
	for _, t := range own {
		if !slices.ContainsFunc(texts, func(old imageio.Text) bool { return old.Keyword == t.Keyword }) {
			texts = append(texts, t)
		}
	}
	return texts, nil
}

// finish writes what is about all pictures, and is an error if some could not be enlarged.
func (u *upscaling) finish(n int) error {
	if u.c.Bool("json") && !u.c.Bool("dry-run") {
		err := writeJSON(u.stdout, map[string]any{
			"version": 1, "images": u.results, "model": modelResult(u.recipe.Model), "warnings": u.report.warnings,
		})
		if err != nil {
			return printed(err)
		}
	}
	switch len(u.failed) {
	case 0:
		return nil
	case n:
		if n == 1 {
			return u.failed[0]
		}
	}
	return &failure{exitInput, "file_invalid", fmt.Errorf("%d of %d pictures could not be enlarged", len(u.failed), n)}
}
