package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"ldm-mac/ldm/imageio"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ldm-mac": main})
}

// tinyModel is the folder of a model that draws nothing, fast.
func tinyModel(t testing.TB) string { return fixtureModel(t, "text2img-tiny") }

// fixtureModel is the folder of a fixture's model.
func fixtureModel(t testing.TB, name string) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "..", "ldm", "testdata", "golden", name, "model"))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestScript(t *testing.T) {
	tiny := tinyModel(t)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("TINY", tiny)
			e.Setenv("GOLDEN", filepath.Dir(filepath.Dir(tiny)))
			e.Setenv("SD", fixtureModel(t, "sd-tiny"))
			e.Setenv("SD2", fixtureModel(t, "sd2-v-tiny"))
			e.Setenv("LDM_MAC_BACKEND", "cpu") // also where there is a device
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exitcode":  exitCode,
			"files":     files,
			"json":      jsonValue,
			"metadata":  metadata,
			"interrupt": interrupt,
			"badmodel":  badModel,
			"bytes":     makeBytes,
		},
	})
}

// exitCode runs a command that has to end with a status: exitcode 2 ldm-mac run.
func exitCode(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// files compares all that a folder holds, hidden files and those of its folders included, with a
// list: files out a.png b/c.png.
func files(ts *testscript.TestScript, _ bool, args []string) {
	root := ts.MkAbs(args[0])
	got := []string{}
	ts.Check(filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		got = append(got, filepath.ToSlash(name))
		return err
	}))
	want := slices.Sorted(slices.Values(args[1:]))
	if slices.Sort(got); !slices.Equal(got, want) {
		ts.Fatalf("%s holds %q, want %q", args[0], got, want)
	}
}

// jsonValue checks a value, written as JSON, of the one JSON object that a stream or file holds:
// json stdout images.0.seed 7.
func jsonValue(ts *testscript.TestScript, _ bool, args []string) {
	var value any
	if err := json.Unmarshal([]byte(ts.ReadFile(args[0])), &value); err != nil {
		ts.Fatalf("%s: %v", args[0], err)
	}
	for key := range strings.SplitSeq(args[1], ".") {
		switch v := value.(type) {
		case map[string]any:
			inner, ok := v[key]
			if !ok {
				ts.Fatalf("no %s in %v", key, v)
			}
			value = inner
		case []any:
			i, err := strconv.Atoi(key)
			ts.Check(err)
			value = v[i]
		default:
			ts.Fatalf("no %s in %v", key, v)
		}
	}
	got, err := json.Marshal(value)
	ts.Check(err)
	if string(got) != args[2] {
		ts.Fatalf("%s is %s, want %s", args[1], got, args[2])
	}
}

// metadata writes a text of a PNG to a file: metadata a.png ldm-mac exact.json. Negated, it checks
// that there is no text.
func metadata(ts *testscript.TestScript, neg bool, args []string) {
	file, err := os.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	defer file.Close()
	texts, err := imageio.ReadText(file)
	ts.Check(err)
	if neg {
		if len(texts) > 0 {
			ts.Fatalf("%s holds the texts %q", args[0], texts)
		}
		return
	}
	for _, t := range texts {
		if t.Keyword == args[1] {
			ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(t.Value+"\n"), 0o666))
			return
		}
	}
	ts.Fatalf("%s has no text %q", args[0], args[1])
}

// interrupt sends a signal to a command when its first event of a kind arrives on standard error,
// and checks its exit status: interrupt INT step 130 ldm-mac run …
func interrupt(ts *testscript.TestScript, _ bool, args []string) {
	signals := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM}
	sent := signals[args[0]]
	want, err := strconv.Atoi(args[2])
	ts.Check(err)
	cmd := exec.Command(args[3], args[4:]...)
	cmd.Dir = ts.MkAbs(".")
	stderr, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	done := false
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		var event struct{ Event string }
		if json.Unmarshal(lines.Bytes(), &event) == nil && event.Event == args[1] && !done {
			done = true
			ts.Check(cmd.Process.Signal(sent))
		}
	}
	cmd.Wait()
	if !done {
		ts.Fatalf("no event %q", args[1])
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// makeBytes writes a file of a repeated byte: bytes big.txt 10000000 97.
func makeBytes(ts *testscript.TestScript, _ bool, args []string) {
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	value, err := strconv.ParseUint(args[2], 10, 8)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Repeat(fmt.Sprintf("%c", value), size)), 0o666))
}
