package metal

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ldm-mac/ldm/tensor"
)

// decides tells what t says of a problem.
func decides(t *Tuning, p Problem) bool {
	if p.Side > 0 {
		return byRule(t.Convolutions, p.Rows, p.Columns, p.Terms, p.Residual)
	}
	return t.productByKernel(p.Rows, p.Columns, p.Terms, p.Residual)
}

// TestTuningOf lets each problem be won by each side, as its number's bits say, so that neighbours
// differ, and checks that the rules give every winner back.
func TestTuningOf(t *testing.T) {
	list := problems(1, 1)
	standard := DefaultTuning(ReferenceDevice)
	for bit := range 6 {
		var measured []Measurement
		for i, p := range list {
			m := Measurement{Problem: p, Graph: 1, Kernel: 2, Noise: 0.5}
			if i>>bit&1 == 1 {
				m.Kernel = 0.25
			}
			measured = append(measured, m)
		}
		tuning := tuningOf(measured, standard)
		for _, m := range measured {
			if got := decides(&tuning, m.Problem); got != (m.Kernel < m.Graph) {
				t.Errorf("bit %d: %+v: kernel %t", bit, m, got)
			}
		}
		// The time embedding of one picture is as that of four.
		if one := (Problem{Rows: 2, Columns: 640, Terms: 1280}); decides(&tuning, one) != decides(&tuning, Problem{Rows: 8, Columns: 1280, Terms: 1280}) {
			t.Errorf("bit %d: the time embedding of one picture is computed as another product", bit)
		}
		// The latents' convolutions are not measured, and remain as they were.
		if !byRule(tuning.Convolutions, 8192, 320, 36, false) || !byRule(tuning.Convolutions, 8192, 4, 2880, false) {
			t.Errorf("bit %d: the graph computes a convolution of few channels", bit)
		}
	}
}

// TestTuningOfTies keeps what the standard says where the difference is noise.
func TestTuningOfTies(t *testing.T) {
	standard := DefaultTuning(ReferenceDevice)
	var measured []Measurement
	for i, p := range problems(1, 1) {
		measured = append(measured, Measurement{Problem: p, Graph: 2, Kernel: 2 + 0.5*float64(i%3-1), Noise: 0.5})
	}
	tuning := tuningOf(measured, standard)
	for _, m := range measured {
		if got, want := decides(&tuning, m.Problem), decides(&standard, m.Problem); got != want {
			t.Errorf("%+v: kernel %t, want %t", m.Problem, got, want)
		}
	}
}

// TestTuningOfBetween asks about what was not measured: the smallest larger problem decides, one
// with a residual if there is one; what is larger than all is as in the standard.
func TestTuningOfBetween(t *testing.T) {
	measured := []Measurement{
		{Problem: Problem{Rows: 100, Columns: 100, Terms: 100}, Graph: 1, Kernel: 2},
		{Problem: Problem{Rows: 10, Columns: 10, Terms: 10}, Graph: 2, Kernel: 1},
		{Problem: Problem{Rows: 50, Columns: 50, Terms: 50, Residual: true}, Graph: 2, Kernel: 1},
	}
	tuning := tuningOf(measured, Tuning{Products: []Rule{{Kernel: true}}})
	for _, c := range []struct {
		problem Problem
		kernel  bool
	}{
		{Problem{Rows: 9, Columns: 10, Terms: 1}, true},
		{Problem{Rows: 11, Columns: 10, Terms: 1}, false},
		{Problem{Rows: 11, Columns: 10, Terms: 1, Residual: true}, true},
		{Problem{Rows: 51, Columns: 10, Terms: 1, Residual: true}, false},
		{Problem{Rows: 101, Columns: 10, Terms: 1}, true},
	} {
		if got := decides(&tuning, c.problem); got != c.kernel {
			t.Errorf("%+v: kernel %t, want %t", c.problem, got, c.kernel)
		}
	}
}

// small are the problems at a size that the software Metal computes fast, but with more channels
// than the standard's rules are for that precede those measured.
func small() []Problem { return problems(8, 16) }

// TestTuneComputers checks that the two programs of a measurement are what they are taken for.
func TestTuneComputers(t *testing.T) {
	for _, p := range small() {
		_, g, _ := p.graphs()
		own := []Rule{{Kernel: true}}
		for _, tuning := range []*Tuning{{}, {Products: own, Convolutions: own}} {
			plan, err := PlanOf(g, Options{DType: tensor.F16, Tuning: tuning}, ReferenceDevice)
			if err != nil {
				t.Fatal(err)
			}
			graphs, launches := 0, 1
			if tuning.Products == nil {
				graphs, launches = 1, 0
				if p.Residual {
					launches = 1
				}
			}
			if plan.Graphs != graphs || plan.Launches != launches {
				t.Errorf("%+v: %d graphs and %d kernels, want %d and %d", p, plan.Graphs, plan.Launches, graphs, launches)
			}
		}
	}
}

func TestMedian(t *testing.T) {
	if middle, spread := median([]float64{9, 1, 3, 4, 2}); middle != 3 || spread != 1 {
		t.Errorf("median %g, spread %g, want 3 and 1", middle, spread)
	}
}

// written is the file of a Tuning.
func written(t testing.TB, tuning Tuning, device string) string {
	t.Helper()
	var file bytes.Buffer
	if err := tuning.Write(&file, device); err != nil {
		t.Fatal(err)
	}
	return file.String()
}

func TestReadTuning(t *testing.T) {
	const device = "Apple M9 applegpu_g99p"
	want := DefaultTuning(ReferenceDevice)
	whole := written(t, want, device)
	path := filepath.Join(t.TempDir(), "tuning.json")
	for _, c := range []struct{ name, text, failure string }{
		{"whole", whole, ""},
		{"of another device", written(t, want, "Apple M8 "), `for device "Apple M8 "`},
		{"of other kernels", strings.Replace(whole, `"shaders": "`, `"shaders": "0`, 1), "for kernels"},
		{"of another version", strings.Replace(whole, `"version": 1`, `"version": 2`, 1), "version 2, want 1"},
		{"with a negative rule", strings.Replace(whole, `"max_rows": 8`, `"max_rows": -8`, 1), "at most -8"},
		{"with a negative tile", written(t, Tuning{SmallTile: -1}, device), "-1 threadgroups"},
		{"with too many rules", written(t, Tuning{Products: make([]Rule, mostRules+1)}, device), "1025 rules"},
		{"cut", whole[:len(whole)/2], "unexpected end"},
		{"too long", whole + strings.Repeat(" ", mostTuningBytes), "more than 1048576 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := ReadTuning(path, device)
			if c.failure != "" {
				if err == nil || !strings.Contains(err.Error(), c.failure) || !strings.Contains(err.Error(), path) {
					t.Errorf("the error is %v, want %q about %s", err, c.failure, path)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if _, err := ReadTuning(filepath.Join(t.TempDir(), "none"), device); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
}

// FuzzTuning reads any text. What is accepted can be written, and is then read as the same.
func FuzzTuning(f *testing.F) {
	const device = "device"
	whole := written(f, DefaultTuning(ReferenceDevice), device)
	f.Add([]byte(whole))
	f.Add([]byte(written(f, Tuning{}, device)))
	f.Add([]byte(whole[:100]))
	f.Add([]byte(strings.Replace(whole, "8", "-8e99", 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		tuning, err := parseTuning(data, device)
		if err != nil {
			return
		}
		again, err := parseTuning([]byte(written(t, *tuning, device)), device)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tuning, again); diff != "" {
			t.Error(diff)
		}
	})
}
