package sampler

import (
	"slices"
	"testing"
)

// TestCompVis checks the two differences that Options.CompVis makes, and that it makes none where
// CompVis has no such sampler.
func TestCompVis(t *testing.T) {
	train, start, end := 1000, 0.0015, 0.0195
	cfg := Config{
		ClassName: "DDIMScheduler", NumTrainTimesteps: &train, BetaStart: &start, BetaEnd: &end, BetaSchedule: "scaled_linear",
		StepsOffset: 1, SetAlphaToOne: new(true), ClipSample: new(false), TimestepSpacing: "leading",
	}
	seven := []float64{995, 853, 711, 569, 427, 285, 143, 1} // range(0, 1000, 1000//7) + 1
	repeated := slices.Insert(slices.Clone(seven), 1, seven[1])
	for _, c := range []struct {
		name    string
		steps   int
		compVis bool
		times   []float64
		draws   int
	}{
		{"ddim", 7, true, seven, 8},
		{"ddim", 7, false, seven[1:], 0},
		{"plms", 7, true, repeated, 9},
		{"ddim", 2, true, []float64{501, 1}, 2},
		{"ddim", 2, false, []float64{501, 1}, 0},
		{"euler", 2, true, []float64{501, 1}, 0},
	} {
		s, err := New(c.name, cfg, Options{Steps: c.steps, CompVis: c.compVis})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Timesteps(); !slices.Equal(got, c.times) {
			t.Errorf("%s, %d steps, CompVis %t: time steps %v, want %v", c.name, c.steps, c.compVis, got, c.times)
		}
		draws := 0
		x := []float32{1, 2}
		model := func(x []float32, _, _ float64, out []float32) error { copy(out, x); return nil }
		if err := s.Sample(x, 1, model, func([]float32) { draws++ }, nil); err != nil {
			t.Fatal(err)
		}
		if draws != c.draws {
			t.Errorf("%s, %d steps, CompVis %t: %d draws, want %d", c.name, c.steps, c.compVis, draws, c.draws)
		}
	}
	if _, err := New("ddim", cfg, Options{Steps: 999, CompVis: true}); err == nil {
		t.Error("999 steps reach training step 1000, which does not exist, without an error")
	}
}
