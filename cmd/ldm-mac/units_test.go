package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/pipeline"
	"ldm-mac/ldm/tensor"
)

func TestSlug(t *testing.T) {
	for prompt, want := range map[string]string{
		"":                          "image",
		"猫":                         "image",
		"A Purple elephant, 3d!":    "a-purple-elephant-3d",
		"../../etc/passwd":          "etc-passwd",
		"--":                        "image",
		strings.Repeat("word ", 30): strings.TrimSuffix(strings.Repeat("word-", 10), "-"),
		strings.Repeat("x", 300):    strings.Repeat("x", 50),
	} {
		if got := slug(prompt); got != want {
			t.Errorf("%q: %q, want %q", prompt, got, want)
		}
	}
}

func TestClock(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0:00", 400 * time.Millisecond: "0:00", 61 * time.Second: "1:01", 3600 * time.Second: "1:00:00",
		100*time.Hour + 62*time.Second: "100:01:02",
	} {
		if got := clock(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestClassify(t *testing.T) {
	background := context.Background()
	ended, cancel := context.WithCancelCause(background)
	cancel(interrupted{15})
	model := &checkpoint.Error{Path: "x", Err: errors.New("bad")}
	missing := &checkpoint.Error{Path: "x", Err: fs.ErrNotExist}
	for _, c := range []struct {
		ctx    context.Context
		err    error
		status int
		code   string
	}{
		{background, errors.New("x"), exitFailed, "failed"},
		{background, fs.ErrNotExist, exitFailed, "failed"},
		{background, usagef("x"), exitUsage, "usage"},
		{background, &pipeline.RequestError{Err: errors.New("x")}, exitUsage, "usage"},
		{background, fmt.Errorf("a: %w", model), exitInput, "model_invalid"},
		{background, fmt.Errorf("a: %w", missing), exitInput, "model_not_found"},
		{background, inputError(fs.ErrNotExist), exitInput, "file_not_found"},
		{background, inputError(model), exitInput, "file_invalid"},
		{background, outputError(model), exitFailed, "output"},
		{background, fmt.Errorf("a: %w", tensor.ErrOutOfMemory), exitMemory, "out_of_memory"},
		{ended, context.Canceled, 143, "terminated"},
		{ended, outputError(context.Canceled), 143, "terminated"},
	} {
		if status, code := classify(c.ctx, c.err); status != c.status || code != c.code {
			t.Errorf("%v: status %d, %q, want %d, %q", c.err, status, code, c.status, c.code)
		}
	}
}

// TestHash compares the hash of a model with that of its U-Net's file.
func TestHash(t *testing.T) {
	dir := tinyModel(t)
	folder, err := openFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	m, err := openModel(nil, folder, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	got, err := m.hash(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	want, err := fileHash(filepath.Join(dir, "unet", "diffusion_pytorch_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("hash %s, want %s", got, want)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := m.hash(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v after the end of the context", err)
	}
}

func TestRandomSeed(t *testing.T) {
	const most = 1 << 32
	if seed := randomSeed(1); seed < 0 || seed >= most {
		t.Errorf("seed %d, want 0 to 2^32-1", seed)
	}
	if seed := randomSeed(most); seed != 0 {
		t.Errorf("seed %d leaves no room for 2^32 of them", seed)
	}
	first := randomSeed(1)
	for range 3 { // all equal once in 2^96
		if randomSeed(1) != first {
			return
		}
	}
	t.Errorf("four equal seeds: %d", first)
}
