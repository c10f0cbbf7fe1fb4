//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"ldm-mac/ldm/arch"
)

// row is what drawing a picture took.
type row struct {
	system, size string
	parameters   arch.Parameters
	estimate     int64
	measurement  // the shortest times, and the most memory
	measured     bool
}

// add takes another run into account.
func (r *row) add(m measurement) {
	if r.measured {
		m.step, m.decode, m.peak = min(r.step, m.step), min(r.decode, m.decode), max(r.peak, m.peak)
	}
	r.measurement, r.measured = m, true
}

// table is the file.
func table(machine string, rows []row) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# The published systems at full size

Each system was written with `+"`ldm-mac models random`"+` in float16, and drew one picture in %s
steps with --backend cpu, in float32, and all other settings at their defaults, on %s. A step with
guidance evaluates the U-Net for two images at once. Decoding is everything from the last step to
the written file, and the memory is the most that the process ever had resident, mapped weights
among it; what --dry-run expects is beside it. `+"`make systems`"+` repeats the table.

| system | pixels | parameters: U-Net | condition | first stage | s/step | decoding, s | memory | expected |
|---|---|---|---|---|---|---|---|---|
`, steps, machine)
	for _, r := range rows {
		p := r.parameters
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %.2f | %.2f | %s | %s |\n", r.system, r.size, millions(p.UNet), millions(p.Condition),
			millions(p.FirstStage), r.step.Seconds(), r.decode.Seconds(), gib(r.peak), gib(r.estimate))
	}
	return b.String()
}

func millions(n int) string {
	if n == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f M", float64(n)/1e6)
}

func gib(bytes int64) string { return fmt.Sprintf("%.2f GiB", float64(bytes)/(1<<30)) }

// machine names the processor and the cores that are used.
func machine() string {
	name := "an unknown processor"
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(data)) {
			if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "model name" {
				name = strings.TrimSpace(value)
			}
		}
	} else if data, err := exec.Command("sysctl", "-n", "machdep.cpu.brand_string").Output(); err == nil {
		name = strings.TrimSpace(string(data))
	}
	return fmt.Sprintf("%d cores of %s", runtime.NumCPU(), name)
}
