package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"ldm-mac/ldm/imageio"
	"ldm-mac/metal"
)

// tuned is what --tune found; also the form of it in --json.
type tuned struct {
	File         string              `json:"file"` // where it is kept
	Measurements []metal.Measurement `json:"measurements"`
	tuning       metal.Tuning
}

// tune measures the GPU, and prints what it took unless --json does.
func tune(c *cli.Context, o metal.Options) (*tuned, error) {
	t := &tuned{File: o.TuningFile}
	if t.File == "" {
		return nil, outputError(errors.New("there is no folder for caches in which --tune could keep what it finds"))
	}
	if err := os.MkdirAll(filepath.Dir(t.File), 0o755); err != nil {
		return nil, outputError(err)
	}
	r := reporter{w: c.App.ErrWriter}
	progress := func(done, total int) { r.draw(bar(done, total) + fmt.Sprintf("  measured %d/%d", done, total)) }
	if c.Bool("json") || !term.IsTerminal(int(os.Stderr.Fd())) {
		progress = nil
	}
	var err error
	t.tuning, t.Measurements, err = metal.Tune(c.Context, o, progress)
	r.clear()
	if err != nil {
		return nil, err
	}
	if !c.Bool("json") {
		return t, t.print(c.App.ErrWriter)
	}
	return t, nil
}

// store keeps it for runs on the same device.
func (t *tuned) store(device string) error {
	err := imageio.WriteFile(t.File, true, func(w io.Writer) error { return t.tuning.Write(w, device) })
	if err != nil {
		return outputError(err)
	}
	return nil
}

// print writes a table.
func (t *tuned) print(w io.Writer) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "PROBLEM\tROWS\tCOLUMNS\tTERMS\tADDED\tMPSGRAPH MS\tKERNEL MS\tNOISE MS\tFASTER\t")
	for _, m := range t.Measurements {
		problem, added, faster := "product", "", "MPSGraph"
		if m.Side > 0 {
			problem = "convolution"
		}
		if m.Residual {
			added = "yes"
		}
		switch {
		case m.Tie():
			faster = "neither"
		case m.Kernel < m.Graph:
			faster = "kernel"
		}
		fmt.Fprintf(out, "%s\t%d\t%d\t%d\t%s\t%.3f\t%.3f\t%.3f\t%s\t\n",
			problem, m.Rows, m.Columns, m.Terms, added, 1e3*m.Graph, 1e3*m.Kernel, 1e3*m.Noise, faster)
	}
	fmt.Fprintln(out)
	return out.Flush()
}
