//go:build softmetal && linux && cgo

package shaders_test

import (
	"os"
	"path/filepath"
	"testing"

	"ldm-mac/bridge/softmetal"
	"ldm-mac/bridge/softmetal/msl"
	"ldm-mac/shaders"
)

// seeds are the orders of threads under which each test runs.
var seeds = []int{1, 2, 3}

// reorder makes the software Metal run threads in the order of a seed.
func reorder(seed int) {
	s := softmetal.Current()
	s.Seed = seed
	softmetal.Configure(s)
}

func TestCheckersAreOn(t *testing.T) {
	if !softmetal.Current().Checkers {
		t.Error("the software Metal is told to check nothing")
	}
}

// source is a file of shaders.Source().
func source(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "source.metal")
	if err := os.WriteFile(path, []byte(shaders.Source()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestStrict(t *testing.T) {
	if err := msl.CheckStrict(t.Context(), []string{source(t)}, msl.Options{}); err != nil {
		t.Error(err)
	}
}

func TestLint(t *testing.T) {
	problems, err := msl.LintFiles(t.Context(), []string{source(t)}, msl.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
}
