package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"ldm-mac/ldm/imageio"
	"ldm-mac/ldm/pipeline"
	"ldm-mac/ldm/sampler"
)

func generateCommand() *cli.Command {
	return &cli.Command{
		Name: "run", Aliases: []string{"txt2img", "generate"},
		Usage:     "draw pictures from a prompt",
		ArgsUsage: "[PROMPT]",
		Description: `The words of the prompt may stand in quotes or not; without any, standard input is read.

Examples:
  ldm-mac run "a purple elephant, 3d render"
  ldm-mac run a red apple, flat icon --seed 7 --steps 30 -o apple.png
  ldm-mac run -p "a cat face, cartoon" --count 3 -o cats/
  echo "a green frog" | ldm-mac run -o - > frog.png
  ldm-mac run --from apple.png --sampler euler_a -o "{slug}-euler-{seed}.png"
  ldm-mac run "a slice of pizza" --seed 1 --save-latents pizza.safetensors --json

Samplers:
` + samplerList() + `
Some also know other spreads of their noise levels, by the endings _karras, _exponential and
_beta: dpmpp_2m_karras.`,
		Flags:  generateFlags(),
		Action: generate,
	}
}

// samplerList has a line for each sampler.
func samplerList() string {
	var b bytes.Buffer
	for _, name := range sampler.Names() {
		fmt.Fprintf(&b, "  %-13s %s\n", name, sampler.Describe(name))
	}
	return b.String()
}

func generateFlags() []cli.Flag {
	var flags []cli.Flag
	for _, group := range [][]cli.Flag{
		promptFlags(), conditionFlags(), requestFlags(), samplingFlags("g", "cfg-scale", "scale"), tilingFlags(), outputFlags(), {modelFlag()}, backendFlags(), reportFlags(), {dryRunFlag()},
	} {
		flags = append(flags, group...)
	}
	return flags
}

// generation is one call of the command run.
type generation struct {
	*settings
	stdout  io.Writer
	out     *output
	paths   []string // by picture; empty where pictures go to standard output
	saved   string   // the file of --save-latents, or empty
	preview string
	json    bool
	plain   bool // without metadata

	model    *model
	hash     func() (string, error) // of the model
	recorder recorder
	result   result
	last     time.Time // when the picture before was done
}

func generate(c *cli.Context) error {
	g, err := newGeneration(c)
	if err != nil {
		return err
	}
	err = g.run(c)
	g.report.clear()
	if err != nil {
		g.out.abandon()
	}
	return err
}

// newGeneration reads and checks all that needs no model.
func newGeneration(c *cli.Context) (*generation, error) {
	g := &generation{stdout: c.App.Writer, saved: c.String("save-latents"), json: c.Bool("json"), plain: c.Bool("no-metadata")}
	report, err := newReporter(c)
	if err != nil {
		return nil, err
	}
	if g.preview, err = previewProtocol(c, report); err != nil {
		return nil, err
	}
	if g.out, err = newOutput(c); err != nil {
		return nil, err
	}
	if g.settings, err = newSettings(c, report); err != nil {
		return nil, err
	}
	if g.out.stdout && (len(g.seeds) > 1 || g.json) {
		return nil, usagef("--output - is for a single picture without --json, not for %d pictures", len(g.seeds))
	}
	if g.out.stdout {
		g.paths = make([]string, len(g.seeds))
		return g, nil
	}
	date := time.Now().Format(time.DateOnly)
	for i, seed := range g.seeds {
		g.paths = append(g.paths, g.out.path(fields{
			slug: slug(g.recipe.title()), model: modelName(g.recipe.Model.Path), date: date, name: g.sourceName(), seed: seed, index: i,
		}))
	}
	return g, nil
}

func previewProtocol(c *cli.Context, r *reporter) (string, error) {
	switch name := c.String("preview"); name {
	case imageio.Kitty, imageio.ITerm2, imageio.NoPreview:
		return name, nil
	case "auto":
		if r.terminal && !c.Bool("quiet") && r.form != "json" {
			return imageio.DetectProtocol(os.Getenv), nil
		}
		return imageio.NoPreview, nil
	default:
		return "", usagef("unknown preview %q, want auto, kitty, iterm2 or off", name)
	}
}

