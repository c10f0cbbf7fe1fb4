package main

import (
	"errors"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"ldm-mac/ldm/goldentest"
)

// brokenCase is a file of the fixture: what is wrong with it, and what has to happen.
type brokenCase struct{ File, Wrong, Must string }

// place is where in a model's folder the file takes the place of a sound one, or "" for a kind of
// file that the program does not read.
func (c brokenCase) place(content string) string {
	kind, name, _ := strings.Cut(c.File, "/")
	switch {
	case kind == "safetensors" || kind == "pickle" && path.Ext(name) == ".safetensors":
		return "unet/diffusion_pytorch_model.safetensors"
	case kind == "pickle":
		return "unet/diffusion_pytorch_model.bin"
	case kind == "config" && strings.HasPrefix(name, "scheduler"):
		return "scheduler/scheduler_config.json"
	case kind == "config" && strings.Contains(content, "Autoencoder"):
		return "vqvae/config.json"
	case kind == "config":
		return "unet/config.json"
	case strings.HasPrefix(name, "tokenizer"):
		return "tokenizer/vocab.txt"
	case path.Base(name) == "model_index.json":
		return "model_index.json"
	case kind == "folder":
		return "unet/" + path.Base(name)
	}
	return ""
}

// TestGoldenBroken runs the program on models with one broken file, and makes pictures from broken
// pictures. It has to end with status 3 and a message that names the file.
func TestGoldenBroken(t *testing.T) {
	var cases struct{ Cases []brokenCase }
	f := goldentest.Open(t, "broken", &cases)
	ran, skipped := 0, map[string]int{}
	for _, c := range cases.Cases {
		source := f.Path(filepath.FromSlash(c.File))
		content, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := strings.Cut(c.File, "/")
		at := c.place(string(content))
		if at == "" && kind != "png" {
			skipped[kind]++
			continue
		}
		ran++
		t.Run(c.File, func(t *testing.T) {
			args, named := []string{"run", "--from", source}, filepath.Base(source)
			if kind != "png" {
				model := brokenModel(t, at, content)
				args, named = []string{"run", "x", "--steps", "1", "--model", model}, filepath.Join(model, filepath.Dir(at))
			}
			runBroken(t, c, args, named)
		})
	}
	f.Count(ran)
	t.Logf("not read by the program: %v", skipped)
}

// brokenModel is a sound model but for one file. Of weights, no others are left beside it.
func brokenModel(t *testing.T, at string, content []byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model")
	if err := os.CopyFS(dir, os.DirFS(tinyModel(t))); err != nil {
		t.Fatal(err)
	}
	if path.Dir(at) == "unet" && path.Base(at) != "config.json" {
		if err := os.Remove(filepath.Join(dir, "unet", "diffusion_pytorch_model.safetensors")); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(at)), content, 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}

func runBroken(t *testing.T, c brokenCase, args []string, named string) {
	cmd := exec.Command("ldm-mac", args...)
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	status := cmd.ProcessState.ExitCode()
	allowed := []int{exitInput}
	if strings.Contains(c.Must, "read") {
		allowed = append(allowed, 0)
	}
	if !slices.Contains(allowed, status) {
		t.Errorf("%s: status %d, want %d\n%s", c.Wrong, status, allowed, out)
	}
	if status != 0 && !strings.Contains(string(out), named) {
		t.Errorf("%s: the message does not name %s: %s", c.Wrong, named, out)
	}
	left, err := os.ReadDir(cmd.Dir)
	if err != nil || status != 0 && len(left) > 0 {
		t.Errorf("%s: left behind %v, %v", c.Wrong, left, err)
	}
	// A run of the tiny model takes 60 MiB; what the files claim begins at gigabytes.
	const most = 512 << 20
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok && runtime.GOOS == "linux" && usage.Maxrss > most>>10 {
		t.Errorf("%s: %d KiB of memory, want at most %d", c.Wrong, usage.Maxrss, most>>10)
	}
}
