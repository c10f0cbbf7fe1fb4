package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"ldm-mac/ldm/compvis"
)

// originalFlags say where the parts of an original checkpoint lie that are not in it.
func originalFlags() []cli.Flag {
	const group = "Original checkpoint"
	return []cli.Flag{
		&cli.StringFlag{Name: "config", Category: group, Usage: "`FILE` the YAML file of its training", DefaultText: "the one beside it"},
		&cli.StringFlag{Name: "tokenizer", Category: group, Usage: "`PATH` vocab.txt, or a folder with that or with vocab.json and merges.txt", DefaultText: "the one beside it"},
		&cli.BoolFlag{Name: "raw-weights", Category: group, Usage: "not the averages over the training, although the file has them"},
	}
}

func originalOptions(c *cli.Context) compvis.Options {
	return compvis.Options{Config: c.String("config"), Tokenizer: c.String("tokenizer"), RawWeights: c.Bool("raw-weights")}
}

func modelsShowCommand() *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "say what a model is", ArgsUsage: "PATH",
		Description: `PATH is a folder in the diffusers layout, or an original .ckpt or .safetensors file, which is recognised
by its configuration or else by the names and shapes of its weights.

Examples:
  ldm-mac models random bsr_sr -o bsr
  ldm-mac models show bsr
  ldm-mac models show bsr --sha256 --json`,
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "sha256", Usage: "also the SHA-256 of every file of weights, which takes a while"},
			&cli.BoolFlag{Name: "json", Usage: "print one JSON object"},
		}, originalFlags()...),
		Action: modelsShow,
	}
}

func modelsShow(c *cli.Context) error {
	if c.NArg() != 1 {
		return usagef("%d arguments, want the path of a model; see %s --help", c.NArg(), c.Command.HelpName)
	}
	d, err := compvis.Describe(c.Context, c.Args().First(), originalOptions(c), c.Bool("sha256"))
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printed(writeJSON(c.App.Writer, d))
	}
	return printed(printDescription(c.App.Writer, d))
}

// printDescription writes what is known of a model.
func printDescription(w io.Writer, d *compvis.Description) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(out, "%s\t%s\n", name, value)
		}
	}
	line("system", cmp.Or(d.System, "not a published one"))
	line("pipeline", d.Class)
	line("convention", d.Convention)
	line("format", d.Format)
	line("configuration", d.Config)
	line("averages", d.EMA)
	for _, p := range d.Components {
		value := p.Class
		if p.Parameters > 0 {
			value += fmt.Sprintf(", %.2f M parameters, %s", float64(p.Parameters)/1e6, strings.Join(p.DTypes, " and "))
		}
		line(p.Name, value)
	}
	line("missing", strings.Join(d.Missing, ", "))
	line("needs of a YAML", strings.Join(d.Lacks, ", "))
	line("not called", strings.Join(d.Foreign, ", "))
	for _, note := range d.Notes {
		line("note", note)
	}
	if d.Provenance != nil {
		line("made of", d.Provenance.Source)
	}
	for _, name := range slices.Sorted(maps.Keys(d.SHA256)) {
		line("SHA-256 of "+name, d.SHA256[name])
	}
	return out.Flush()
}
