//go:build unix

// Command systems draws a picture with the full-size architecture of every published system, with
// random weights and the built program as its users have it, and writes what that took as a table in
// Markdown.
//
//	systems [-program bin/ldm-mac] [-runs N] [-o FILE] [SYSTEM]...
//
// Each model is written to a temporary folder, and removed before the next one is: it takes up to
// 3 GB of disk, and its run up to 5 GB of memory. Times are the least of all runs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"ldm-mac/ldm/arch"
	"ldm-mac/ldm/tensor"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "systems:", err)
		os.Exit(1)
	}
}

// run measures what the arguments name, and writes the table to out, or the file named, when all is
// done; progress goes to log.
func run(ctx context.Context, args []string, out, log io.Writer) error {
	flags := flag.NewFlagSet("systems", flag.ContinueOnError)
	program := flags.String("program", "bin/ldm-mac", "the program to measure")
	runs := flags.Int("runs", 1, "of each system; the shortest times count")
	file := flags.String("o", "", "file to write; standard output if empty")
	if err := flags.Parse(args); err != nil {
		return err
	}
	names := flags.Args()
	if len(names) == 0 {
		names = arch.Names()
	}
	for _, name := range names {
		if !slices.Contains(arch.Names(), name) {
			return fmt.Errorf("system %q, want one of %q", name, arch.Names())
		}
	}
	path, err := filepath.Abs(*program)
	if err != nil {
		return err
	}
	if *runs < 1 {
		return fmt.Errorf("%d runs, want at least 1", *runs)
	}
	var rows []row
	for _, name := range names {
		measured, err := measureSystem(ctx, path, name, *runs, log)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		rows = append(rows, measured...)
	}
	text := table(machine(), rows)
	if *file == "" {
		_, err := io.WriteString(out, text)
		return err
	}
	return os.WriteFile(*file, []byte(text), 0o666)
}

// measureSystem writes a system's model, measures all its drawings, and removes it.
func measureSystem(ctx context.Context, program, name string, runs int, log io.Writer) ([]row, error) {
	parameters, err := arch.CountParameters(name)
	if err != nil {
		return nil, err
	}
	drawings, err := drawingsOf(name)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "ldm-mac-systems-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := writePictures(dir); err != nil {
		return nil, err
	}
	fmt.Fprintf(log, "%s: writing %.1f GB\n", name, 2e-9*float64(parameters.UNet+parameters.Condition+parameters.FirstStage))
	if err := arch.WriteRandom(ctx, name, filepath.Join(dir, "model"), 0, tensor.F16, nil); err != nil {
		return nil, err
	}
	var rows []row
	for _, d := range drawings {
		r := row{system: name, size: d.size, parameters: parameters}
		if r.estimate, err = estimate(ctx, program, dir, d.args); err != nil {
			return nil, err
		}
		for range runs {
			m, err := measure(ctx, program, dir, d.args)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(log, "%s, %s: %.2f s a step, %.2f s to decode, %s of memory, %s expected; it had %.0f %% of all cores\n",
				name, d.size, m.step.Seconds(), m.decode.Seconds(), gib(m.peak), gib(r.estimate), 100*m.share)
			r.add(m)
		}
		rows = append(rows, r)
	}
	return rows, nil
}
