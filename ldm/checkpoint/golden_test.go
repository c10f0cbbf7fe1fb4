package checkpoint_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/goldentest"
	"ldm-mac/ldm/tensor"
)

func TestGoldenCheckpointFormats(t *testing.T) {
	var cases struct{ Files map[string]string }
	folder := goldentest.Open(t, "ckpt-formats", &cases)
	want, err := checkpoint.Open(folder.Path("expect.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	for name := range cases.Files {
		got, err := checkpoint.Open(folder.Path(name))
		if err != nil {
			t.Error(err)
			continue
		}
		if !slices.Equal(got.Names(), want.Names()) {
			t.Errorf("%s holds %q, want %q", name, got.Names(), want.Names())
		}
		for _, key := range want.Names() {
			g, ok := got.Weight(key)
			w, _ := want.Weight(key)
			if !ok || g.Name != key || !g.Shape.Equal(w.Shape) || g.DType != w.DType || !bytes.Equal(g.Data, w.Data) {
				t.Errorf("%s: %q differs:\n%+v\n%+v", name, key, g, w)
			}
		}
		if err := got.Close(); err != nil {
			t.Error(err)
		}
	}
	folder.Count(len(cases.Files))
}

// maxAllocated bounds what one broken file may make the reader allocate: the 16 MiB that it may
// inflate or copy for a small file, and as much again for values on the way.
const maxAllocated = 32 << 20

type brokenCase struct{ File, Wrong, Must string }

// mayRead and mayRefuse read what a case asks for out of its words.
func (c brokenCase) mayRead() bool {
	return regexp.MustCompile(`\b(read|load|skip)\b`).MatchString(c.Must)
}
func (c brokenCase) mayRefuse() bool { return strings.Contains(c.Must, "refuse") }

func TestGoldenBroken(t *testing.T) {
	var cases struct {
		Command string `json:"command_in_pickles"`
		Cases   []brokenCase
	}
	folder := goldentest.Open(t, "broken", &cases)
	t.Chdir(t.TempDir()) // where a command in a pickle would leave its trace
	var done int
	var left []string
	for _, c := range cases.Cases {
		run := reader(c)
		if run == nil {
			left = append(left, c.File)
			continue
		}
		t.Run(c.File, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := run(t, folder.Path(c.File))
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > maxAllocated {
				t.Errorf("allocated %d bytes, want at most %d", n, maxAllocated)
			}
			if err == nil && !c.mayRead() {
				t.Errorf("was read, want: %s (%s)", c.Must, c.Wrong)
			}
			if err != nil && !c.mayRefuse() {
				t.Errorf("%v, want: %s (%s)", err, c.Must, c.Wrong)
			}
			if err != nil {
				t.Log(err)
				printable(t, err)
				var model *checkpoint.Error
				if !errors.As(err, &model) || !strings.Contains(err.Error(), filepath.Base(model.Path)+`"`) || model.Path == "" {
					t.Errorf("%v is no *checkpoint.Error that names the file", err)
				}
			}
		})
		done++
	}
	if trace, _ := os.ReadDir("."); len(trace) > 0 {
		t.Errorf("a pickle was executed: found %v of %q", trace, cases.Command)
	}
	folder.Count(done)
	t.Logf("left to the packages that read them: %q", left)
}

// reader returns what reads a case's file the way a model loader would; nil when that is not this
// package's work.
func reader(c brokenCase) func(t *testing.T, name string) error {
	group, base := strings.SplitN(c.File, "/", 2)[0], path.Base(c.File)
	switch {
	case group == "safetensors" || group == "pickle" || strings.HasSuffix(base, ".index.json"):
		return func(t *testing.T, name string) error { return readWeights(t, name, c) }
	case base == "model_index.json":
		return func(t *testing.T, name string) error {
			_, err := checkpoint.OpenFolder(filepath.Dir(name))
			return err
		}
	case group == "config":
		if data, err := os.ReadFile(filepath.Join(goldentest.Root(), "broken", c.File)); err == nil &&
			json.Valid(data) && !strings.Contains(c.Wrong, "is a text") {
			return nil // wrong in what the numbers mean
		}
		return readConfig
	}
	return nil
}

// readWeights binds every tensor to a weight of its own shape.
func readWeights(t *testing.T, name string, c brokenCase) error {
	file, err := checkpoint.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	if strings.Contains(c.Must, "say so") && len(file.Foreign()) == 0 {
		t.Errorf("%s: was read and nothing is said of what was left out", c.File)
	}
	printable(t, checkpoint.Bind(&struct{}{}, file, "")) // lists all names
	checkShapes(t, file, c.Must)
	var unsound error
	for _, key := range file.Names() {
		w, _ := file.Weight(key)
		var model struct {
			W *tensor.Weight `weight:""`
		}
		model.W = tensor.NewWeight(w.Shape...)
		if err := checkpoint.Bind(&model, file, key); err != nil {
			return err
		}
		if err := checkpoint.CheckFinite("model", &model); err != nil && unsound == nil {
			unsound = err
			if !strings.Contains(err.Error(), strconv.Quote(key)) {
				t.Errorf("%v does not name %q", err, key)
			}
		}
	}
	if named := strings.Contains(c.Must, "name the tensor"); named && unsound == nil || !named && !c.mayRefuse() && unsound != nil {
		t.Errorf("%s: the check for finite weights says %v, want: %s", c.File, unsound, c.Must)
	}
	return nil
}

// checkShapes compares with words such as "two tensors a[4,3], b[2,2]".
func checkShapes(t *testing.T, file *checkpoint.File, must string) {
	for _, match := range regexp.MustCompile(`(\w+) ?\[([\d,]+)\]`).FindAllStringSubmatch(must, -1) {
		w, ok := file.Weight(match[1])
		if want := "[" + strings.ReplaceAll(match[2], ",", ", ") + "]"; !ok || w.Shape.String() != want {
			t.Errorf("%q is %+v, want shape %s", match[1], w, want)
		}
	}
}

func readConfig(t *testing.T, name string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	folder, err := checkpoint.OpenFolderFS("model", fstest.MapFS{
		"model_index.json": {Data: []byte(`{"_class_name": "P", "part": ["diffusers", "C"]}`)},
		"part/config.json": {Data: data},
	})
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Class     string  `json:"_class_name"`
		Channels  int     `json:"in_channels"`
		BetaStart float64 `json:"beta_start"`
	}
	err = folder.Config("part", &config)
	if err == nil && config.Class == "" {
		t.Errorf("%s was read as nothing", name)
	}
	return err
}

// printable makes sure that a message sends nothing to a terminal but text.
func printable(t *testing.T, err error) {
	t.Helper()
	for _, r := range fmt.Sprint(err) {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
			t.Fatalf("message %q has a control character", err)
		}
	}
}
