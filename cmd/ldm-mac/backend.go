package main

import (
	"github.com/urfave/cli/v2"

	"ldm-mac/ldm/cpu"
	"ldm-mac/ldm/tensor"
)

// backendFlags choose what computes.
func backendFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "backend", Usage: "`NAME` what computes: auto or cpu", Value: "auto", Category: "Machine"},
		&cli.IntFlag{Name: "threads", Usage: "`N` processor cores to use", DefaultText: "all", Category: "Machine"},
	}
}

// maxThreads is far above the cores of any machine; every thread has memory of its own.
const maxThreads = 1024

// openBackend opens what the flags choose; the caller closes it.
func openBackend(c *cli.Context) (tensor.Backend, error) {
	threads := c.Int("threads")
	if c.IsSet("threads") && (threads < 1 || threads > maxThreads) {
		return nil, usagef("--threads %d, want 1 to %d", threads, maxThreads)
	}
	switch name := c.String("backend"); name {
	case "auto", "cpu":
		return cpu.New(threads), nil
	default:
		return nil, usagef("unknown backend %q, want auto or cpu", name)
	}
}
