package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"ldm-mac/ldm/arch"
)

func modelsCommand() *cli.Command {
	return &cli.Command{
		Name: "models", Usage: "look at models, convert and make them",
		Description: "Examples:\n  ldm-mac models random --help",
		Subcommands: []*cli.Command{modelsShowCommand(), modelsConvertCommand(), modelsRandomCommand()},
	}
}

func modelsRandomCommand() *cli.Command {
	var list strings.Builder
	for _, name := range arch.Names() {
		fmt.Fprintf(&list, "  %-28s %s\n", name, arch.Describe(name))
	}
	return &cli.Command{
		Name: "random", Usage: "write a published architecture with random weights", ArgsUsage: "ARCH",
		Description: `Such a model draws noise; it serves to measure speed and memory.

Architectures:
` + list.String() + `
Examples:
  ldm-mac models random txt2img-large --output random-large`,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "output", Aliases: []string{"o"}, Usage: "`FOLDER` to make"},
			&cli.Uint64Flag{Name: "seed", Aliases: []string{"s"}, Usage: "`N` number that decides the weights", DefaultText: "0"},
			&cli.StringFlag{Name: "dtype", Value: "f16", Usage: "`TYPE` of the stored weights: f16 or f32"},
			&cli.BoolFlag{Name: "force", Usage: "replace a model folder that exists"},
		}, reportFlags()[1:]...),
		Action: modelsRandom,
	}
}

func modelsRandom(c *cli.Context) error {
	name, dir := c.Args().First(), c.String("output")
	switch {
	case c.NArg() != 1:
		return usagef("%d arguments, want the name of an architecture; see %s --help", c.NArg(), c.Command.HelpName)
	case !slices.Contains(arch.Names(), name):
		return usagef("unknown architecture %q%s; want one of %s", name, didYouMean(name, arch.Names()), strings.Join(arch.Names(), ", "))
	case dir == "":
		return usagef("no --output, want a folder to make")
	}
	dtype, err := parseDType(c.String("dtype"))
	if err != nil {
		return err
	}
	report, err := newReporter(c)
	if err != nil {
		return err
	}
	if err := replaceable(dir, c.Bool("force")); err != nil {
		return outputError(err)
	}
	writing.Lock() // so that a second signal waits until the unfinished folder is removed
	defer writing.Unlock()
	temporary := filepath.Join(filepath.Dir(dir), fmt.Sprintf(".ldm-mac-%d-%s", os.Getpid(), filepath.Base(dir)))
	err = arch.WriteRandom(c.Context, name, temporary, c.Uint64("seed"), dtype, report.bytes)
	report.clear()
	if err == nil {
		err = replaceFolder(temporary, dir)
	}
	if err != nil {
		return outputError(err)
	}
	_, err = fmt.Fprintln(c.App.Writer, dir)
	return printed(err)
}

// replaceable reports why a folder cannot be made at dir, or nil: with force a model may be there.
func replaceable(dir string, force bool) error {
	if _, err := os.Lstat(dir); err != nil {
		return nil
	}
	if !force {
		return fmt.Errorf("%s exists; --force replaces a model folder", dir)
	}
	if _, err := os.Stat(filepath.Join(dir, "model_index.json")); err != nil {
		return fmt.Errorf("%s exists and is no model folder: %w", dir, err)
	}
	return nil
}

// replaceFolder gives the folder temporary the name dir, in place of what was there.
func replaceFolder(temporary, dir string) error {
	err := os.RemoveAll(dir)
	if err == nil {
		err = os.Rename(temporary, dir)
	}
	if err != nil {
		os.RemoveAll(temporary)
	}
	return err
}
