package main

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"ldm-mac/ldm/sampler"
)

// helps returns what --help of the program and of every command prints, by the command's words.
func helps(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	var visit func(path []string, commands []*cli.Command)
	visit = func(path []string, commands []*cli.Command) {
		var stdout, stderr bytes.Buffer
		cmd := exec.Command("ldm-mac", append(path[:len(path):len(path)], "--help")...)
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil || stderr.Len() > 0 {
			t.Errorf("%q --help: %v, with the message %q", path, err, &stderr)
		}
		texts[strings.Join(path, " ")] = stdout.String()
		for _, c := range commands {
			visit(append(path[:len(path):len(path)], c.Name), c.Subcommands)
		}
	}
	visit(nil, newApp().Commands)
	return texts
}

func TestHelp(t *testing.T) {
	for path, text := range helps(t) {
		name := strings.TrimSpace("ldm-mac " + path)
		for _, want := range []string{name + ": ", "\nUsage:\n  " + name + " ", "\nExamples:\n", "-h, --help"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s --help lacks %q:\n%s", name, want, text)
			}
		}
		if strings.ContainsAny(text, "`\x00") || strings.Contains(text, "%!") {
			t.Errorf("%s --help is not finished:\n%s", name, text)
		}
		out, err := exec.Command("ldm-mac", append([]string{"help"}, strings.Fields(path)...)...).Output()
		if err != nil || string(out) != text {
			t.Errorf("help %s differs from --help: %v\n%s", path, err, out)
		}
	}
}

func TestHelpListsSamplers(t *testing.T) {
	text := helps(t)["run"]
	for _, name := range sampler.Names() {
		if !strings.Contains(text, "\n  "+name+" ") {
			t.Errorf("run --help lacks the sampler %s", name)
		}
	}
}

// TestExamples runs the examples of every command's help, in their order and in one folder.
func TestExamples(t *testing.T) {
	for path, text := range helps(t) {
		dir := t.TempDir()
		_, text, _ = strings.Cut(text, "\nExamples:\n")
		text, _, _ = strings.Cut(text, "\n\n")
		for line := range strings.SplitSeq(text, "\n") {
			example := strings.TrimSpace(line)
			if strings.HasPrefix(example, "ldm-mac models ") && !strings.HasSuffix(example, "--help") || strings.HasPrefix(example, "ldm-mac upscale") {
				// Gigabytes, and models that are not here: only that the command line is right. Scripts start these
				// commands.
				if _, err := arrange(newApp(), strings.Fields(line)); err != nil {
					t.Error(err)
				}
				continue
			}
			cmd := exec.Command("sh", "-c", line)
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("example of %q: %s: %v\n%s", path, line, err, out)
			}
		}
	}
}