func (g *generation) run(c *cli.Context) error {
	if c.Bool("dry-run") {
		return g.dryRun(c)
	}
	written := g.paths
	if g.out.stdout {
		written = nil
	}
	if g.saved != "" {
		written = append(written[:len(written):len(written)], g.saved)
	}
	if err := g.out.prepare(written); err != nil {
		return err
	}
	backend, err := openBackend(c, g.recipe.DType, g.report.warn)
	if err != nil {
		return err
	}
	defer backend.Close()
	g.last = time.Now()
	start := time.Now()
	if g.model, err = openModel(backend, g.folder, g.recipe.Model.Path); err != nil {
		return err
	}
	defer g.model.Close()
	loading := time.Since(start)

	request, err := g.settle(g.model)
	if err != nil {
		return err
	}
	g.recipe.Backend, g.recipe.DType = backend.Name(), strings.ToLower(backend.dtype.String())
	g.hash = sync.OnceValues(func() (string, error) { return g.model.hash(c.Context) })
	if g.needsHash() {
		go g.hash()
	}
	request.OnProgress, request.OnWarning = g.report.progress, g.report.warn
	if g.saved != "" {
		request.OnTensor = g.recorder.record
	}
	timings, err := g.model.Generate(c.Context, request, g.emit)
	if err != nil {
		return err
	}
	timings[pipeline.StageLoad] += loading
	return g.finish(timings)
}

// sourceName is the name of the picture to begin with, without its ending; empty for none.
func (g *generation) sourceName() string {
	if g.recipe.Image == nil {
		return ""
	}
	base := filepath.Base(g.recipe.Image.File)
	return strings.TrimSuffix(base, filepath.Ext(base))
}

func (g *generation) needsHash() bool { return g.json || !g.plain || g.origin != nil }

// emit writes one picture and tells of it.
func (g *generation) emit(p pipeline.Picture) error {
	if g.needsHash() {
		hash, err := g.hash()
		if err != nil {
			return err
		}
		g.identify(hash)
	}
	if p.Index == 0 {
		for _, seed := range g.random {
			g.report.note("the seed is %d", seed)
		}
	}
	start := time.Now()
	var err error
	if p.Image, err = g.finished(p.Image); err != nil {
		return err
	}
	data, err := g.encode(p)
	if err != nil {
		return err
	}
	path, err := g.put(data, g.paths[p.Index])
	if err != nil {
		return err
	}
	g.result.encoding += time.Since(start)
	sum := sha256.Sum256(data)
	g.result.add(p, path, hex.EncodeToString(sum[:]), time.Since(g.last))
	g.last = time.Now()
	g.report.image(path, p.Seed)
	g.report.clear()
	// Standard error may be gone or full without harm to the picture.
	g.show(p, data)
	if g.json || g.out.stdout {
		return nil
	}
	_, err = fmt.Fprintln(g.stdout, path)
	return printed(err)
}

// show is the preview in the terminal, which takes PNG only.
func (g *generation) show(p pipeline.Picture, data []byte) {
	if g.preview == imageio.NoPreview {
		return
	}
	if g.out.format != imageio.PNG {
		var png bytes.Buffer
		if imageio.Encode(&png, imageio.PNG, p.Image, imageio.Options{}) != nil {
			return
		}
		data = png.Bytes()
	}
	_ = imageio.Preview(g.report.w, g.preview, data)
}

// encode is the file of a picture.
func (g *generation) encode(p pipeline.Picture) ([]byte, error) {
	options := imageio.Options{Quality: g.out.quality}
	if g.source != nil {
		options.Profile = g.source.input.Profile
	}
	if !g.plain {
		var err error
		if options.Texts, err = g.of(p).texts(); err != nil {
			return nil, err
		}
	}
	var data bytes.Buffer
	err := imageio.Encode(&data, g.out.format, p.Image, options)
	return data.Bytes(), err
}

// put writes a picture's file to standard output or to path or next to it, and returns where.
func (g *generation) put(data []byte, path string) (string, error) {
	write := func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}
	if !g.out.stdout {
		return g.out.write(path, write)
	}
	err := write(g.stdout)
	if errors.Is(err, syscall.EPIPE) {
		return "", errQuiet
	}
	return "", printed(err)
}

// finish writes what is about all pictures.
func (g *generation) finish(timings pipeline.Timings) error {
	if g.saved != "" {
		path, err := g.out.write(g.saved, g.recorder.write)
		if err != nil {
			return err
		}
		g.result.Latents = path
		g.report.note("the latents are in %s", path)
	}
	if !g.json {
		return nil
	}
	g.result.fill(g, timings)
	return printed(writeJSON(g.stdout, &g.result))
}

// identify completes the recipe with the model's hash, and warns where that is not the one with
// which the picture to be made again was made.
func (g *generation) identify(hash string) {
	if g.recipe.Model.SHA256 == hash {
		return
	}
	g.recipe.Model.SHA256 = hash
	if g.origin != nil && g.origin.Model.SHA256 != "" {
		g.report.warn(fmt.Sprintf("the picture was made with another model: the SHA-256 of its weights is %.10s…, that of %s %.10s…",
			g.origin.Model.SHA256, g.model.name, hash))
	}
}
