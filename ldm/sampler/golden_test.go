package sampler_test

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"testing"

	"ldm-mac/ldm/goldentest"
	"ldm-mac/ldm/sampler"
	"ldm-mac/ldm/tensor"
)

// trajectories is case.json of the fixture: the keys are explained there.
type trajectories struct {
	A, B, C, D float64
	Cases      []struct {
		Scheduler string `json:"scheduler"`
		ID        string `json:"id"`
		Steps     int    `json:"steps"`
		Set       struct {
			Timesteps []float64 `json:"timesteps"`
		} `json:"set_timesteps_kwargs"`
		Step struct {
			Eta    float64 `json:"eta"`
			Order  int     `json:"order"`
			SChurn float64 `json:"s_churn"`
			STMin  float64 `json:"s_tmin"`
			STMax  float64 `json:"s_tmax"`
			SNoise float64 `json:"s_noise"`
		} `json:"step_kwargs"`
		Start  int            `json:"start_step"`
		Config sampler.Config `json:"config"`
		Finite bool           `json:"finite"`
		// TimesDiffer marks cases whose time steps hang on the last bit of a float32 logarithm.
		TimesDiffer bool                       `json:"timesteps_differ_in_float64"`
		Errors      map[string]json.RawMessage `json:"fp32_vs_float64"`
	}
}

func TestGoldenSamplers(t *testing.T) {
	var fixture trajectories
	folder := goldentest.Open(t, "samplers", &fixture)
	perScheduler := map[string]int{}
	for _, c := range fixture.Cases {
		perScheduler[c.Scheduler]++
		t.Run(c.Scheduler+"/"+c.ID, func(t *testing.T) {
			var measured goldentest.Error
			if err := json.Unmarshal(c.Errors["x"], &measured); err != nil {
				t.Fatal(err)
			}
			folder := goldentest.Open(t, "samplers", &struct{}{})
			folder.Tensors(c.Scheduler + ".safetensors")
			values := func(name string) []float32 {
				v, _ := folder.Floats(c.ID + "/" + name)
				return v
			}
			times := timesteps(folder, c.ID)

			c.Config.ClassName = c.Scheduler
			s, err := sampler.New("", c.Config, sampler.Options{
				Steps: c.Steps, Timesteps: c.Set.Timesteps, StartStep: c.Start,
				Eta: c.Step.Eta, Order: c.Step.Order,
				Churn: sampler.Churn{S: c.Step.SChurn, TMin: c.Step.STMin, TMax: c.Step.STMax, Noise: c.Step.SNoise},
			})
			if err != nil {
				t.Fatal(err)
			}
			checkSchedule(t, s, times, folder, c.ID, c.TimesDiffer)

			x := values("x_T")
			n := len(x)
			trace := values("x")
			for i := range x {
				x[i] *= float32(s.InitNoiseSigma())
			}
			if folder.Has(c.ID + "/start_noise") {
				x = values("x0")
				s.AddNoise(x, values("start_noise"), 0)
			}
			got := slices.Clone(x)
			evaluation, drawn := 0, 0
			model := func(x []float32, at, scale float64, out []float32) error {
				if c.TimesDiffer {
					at = times[evaluation]
				}
				for i, v := range x {
					out[i] = float32(fixture.A*float64(v) + fixture.B*math.Sin(fixture.C*float64(v)+at/fixture.D))
				}
				evaluation++
				return nil
			}
			noise := func(z []float32) {
				copy(z, values("noise")[drawn*n:])
				drawn++
			}
			onStep := func(i, of int, at float64, x []float32) error {
				if i+1 != evaluation || of != len(times) {
					t.Errorf("told of step %d of %d after %d of %d evaluations", i, of, evaluation, len(times))
				}
				got = append(got, x...)
				return nil
			}
			if err := s.Sample(x, 1, model, noise, onStep); err != nil {
				t.Fatal(err)
			}
			goldentest.Compare(t, "x", got, trace, goldentest.Bound(measured.Max))
			want := 0
			if folder.Has(c.ID + "/noise") {
				want = len(values("noise")) / n
			}
			if drawn != want {
				t.Errorf("drew noise %d times, want %d", drawn, want)
			}
		})
	}
	for _, name := range slices.Sorted(maps.Keys(perScheduler)) {
		t.Logf("%s: %d cases", name, perScheduler[name])
	}
	folder.Count(len(fixture.Cases))
}

// checkSchedule compares time steps, noise levels and the factor of the first noise.
func checkSchedule(t *testing.T, s *sampler.Sampler, times []float64, folder *goldentest.Folder, id string, differ bool) {
	// diffusers computes times in float32, where those near 1000 are 6e-5 apart and logarithms of
	// σ, of which a training step changes about 0.005, carry 1e-7.
	tolerance := 1e-3
	if differ {
		tolerance = 1
	}
	got := s.Timesteps()
	if len(got) != len(times) {
		t.Fatalf("%d evaluations %v, want %d %v", len(got), got, len(times), times)
	}
	for i, want := range times {
		if !(math.Abs(got[i]-want) <= tolerance) {
			t.Errorf("time step %d is %v, want %v", i, got[i], want)
		}
	}
	init, _ := folder.Floats(id + "/init_noise_sigma")
	goldentest.Compare(t, "init_noise_sigma", []float32{float32(s.InitNoiseSigma())}, init, goldentest.Bound(0))
	if !folder.Has(id + "/sigmas") {
		if s.Sigmas() != nil {
			t.Errorf("sigmas %v, want none", s.Sigmas())
		}
		return
	}
	want, _ := folder.Floats(id + "/sigmas")
	sigmas := make([]float32, len(s.Sigmas()))
	for i, sigma := range s.Sigmas() {
		sigmas[i] = float32(sigma)
	}
	if len(want) > len(sigmas) { // one for each evaluation, all but the first twice
		once := want[:1]
		for i := 1; len(once) < len(sigmas); i += 2 {
			once = append(once, want[i])
		}
		want = once
	}
	goldentest.Compare(t, "sigmas", sigmas, want, goldentest.Bound(0))
}

// timesteps reads the time steps of a case, which some schedulers keep as integers.
func timesteps(folder *goldentest.Folder, id string) []float64 {
	var times []float64
	if name := id + "/timesteps"; folder.Weight(name).DType == tensor.I64 {
		whole, _ := folder.Ints(name)
		for _, t := range whole {
			times = append(times, float64(t))
		}
	} else {
		values, _ := folder.Floats(name)
		for _, t := range values {
			times = append(times, float64(t))
		}
	}
	return times
}
