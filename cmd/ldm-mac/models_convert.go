package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"ldm-mac/ldm/compvis"
)

func modelsConvertCommand() *cli.Command {
	return &cli.Command{
		Name: "convert", Usage: "write a model in another layout", ArgsUsage: "SOURCE DESTINATION",
		Description: `A DESTINATION that ends in .safetensors becomes one file with the names of the original checkpoints, any
other a folder in the diffusers layout. Every number stays as it is, unless --dtype says otherwise; what
the model was made of is noted in it.

Examples:
  ldm-mac models random bsr_sr -o bsr
  ldm-mac models convert bsr bsr.safetensors
  ldm-mac models convert bsr.safetensors again`,
		Flags: append(append([]cli.Flag{
			&cli.StringFlag{Name: "dtype", Usage: "`TYPE` of the stored weights: f16 or f32", DefaultText: "as they are"},
			&cli.BoolFlag{Name: "force", Usage: "replace a model that exists"},
		}, originalFlags()...), reportFlags()[1:]...),
		Action: modelsConvert,
	}
}

func modelsConvert(c *cli.Context) error {
	if c.NArg() != 2 {
		return usagef("%d arguments, want a model and where to write it; see %s --help", c.NArg(), c.Command.HelpName)
	}
	source, destination := c.Args().Get(0), c.Args().Get(1)
	options := compvis.WriteOptions{Program: "ldm-mac " + version}
	if c.IsSet("dtype") {
		dtype, err := parseDType(c.String("dtype"))
		if err != nil {
			return err
		}
		options.DType = &dtype
	}
	report, err := newReporter(c)
	if err != nil {
		return err
	}
	options.Progress = report.bytes
	folder, err := compvis.Open(source, originalOptions(c))
	if err != nil {
		return err
	}
	if len(folder.Missing) > 0 {
		return usagef("%s has no %s: give it with --tokenizer", source, strings.Join(folder.Missing, " and no "))
	}
	single := strings.EqualFold(filepath.Ext(destination), ".safetensors")
	if err := convertible(source, destination, single, c.Bool("force")); err != nil {
		return outputError(err)
	}
	writing.Lock() // so that a second signal waits until what is unfinished is removed
	defer writing.Unlock()
	temporary := filepath.Join(filepath.Dir(destination), fmt.Sprintf(".ldm-mac-%d-%s", os.Getpid(), filepath.Base(destination)))
	if single {
		err = compvis.WriteSingle(c.Context, folder, temporary, options)
	} else {
		err = compvis.WriteFolder(c.Context, folder, temporary, options)
	}
	report.clear()
	if err == nil {
		err = replaceFolder(temporary, destination)
	}
	if err != nil {
		return outputError(err)
	}
	_, err = fmt.Fprintln(c.App.Writer, destination)
	return printed(err)
}

// convertible reports why a model cannot be written to destination, or nil.
func convertible(source, destination string, single, force bool) error {
	to, err := os.Stat(destination)
	if err != nil {
		return nil
	}
	if from, err := os.Stat(source); err == nil && os.SameFile(from, to) {
		return errors.New("the model cannot be written over itself")
	}
	if !single {
		return replaceable(destination, force)
	}
	switch {
	case !to.Mode().IsRegular():
		return fmt.Errorf("%s is no file", destination)
	case !force:
		return fmt.Errorf("%s exists; --force replaces it", destination)
	}
	return nil
}
