package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"ldm-mac/ldm/tensor"
	"ldm-mac/ldm/verify"
)

func verifyCommand() *cli.Command {
	return &cli.Command{
		Name: "verify", Usage: "compare what this machine computes with published numbers",
		Description: `Prints a line for each check and exits with status 1 if any fails. With --model the model's
weights are checked too, and the published picture where it is the paper's text-to-image model.
With --device the GPU is compared with the CPU instead: the whole suite for backends, tiny
networks and a picture of the built-in model. The JSON of that says all that a report of an error
needs. With --tune it is first measured whether Apple's MPSGraph or this program's own kernels
compute products and convolutions faster on this GPU. The result is kept for later runs; nothing
else should use the GPU meanwhile.

Examples:
  ldm-mac verify
  ldm-mac verify --json
  ldm-mac verify --device --tune --help`,
		Flags: append([]cli.Flag{
			&cli.BoolFlag{Name: "json", Category: "Report", Usage: "print one JSON object"},
			&cli.BoolFlag{Name: "device", Category: "Machine", Usage: "compare the GPU with the CPU"},
			&cli.BoolFlag{Name: "tune", Category: "Machine", Usage: "with --device: measure what is fastest on this GPU, and keep it"},
			&cli.IntFlag{Name: "steps", Category: "Machine", Value: 20, Usage: "`N` sampling steps of the picture of --device"},
			modelFlag(),
		}, backendFlags()...),
		Action: verifyAction,
	}
}

// verdict is the result of one check; also the form of it in --json.
type verdict struct {
	Group      string  `json:"group"`
	Name       string  `json:"name"`
	Source     string  `json:"source"`
	Passed     bool    `json:"passed"`
	Difference float64 `json:"difference"`
	Tolerance  float64 `json:"tolerance"`
	Error      string  `json:"error,omitempty"`
	Duration   int64   `json:"duration_ms"`
}

// verification is what --json prints.
type verification struct {
	Version int       `json:"version"`
	Backend string    `json:"backend"`
	Device  *device   `json:"device,omitempty"` // of --device
	Tuning  *tuned    `json:"tuning,omitempty"` // of --tune
	Checks  []verdict `json:"checks"`
	Passed  int       `json:"passed"`
	Failed  int       `json:"failed"`
}

func verifyAction(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	if c.Bool("device") {
		return verifyDevice(c)
	}
	if c.Bool("tune") {
		return usagef("--tune measures a GPU, and goes with --device")
	}
	backend, err := openBackend(c, "", warnPlain(c))
	if err != nil {
		return err
	}
	defer backend.Close()
	checks := verify.Checks(backend)
	if c.IsSet("model") {
		folder, err := openFolder(c.String("model"))
		if err != nil {
			return err
		}
		m, err := openModel(backend, folder, c.String("model"))
		if err != nil {
			return err
		}
		defer m.Close()
		if err := m.CheckWeights(); err != nil {
			return err
		}
		if check, ok := verify.PipelineCheck(m.Pipeline); ok {
			checks = append(checks, check)
		}
	}
	v, err := runChecks(c, backend, checks)
	if err != nil {
		return err
	}
	return v.report(c)
}

// report prints the results, and is an error if one failed.
func (v *verification) report(c *cli.Context) (err error) {
	if c.Bool("json") {
		err = writeJSON(c.App.Writer, v)
	} else {
		err = v.print(c.App.Writer)
	}
	if err == nil && v.Failed > 0 {
		return fmt.Errorf("%d of %d checks failed", v.Failed, len(v.Checks))
	}
	return printed(err)
}

func runChecks(c *cli.Context, backend tensor.Backend, checks []verify.Check) (*verification, error) {
	v := &verification{Version: 1, Backend: backend.Name(), Checks: []verdict{}}
	for _, check := range checks {
		if err := c.Context.Err(); err != nil {
			return nil, err
		}
		start := time.Now()
		difference, tolerance, err := check.Run()
		d := verdict{
			Group: check.Group, Name: check.Name, Source: check.Source, Duration: time.Since(start).Milliseconds(),
			Passed: err == nil && difference <= tolerance,
		}
		if err != nil {
			d.Error = err.Error()
		} else if difference == difference { // JSON knows no NaN
			d.Difference, d.Tolerance = difference, tolerance
		} else {
			d.Error, d.Tolerance = "the result is not a number", tolerance
		}
		if d.Passed {
			v.Passed++
		} else {
			v.Failed++
		}
		v.Checks = append(v.Checks, d)
	}
	return v, nil
}

// print writes a table.
func (v *verification) print(w io.Writer) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "\tGROUP\tCHECK\tDIFFERENCE\tTOLERANCE\tMS\tSOURCE")
	for _, d := range v.Checks {
		mark := "ok"
		if !d.Passed {
			mark = "FAIL"
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%.2g\t%.2g\t%d\t%s\n", mark, d.Group, d.Name, d.Difference, d.Tolerance, d.Duration, d.Source)
		if d.Error != "" {
			fmt.Fprintf(out, "\t\t%s\n", d.Error)
		}
	}
	fmt.Fprintf(out, "\n%d of %d checks passed on %s\n", v.Passed, len(v.Checks), v.Backend)
	return out.Flush()
}

// warnPlain prints warnings for commands without a reporter.
func warnPlain(c *cli.Context) func(string) {
	return func(message string) { fmt.Fprintf(c.App.ErrWriter, "ldm-mac: warning: %s\n", message) }
}
