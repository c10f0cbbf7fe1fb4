package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"ldm-mac/ldm/pipeline"
)

// tilingFlags say how large pictures are divided.
func tilingFlags() []cli.Flag {
	const group = "Memory"
	return []cli.Flag{
		&cli.IntFlag{Name: "tile-size", Category: group, Usage: "`LATENTS` to a side of the tiles of which large pictures are made; 0 divides nothing", DefaultText: "by the memory needed"},
		&cli.IntFlag{Name: "tile-overlap", Category: group, Usage: "`LATENTS` that neighbouring tiles share", DefaultText: "a quarter of the size"},
		&cli.StringFlag{Name: "vae-tiling", Category: group, Value: "auto", Usage: "`WHEN` the first stage works in tiles: auto, on or off"},
	}
}

func dryRunFlag() cli.Flag {
	return &cli.BoolFlag{Name: "dry-run", Category: "Report", Usage: "print what would be done, and the memory it would take, and do nothing"}
}

// settleTiling divides what is too large, as the user says or by the memory that it would need. Of a
// picture to be made again, its own division is kept, which decides the pixels.
func (s *settings) settleTiling(m *model, request *pipeline.Request) error {
	c, r := s.flags, &s.recipe
	if s.origin != nil && !c.IsSet("tile-size") && !c.IsSet("tile-overlap") && !c.IsSet("vae-tiling") {
		request.Tiling = r.Tiling
		return nil
	}
	t := m.AutoTiling(*request)
	var err error
	if t.Stage, err = stageTiles(c, t.Stage); err != nil {
		return err
	}
	if tiles, given := givenTiles(c); given && m.Task() == pipeline.SuperResolution {
		t.UNet = tiles
	}
	request.Tiling, r.Tiling = t, t
	return nil
}

// givenTiles are those of the flags, false where they give none.
func givenTiles(c *cli.Context) (pipeline.Tiles, bool) {
	size, overlap := c.IsSet("tile-size"), c.IsSet("tile-overlap")
	tiles := pipeline.Tiles{Size: usualTile}
	if size {
		tiles.Size = c.Int("tile-size")
	}
	if tiles.Overlap = tiles.Size / 4; overlap {
		tiles.Overlap = c.Int("tile-overlap")
	}
	return tiles, size || overlap
}

// usualTile is the size of tiles that are asked for without one, in latents.
const usualTile = 64

// stageTiles are the first stage's: those of the flags, or else the automatic ones.
func stageTiles(c *cli.Context, automatic pipeline.Tiles) (pipeline.Tiles, error) {
	tiles, given := givenTiles(c)
	switch mode := c.String("vae-tiling"); mode {
	case "auto":
		if given {
			return tiles, nil
		}
		return automatic, nil
	case "on":
		if given || automatic.Size == 0 {
			return tiles, nil
		}
		return automatic, nil
	case "off":
		return pipeline.Tiles{}, nil
	default:
		return tiles, usagef("--vae-tiling %q, want auto, on or off", mode)
	}
}

// outline is what --dry-run prints; also the form of it in --json.
type outline struct {
	Version int             `json:"version"`
	Task    pipeline.Task   `json:"task"`
	Class   string          `json:"class"`
	Recipe  *recipe         `json:"recipe"`
	Files   []string        `json:"files"`
	Memory  pipeline.Memory `json:"memory"`
	Peak    int64           `json:"peak_bytes"`
}

// dryRun prints what a run would do.
func (g *generation) dryRun(c *cli.Context) error {
	m, err := openModel(nil, g.folder, g.recipe.Model.Path)
	if err != nil {
		return err
	}
	defer m.Close()
	request, err := g.settle(m)
	if err == nil {
		err = m.Check(request)
	}
	if err != nil {
		return err
	}
	p := newOutline(m, &g.recipe, &request, g.paths)
	if g.json {
		return printed(writeJSON(g.stdout, p))
	}
	return printed(p.print(g.stdout))
}

func newOutline(m *model, r *recipe, request *pipeline.Request, files []string) *outline {
	p := &outline{Version: 1, Task: m.Task(), Class: m.Class(), Recipe: r, Files: files, Memory: m.Estimate(request)}
	p.Peak = p.Memory.Peak()
	return p
}

func (p *outline) print(w io.Writer) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(out, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	r := p.Recipe
	line("model", "%s (%s, %s)", r.Model.Name, p.Task, p.Class)
	line("convention", "%s", r.Convention)
	line("size", "%dx%d", r.Width, r.Height)
	line("sampler", "%s, %d steps, eta %g", r.Sampler, r.Steps, r.Eta)
	line("guidance scale", "%g", r.GuidanceScale)
	for _, t := range []struct {
		name  string
		tiles pipeline.Tiles
	}{{"U-Net", r.Tiling.UNet}, {"first stage", r.Tiling.Stage}} {
		if t.tiles.Size == 0 {
			line(t.name, "undivided")
		} else {
			line(t.name, "in tiles of %d latents that overlap by %d", t.tiles.Size, t.tiles.Overlap)
		}
	}
	const mega = 1 << 20
	for _, n := range []struct {
		name string
		pipeline.NetworkMemory
	}{{"text encoder", p.Memory.Text}, {"U-Net", p.Memory.UNet}, {"first stage", p.Memory.Stage}} {
		line(n.name, "%d MiB of weights, %d MiB of activations", n.Weights/mega, n.Activations/mega)
	}
	line("memory", "about %d MiB in float32", p.Peak/mega)
	for _, path := range p.Files {
		line("file", "%s", path)
	}
	return out.Flush()
}
