package main

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestArrange(t *testing.T) {
	for line, want := range map[string]string{
		"":                               "",
		"--version":                      "--version",
		"version":                        "version --",
		"run a b":                        "run -- a b",
		"run a --steps 3 b -q":           "run --steps 3 -q -- a b",
		"run a --steps=3 --force":        "run --steps=3 --force -- a",
		"txt2img -n -x a":                "run -n -x -- a",
		"run -s -1 -s 2 a":               "run -s -1 -s 2 -- a",
		"run --force -- --steps 3":       "run --force -- --steps 3",
		"run - -q":                       "run -q -- -",
		"run a --help":                   "run --help",
		"help run":                       "run --help",
		"help":                           "--help",
		"help models random":             "models random --help",
		"run help":                       "run -- help",
		"models random arch -o dir":      "models random -o dir -- arch",
		"models":                         "models",
		"run --prompt --steps":           "run --prompt --steps --",
		"run -negative dog a -prompt=x ": "run -negative dog -prompt=x -- a",
	} {
		got, err := arrange(newApp(), append([]string{"ldm-mac"}, strings.Fields(line)...))
		if err != nil {
			t.Errorf("%q: %v", line, err)
			continue
		}
		if !slices.Equal(got[1:], strings.Fields(want)) {
			t.Errorf("%q becomes %q, want %q", line, got[1:], want)
		}
	}
}

func TestArrangeRefuses(t *testing.T) {
	for line, want := range map[string]string{
		"walk":                "unknown command",
		"help walk":           "unknown command",
		"models walk":         "unknown command",
		"run --walk":          "unknown flag --walk",
		"run --walk=3":        "unknown flag --walk;",
		"run a --steps":       "--steps has no value",
		"--json run":          "unknown flag --json",
		"--version run":       "before the command",
		"version --seed 3":    "unknown flag --seed",
		"run -abc":            "unknown flag -abc",
		"models random --eta": "unknown flag --eta",
	} {
		_, err := arrange(newApp(), append([]string{"ldm-mac"}, strings.Fields(line)...))
		var f *failure
		if !errors.As(err, &f) || f.status != exitUsage || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want a mistake in the usage with %q", line, err, want)
		}
	}
}

func TestEditDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"abc", "axc", 1},
		{"abc", "ac", 1}, {"ab", "ba", 1}, {"stpes", "steps", 1}, {"kitten", "sitting", 3},
	} {
		if got := editDistance(c.a, c.b); got != c.want {
			t.Errorf("%q to %q: %d edits, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	candidates := []string{"euler", "euler_a", "heun"}
	for name, want := range map[string]string{
		"eular": " (did you mean euler?)", "euler-a": " (did you mean euler_a?)", "ddim": "", "": "",
	} {
		if got := didYouMean(name, candidates); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
