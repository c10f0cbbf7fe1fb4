// Command ldm-mac makes pictures from prompts with latent diffusion models.
//
// It turns flags into requests to package pipeline and pictures into files. Standard output
// carries results only: the paths of pictures, one a line, a picture's bytes, or one JSON object.
// Everything else goes to standard error. How the program ends is in exit.go.
package main

import (
	"os"

	"github.com/urfave/cli/v2"
)

func main() {
	ctx := signalContext()
	app := newApp()
	args, err := arrange(app, os.Args)
	if err == nil {
		err = app.RunContext(ctx, args)
	}
	os.Exit(report(os.Stderr, ctx, err, wantsJSON(os.Args)))
}

func newApp() *cli.App {
	cli.HelpPrinter = printHelp
	app := &cli.App{
		Name:        "ldm-mac",
		Usage:       "pictures from prompts with latent diffusion models",
		Description: "Examples:\n  ldm-mac run \"a purple elephant, 3d render\"\n  ldm-mac run --help",
		Commands: []*cli.Command{
			generateCommand(), img2imgCommand(), inpaintCommand(), upscaleCommand(), encodeCommand(), decodeCommand(),
			labelsCommand(), tokenizeCommand(), verifyCommand(), benchCommand(), modelsCommand(), versionCommand(),
		},
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "version", Usage: "print the version", DisableDefaultText: true},
		},
		Action: func(c *cli.Context) error {
			if c.Bool("version") {
				return printVersion(c)
			}
			return cli.ShowAppHelp(c)
		},
		HideVersion:               true, // urfave's own takes -v
		HideHelpCommand:           true, // arrange turns "help run" into "run --help"
		DisableSliceFlagSeparator: true,
		OnUsageError:              onUsageError,
		ExitErrHandler:            func(*cli.Context, error) {}, // main reports
	}
	for _, c := range app.Commands {
		adapt(c)
	}
	app.Setup()
	return app
}

// adapt gives a command and those below it what all commands have in common.
func adapt(c *cli.Command) {
	c.HideHelpCommand = true
	c.OnUsageError = onUsageError
	for _, sub := range c.Subcommands {
		adapt(sub)
	}
}
