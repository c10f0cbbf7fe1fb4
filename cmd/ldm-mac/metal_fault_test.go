//go:build softmetal && linux

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ldm-mac/ldm/goldentest"
)

// TestMetalFaults makes the device fail: with --backend metal the program ends with a status and
// says why, with auto it goes on with the CPU; no file is left behind.
func TestMetalFaults(t *testing.T) {
	program, model := metalProgram(t), filepath.Join(goldentest.Root(), "text2img-tiny", "model")
	for _, c := range []struct {
		fault, backend string
		status         int
		wants          string // on standard error
	}{
		{"no-device", "metal", exitDevice, "--backend cpu computes without a GPU"},
		{"no-device", "auto", 0, "the cpu computes instead"},
		{"no-compiler", "metal", exitFailed, "metal"},
		{"no-compiler", "auto", 0, "the cpu computes instead"},
		{"allocation=5", "metal", exitMemory, "out of memory"},
		{"command-buffer=2", "metal", exitFailed, "MTLCommandBufferErrorDomain"},
	} {
		t.Run(c.fault+" "+c.backend, func(t *testing.T) {
			dir := t.TempDir()
			command := exec.Command(program, "run", "x", "--steps", "2", "--seed", "1", "--backend", c.backend,
				"--model", model, "--output", filepath.Join(dir, "x.png"))
			command.Env = append(os.Environ(), "SOFTMETAL_FAULT="+c.fault)
			var stderr strings.Builder
			command.Stderr = &stderr
			err := command.Run()
			status := 0
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				status = exit.ExitCode()
			}
			if status != c.status || !strings.Contains(stderr.String(), c.wants) {
				t.Errorf("status %d, want %d; %q, want %q in it", status, c.status, stderr.String(), c.wants)
			}
			files, err := os.ReadDir(dir)
			if want := map[bool]int{true: 1}[status == 0]; err != nil || len(files) != want {
				t.Errorf("%d files (%v), want %d", len(files), err, want)
			}
		})
	}
}
