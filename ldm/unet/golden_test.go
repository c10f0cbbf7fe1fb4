package unet

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"ldm-mac/ldm/goldentest"
	"ldm-mac/ldm/tensor"
)

type opsCase struct {
	Name  string           `json:"name"`
	What  string           `json:"what"`
	Out   string           `json:"out"`
	Error goldentest.Error `json:"fp32_vs_float64"`
}

var sinusoid = regexp.MustCompile(`dim (\d+), (cos|sin) first.*shift (\d+)`)

func TestGoldenTimestepEmbedding(t *testing.T) {
	var fixture struct {
		Cases []opsCase `json:"cases"`
	}
	f := goldentest.Open(t, "ops", &fixture)
	cases := 0
	for _, c := range fixture.Cases {
		if !strings.HasPrefix(c.Name, "timestep_embedding/") {
			continue
		}
		m := sinusoid.FindStringSubmatch(c.What)
		if m == nil {
			t.Errorf("%s: %q does not say what it is", c.Name, c.What)
			continue
		}
		dim, _ := strconv.Atoi(m[1])
		shift, _ := strconv.ParseFloat(m[3], 64)
		timesteps := numbers(f, c.Name+"/in_t")
		want, _ := f.Floats(c.Out)
		got := make([]float32, len(want))
		TimestepEmbedding(got, timesteps, dim, m[2] == "cos", shift)
		goldentest.Compare(t, c.Name, got, want, goldentest.Bound(c.Error.Max))
		cases++
	}
	f.Count(cases)
}

// numbers is a tensor of time steps, which are integers or have fractions.
func numbers(f *goldentest.Folder, name string) (out []float64) {
	if f.Weight(name).DType == tensor.I64 {
		values, _ := f.Ints(name)
		for _, v := range values {
			out = append(out, float64(v))
		}
		return out
	}
	values, _ := f.Floats(name)
	for _, v := range values {
		out = append(out, float64(v))
	}
	return out
}

// A config.json of a U-Net that cannot be built is refused, before memory is spent on it.
func TestGoldenBrokenUNetConfig(t *testing.T) {
	var fixture struct {
		Cases []struct{ File, Wrong, Must string } `json:"cases"`
	}
	f := goldentest.Open(t, "broken", &fixture)
	cases := 0
	for _, c := range fixture.Cases {
		data, err := os.ReadFile(f.Path(filepath.FromSlash(c.File)))
		if err != nil {
			t.Fatal(err)
		}
		config := DefaultConfig()
		if !strings.HasPrefix(c.File, "config/") || json.Unmarshal(data, &config) != nil || !strings.Contains(string(data), "down_block_types") {
			continue // no JSON, which the reader of folders refuses, or another component's
		}
		cases++
		_, err = New(&config)
		t.Logf("%s (%s): %v", c.File, c.Wrong, err)
		if refuse := strings.HasPrefix(c.Must, "refuse"); refuse != (err != nil) {
			t.Errorf("%s (%s): got %v, want %s", c.File, c.Wrong, err, c.Must)
		}
	}
	f.Count(cases)
}
