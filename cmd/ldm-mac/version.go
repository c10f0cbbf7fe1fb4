package main

import (
	"fmt"
	"runtime"

	"github.com/urfave/cli/v2"
)

// version is the program's; a release sets it with -ldflags "-X main.version=1.2.3".
var version = "0.1.0"

func versionCommand() *cli.Command {
	return &cli.Command{
		Name:        "version",
		Usage:       "print the version",
		Description: "Examples:\n  ldm-mac version\n  ldm-mac version --json",
		Flags:       []cli.Flag{&cli.BoolFlag{Name: "json", Usage: "print one JSON object"}},
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			if c.Bool("json") {
				return printed(writeJSON(c.App.Writer, map[string]string{
					"version": version, "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH,
				}))
			}
			return printVersion(c)
		},
	}
}

func printVersion(c *cli.Context) error {
	_, err := fmt.Fprintf(c.App.Writer, "ldm-mac %s\n", version)
	return printed(err)
}

// noArguments refuses what a command would not look at.
func noArguments(c *cli.Context) error {
	if c.NArg() > 0 {
		return usagef("unexpected argument %q; see %s --help", c.Args().First(), c.Command.HelpName)
	}
	return nil
}
