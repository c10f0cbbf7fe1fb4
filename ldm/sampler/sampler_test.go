package sampler_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"ldm-mac/ldm/sampler"
)

// withSuffixes lists every name that New knows.
func withSuffixes() []string {
	var names []string
	for _, name := range sampler.Names() {
		for _, suffix := range []string{"", "_karras", "_exponential", "_beta"} {
			if sampler.Describe(name+suffix) != "" {
				names = append(names, name+suffix)
			}
		}
	}
	return names
}

func normal(seed uint64) sampler.Noise {
	r := rand.New(rand.NewPCG(seed, 0))
	return func(z []float32) {
		for i := range z {
			z[i] = float32(r.NormFloat64())
		}
	}
}

// wave is some network.
func wave(x []float32, t, scale float64, out []float32) error {
	for i, v := range x {
		out[i] = 0.3*v + 0.1*float32(math.Sin(3*float64(v)+t/100))
	}
	return nil
}

func finite(x []float32) bool {
	return !slices.ContainsFunc(x, func(v float32) bool { return math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) })
}

// Data of variance s² have the ideal denoiser E[x₀|x] = αs²x/(α²s²+σ²), and the solution of the
// probability flow is proportional to √(α²s²+σ²) (Karras et al. 2022, appendix B).
func TestOrderOfConvergence(t *testing.T) {
	const variance = 0.25
	alphaBar := make([]float64, 1000)
	product := 1.0
	for i := range alphaBar {
		product *= 1 - (0.0001 + float64(i)/999*0.0199)
		alphaBar[i] = product
	}
	deviation := func(a float64) float64 { return math.Sqrt(a*variance + 1 - a) }
	network := func(x []float32, t, scale float64, out []float32) error {
		a := scale * scale // of those in units of x/α
		if scale == 1 {
			a = alphaBar[int(t)]
		}
		for i, v := range x {
			clean := math.Sqrt(a) * variance / (a*variance + 1 - a) * float64(v)
			out[i] = float32((float64(v) - math.Sqrt(a)*clean) / math.Sqrt(1-a))
		}
		return nil
	}
	// fault is the relative error at training step 240 after n steps from step 960. The step after
	// that, to the end of the schedule, is not looked at.
	fault := func(name string, n int) float64 {
		times := make([]float64, n+1)
		for i := range times {
			times[i] = float64(960 - i*720/n)
		}
		cfg := sampler.Config{BetaStart: new(0.0001), BetaEnd: new(0.02), TimestepSpacing: "linspace", ClipSample: new(false)}
		s, err := sampler.New(name, cfg, sampler.Options{Timesteps: times})
		if err != nil {
			t.Fatal(err)
		}
		unit := func(a float64) float64 {
			if s.InitNoiseSigma() != 1 { // in units of x/α
				return math.Sqrt(a)
			}
			return 1
		}
		x := []float32{float32(deviation(alphaBar[960]) / unit(alphaBar[960]))}
		var reached float64
		err = s.Sample(x, 1, network, nil, func(i, n int, t float64, x []float32) error {
			if i < n-1 {
				reached = float64(x[0])
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return math.Abs(reached*unit(alphaBar[240])/deviation(alphaBar[240]) - 1)
	}
	for _, c := range []struct {
		name     string
		from, to float64 // limits of the factor by which half the step lessens the error
	}{
		// 2 for order 1 and 4 for order 2; 20 % off for steps that are not small yet.
		{"euler", 1.6, 2.4}, {"ddim", 1.6, 2.4},
		{"heun", 3.2, 4.8}, {"dpm2", 3.2, 4.8}, {"dpmpp_2m", 3.2, 4.8}, {"dpmpp_2s", 3.2, 4.8}, {"deis", 3.2, 4.8},
		{"plms", 3.2, 4.8},
		// Better than order 2, but started by lower orders.
		{"lms", 3.2, 40}, {"dpmpp_3m", 3.2, 40}, {"unipc", 3.2, 40},
	} {
		steps := 24
		if c.name == "plms" { // whose error changes its sign near 13 steps
			steps = 60
		}
		coarse, fine := fault(c.name, steps), fault(c.name, 2*steps)
		t.Logf("%s: error %.3g of %d steps, factor %.3g", c.name, coarse, steps, coarse/fine)
		if factor := coarse / fine; !(factor > c.from && factor < c.to) || !(coarse < 0.1) {
			t.Errorf("%s: factor %.3g, want %v to %v", c.name, factor, c.from, c.to)
		}
	}
}

// The stochastic samplers keep the variance of the data; 4000 values know it to 2 %, and the
// steps are not infinitely small.
func TestStochasticVariance(t *testing.T) {
	const variance = 0.25
	for _, name := range []string{"ddpm", "ddim", "euler_a", "dpm2_a", "dpmpp_2m_sde"} {
		opt := sampler.Options{Steps: 200}
		if name == "ddim" {
			opt.Eta = 1
		}
		s, err := sampler.New(name, sampler.Config{PredictionType: "sample", ClipSample: new(false)}, opt)
		v := err != nil // some know no prediction of x₀
		if v {
			s, err = sampler.New(name, sampler.Config{PredictionType: "v_prediction"}, opt)
		}
		if err != nil {
			t.Fatal(err)
		}
		x := make([]float32, 4000)
		noise := normal(1)
		noise(x)
		for i := range x {
			x[i] *= float32(s.InitNoiseSigma())
		}
		a := trainedOn(t)
		err = s.Sample(x, 1, func(x []float32, at, scale float64, out []float32) error {
			signal := scale * scale
			if scale == 1 {
				signal = a[int(at)]
			}
			alpha, sigma := math.Sqrt(signal), math.Sqrt(1-signal)
			for i, value := range x {
				clean := alpha * variance / (signal*variance + 1 - signal) * float64(value)
				out[i] = float32(clean)
				if v {
					out[i] = float32(alpha*(float64(value)-alpha*clean)/sigma - sigma*clean)
				}
			}
			return nil
		}, noise, nil)
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, value := range x {
			sum += float64(value) * float64(value)
		}
		if got := sum / float64(len(x)); math.Abs(got/variance-1) > 0.1 {
			t.Errorf("%s: variance %.4f, want %v", name, got, variance)
		}
	}
}

// trainedOn reads ᾱ back from AddNoise.
func trainedOn(t *testing.T) []float64 {
	t.Helper()
	s, err := sampler.New("ddim", sampler.Config{}, sampler.Options{Steps: 1000})
	if err != nil {
		t.Fatal(err)
	}
	a := make([]float64, 1000)
	for i, at := range s.Timesteps() {
		x := []float32{1}
		s.AddNoise(x, []float32{0}, i)
		a[int(at)] = float64(x[0]) * float64(x[0])
	}
	return a
}

// The images of a batch must not know of each other, also where thresholds look at whole images.
func TestBatchEqualsSingles(t *testing.T) {
	const images, size = 3, 8
	for _, name := range withSuffixes() {
		for _, thresholding := range []bool{false, true} {
			cfg := sampler.Config{Thresholding: thresholding, SampleMaxValue: new(2.0)}
			s, err := sampler.New(name, cfg, sampler.Options{Steps: 6})
			if err != nil {
				t.Fatal(err)
			}
			generators := func() (all [images]sampler.Noise) {
				for i := range all {
					all[i] = normal(uint64(i))
				}
				return all
			}
			start := make([]float32, images*size)
			normal(9)(start)
			batch := slices.Clone(start)
			each := generators()
			noise := func(z []float32) {
				for i := range each {
					each[i](z[i*size : (i+1)*size])
				}
			}
			if err := s.Sample(batch, images, wave, noise, nil); err != nil {
				t.Fatal(err)
			}
			each = generators()
			for i := range images {
				single := slices.Clone(start[i*size : (i+1)*size])
				if err := s.Sample(single, 1, wave, each[i], nil); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(single, batch[i*size:(i+1)*size]) {
					t.Errorf("%s, thresholding %v: image %d is %v in a batch, %v alone", name, thresholding, i, batch[i*size:(i+1)*size], single)
				}
			}
		}
	}
}

// Whatever New accepts gives numbers.
func TestFinite(t *testing.T) {
	accepted := 0
	for _, name := range withSuffixes() {
		for _, prediction := range []string{"epsilon", "v_prediction", "sample"} {
			for _, spacing := range []string{"linspace", "leading", "trailing"} {
				for _, end := range []string{"zero", "sigma_min"} {
					for _, steps := range []int{1, 2, 3, 5, 16} {
						for variant, cfg := range []sampler.Config{
							{}, {RescaleBetasZeroSNR: true}, {SolverOrder: new(3), LowerOrderFinal: new(false)},
							{SolverType: "heun", AlgorithmType: "sde-dpmsolver"}, {SolverType: "bh1", PredictX0: new(false)},
							{SolverOrder: new(3), SolverType: "heun", AlgorithmType: "dpmsolver", UseLuLambdas: true},
						} {
							cfg.PredictionType, cfg.TimestepSpacing, cfg.FinalSigmasType = prediction, spacing, end
							cfg.TimestepType = []string{"discrete", "continuous"}[variant%2]
							s, err := sampler.New(name, cfg, sampler.Options{Steps: steps})
							if err != nil {
								continue
							}
							accepted++
							x := make([]float32, 4)
							normal(1)(x)
							for i := range x {
								x[i] *= float32(s.InitNoiseSigma())
							}
							if err := s.Sample(x, 1, wave, normal(2), nil); err != nil || !finite(x) {
								t.Errorf("%s, %d steps, %s, %s, %s, variant %d: %v, %v", name, steps, prediction, spacing, end, variant, x, err)
							}
						}
					}
				}
			}
		}
	}
	t.Logf("%d configurations", accepted)
	if accepted == 0 {
		t.Error("no configuration was accepted")
	}
}

// Time steps that are those of the configuration change nothing.
func TestGivenTimesteps(t *testing.T) {
	cfg := sampler.Config{TimestepSpacing: "leading", StepsOffset: 1}
	for _, name := range []string{"ddim", "plms", "ddpm", "euler", "heun", "dpm2", "lms", "dpmpp_2m", "unipc", "deis"} {
		var results [2][]float32
		given := []float64{801, 601, 401, 201, 1}
		options := [2]sampler.Options{{Steps: 5}, {Timesteps: given}}
		if strings.HasPrefix(name, "dpmpp") || name == "unipc" || name == "deis" {
			options[1].Timesteps = []float64{831, 665, 499, 333, 167}
		}
		for i, opt := range options {
			s, err := sampler.New(name, cfg, opt)
			if err != nil {
				t.Fatal(err)
			}
			x := []float32{1, -2, 0.5}
			if err := s.Sample(x, 1, wave, normal(3), nil); err != nil {
				t.Fatal(err)
			}
			results[i] = x
		}
		if !slices.Equal(results[0], results[1]) {
			t.Errorf("%s: %v from the configuration, %v from given time steps", name, results[0], results[1])
		}
	}
}

func TestNames(t *testing.T) {
	for _, name := range withSuffixes() {
		s, err := sampler.New(name, sampler.Config{}, sampler.Options{Steps: 4})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if s.Name() != name {
			t.Errorf("%s is called %s", name, s.Name())
		}
	}
	for class, want := range map[string]string{
		"DDIMScheduler": "ddim", "PNDMScheduler": "plms", "DPMSolverMultistepScheduler": "dpmpp_2m", "LCMScheduler": "lcm",
	} {
		if name, ok := sampler.FromClass(class); name != want || !ok {
			t.Errorf("FromClass(%s) = %s, %v, want %s", class, name, ok, want)
		}
	}
	if name, ok := sampler.FromClass("FlowMatchEulerDiscreteScheduler"); ok {
		t.Errorf("a rectified flow class is %s", name)
	}
	if text := sampler.Describe("ddim_karras"); text != "" {
		t.Errorf("ddim_karras is %q, but DDIM has no noise levels to spread", text)
	}
}

func TestOwnName(t *testing.T) {
	for config, want := range map[string]string{
		`{"_class_name": "DDIMScheduler", "eta": 0}`:                                                                     "ddim",
		`{"_class_name": "PNDMScheduler"}`:                                                                               "pndm",
		`{"_class_name": "PNDMScheduler", "skip_prk_steps": true}`:                                                       "plms",
		`{"_class_name": "EulerDiscreteScheduler", "solver_order": 3}`:                                                   "euler",
		`{"_class_name": "DPMSolverMultistepScheduler"}`:                                                                 "dpmpp_2m",
		`{"_class_name": "DPMSolverMultistepScheduler", "solver_order": 1}`:                                              "dpmpp_2m",
		`{"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": true}`: "dpmpp_2m_sde_karras",
	} {
		var cfg sampler.Config
		if err := json.Unmarshal([]byte(config), &cfg); err != nil {
			t.Fatal(err)
		}
		s, err := sampler.New("", cfg, sampler.Options{Steps: 5})
		if err != nil {
			t.Errorf("%s: %v", config, err)
		} else if s.Name() != want {
			t.Errorf("%s is called %s, want %s", config, s.Name(), want)
		}
	}
}

func TestErrors(t *testing.T) {
	bad := math.NaN()
	for _, c := range []struct {
		name string
		cfg  string
		opt  sampler.Options
		want string // part of the message
	}{
		{"dimm", `{}`, sampler.Options{Steps: 5}, `unknown sampler "dimm", want one of ddim`},
		{"", `{"_class_name": "FlowMatchEulerDiscreteScheduler"}`, sampler.Options{Steps: 5}, "not supported"},
		{"ddim", `{}`, sampler.Options{}, "0 steps, want 1 to 1000"},
		{"ddim", `{}`, sampler.Options{Steps: -3}, "-3 steps"},
		{"ddim", `{}`, sampler.Options{Steps: 1001}, "1001 steps"},
		{"ddim", `{"steps_offset": 1}`, sampler.Options{Steps: 1000}, "time step 1000 lies outside"},
		{"dpmpp_2m", `{"timestep_spacing": "leading"}`, sampler.Options{Steps: 1000}, "ask for fewer steps"},
		{"ddim", `{}`, sampler.Options{Steps: 5, StartStep: 5}, "start at step 5, want 0 to 4"},
		{"ddim", `{}`, sampler.Options{Steps: 5, Eta: 1.5}, "eta 1.5, want 0 to 1"},
		{"ddim", `{}`, sampler.Options{Steps: 5, Eta: bad}, "eta NaN"},
		{"euler", `{}`, sampler.Options{Steps: 5, Eta: 1}, "eta 1 means nothing to euler"},
		{"euler", `{}`, sampler.Options{Steps: 5, Order: 2}, "order 2 means nothing"},
		{"lms", `{}`, sampler.Options{Steps: 5, Order: 5}, "order 5, want 1 to 4"},
		{"ddim", `{}`, sampler.Options{Steps: 5, Churn: sampler.Churn{S: 1}}, "churn means nothing to ddim"},
		{"ddim", `{}`, sampler.Options{Timesteps: []float64{5, 7}}, "time step 7 follows 5"},
		{"ddim", `{}`, sampler.Options{Timesteps: []float64{5.5}}, "whole number"},
		{"ddim", `{}`, sampler.Options{Timesteps: []float64{bad}}, "time step NaN"},
		{"ddim", `{}`, sampler.Options{Steps: 3, Timesteps: []float64{5}}, "one of the two"},
		{"euler_karras", `{}`, sampler.Options{Timesteps: []float64{5}}, "cannot be given"},
		{"ddim", `{"num_train_timesteps": 0}`, sampler.Options{Steps: 5}, "num_train_timesteps 0"},
		{"ddim", `{"num_train_timesteps": 1000000000000}`, sampler.Options{Steps: 5}, "num_train_timesteps 1000000000000"},
		{"ddim", `{"beta_end": 1}`, sampler.Options{Steps: 5}, "beta_end 1"},
		{"ddim", `{"beta_start": -0.1}`, sampler.Options{Steps: 5}, "beta_start -0.1"},
		{"ddim", `{"beta_schedule": "cubic"}`, sampler.Options{Steps: 5}, `beta_schedule "cubic", want one of`},
		{"ddim", `{"trained_betas": [0.1, 0.2]}`, sampler.Options{Steps: 5}, "trained_betas has 2 values"},
		{"ddim", `{"trained_betas": [0.1, 1.2], "num_train_timesteps": 2}`, sampler.Options{Steps: 2}, "beta 1.2 at training step 1"},
		{"ddim", `{"beta_start": 0.9, "beta_end": 0.9}`, sampler.Options{Steps: 5}, "beta 0.9 at training step"},
		{"ddim", `{"prediction_type": "flow_prediction"}`, sampler.Options{Steps: 5}, `prediction_type "flow_prediction"`},
		{"ddim", `{"timestep_spacing": "quad"}`, sampler.Options{Steps: 5}, `timestep_spacing "quad"`},
		{"ddim", `{"steps_offset": -1}`, sampler.Options{Steps: 5}, "steps_offset -1"},
		{"ddim", `{"rescale_betas_zero_snr": true, "timestep_spacing": "trailing"}`, sampler.Options{Steps: 5}, "no signal is left at time step 999"},
		{"ddpm", `{"variance_type": "fixed_large_log"}`, sampler.Options{Steps: 5}, `variance_type "fixed_large_log"`},
		{"plms", `{"prediction_type": "sample"}`, sampler.Options{Steps: 5}, `prediction_type "sample"`},
		{"pndm", `{}`, sampler.Options{Steps: 3}, "at least 4"},
		{"pndm", `{}`, sampler.Options{Steps: 5, StartStep: 1}, "cannot start within"},
		{"unipc", `{"solver_type": "bh1"}`, sampler.Options{Steps: 5}, `want "sigma_min"`},
		{"unipc", `{"solver_p": {"a": 1}}`, sampler.Options{Steps: 5}, "solver_p"},
		{"", `{"_class_name": "DPMSolverMultistepScheduler", "algorithm_type": "dpmsolver"}`, sampler.Options{Steps: 5}, `"dpmsolver" cannot end`},
		{"", `{"_class_name": "DPMSolverSinglestepScheduler", "algorithm_type": "sde-dpmsolver"}`, sampler.Options{Steps: 5}, `algorithm_type "sde-dpmsolver"`},
		{"dpmpp_2m", `{"lambda_min_clipped": "Infinity"}`, sampler.Options{Steps: 5}, "sampler: "},
		{"unipc", `{"solver_order": 4}`, sampler.Options{Steps: 5}, "solver_order 4"},
		{"euler", `{"use_karras_sigmas": true, "use_beta_sigmas": true}`, sampler.Options{Steps: 5}, "more than one"},
		{"euler", `{"use_karras_sigmas": true, "sigma_min": 3, "sigma_max": 2}`, sampler.Options{Steps: 5}, "sigma_min 3"},
		{"dpmpp_2m", `{"use_flow_sigmas": true}`, sampler.Options{Steps: 5}, "rectified flow"},
		{"lcm", `{}`, sampler.Options{Steps: 51}, "original_inference_steps = 50"},
	} {
		var cfg sampler.Config
		if err := json.Unmarshal([]byte(c.cfg), &cfg); err != nil {
			t.Fatal(err)
		}
		_, err := sampler.New(c.name, cfg, c.opt)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "sampler: ") {
			t.Errorf("%s %s %+v: error %v, want one with %q", c.name, c.cfg, c.opt, err, c.want)
		}
	}
}

func TestSampleErrors(t *testing.T) {
	s, err := sampler.New("euler_a", sampler.Config{}, sampler.Options{Steps: 3})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Sample(make([]float32, 5), 2, wave, normal(1), nil); err == nil {
		t.Error("5 numbers make 2 images")
	}
	if err := s.Sample(make([]float32, 4), 2, wave, nil, nil); err == nil || !s.Stochastic() {
		t.Error("a stochastic sampler did without noise")
	}
	failed := errors.New("failed")
	err = s.Sample(make([]float32, 4), 2, func([]float32, float64, float64, []float32) error { return failed }, normal(1), nil)
	if !errors.Is(err, failed) {
		t.Errorf("the network's error became %v", err)
	}
	steps := 0
	err = s.Sample(make([]float32, 4), 2, wave, normal(1), func(i, n int, t float64, x []float32) error {
		steps++
		return failed
	})
	if err != failed || steps != 1 {
		t.Errorf("after %d steps the error of OnStep became %v", steps, err)
	}
}

func TestInfinity(t *testing.T) {
	for text, want := range map[string]float64{
		`"-Infinity"`: math.Inf(-1), `-5.1`: -5.1, `"Infinity"`: math.Inf(1), `0`: 0,
	} {
		var cfg sampler.Config
		if err := json.Unmarshal([]byte(`{"lambda_min_clipped": `+text+`}`), &cfg); err != nil {
			t.Error(err)
		} else if float64(*cfg.LambdaMinClipped) != want {
			t.Errorf("%s is read as %v", text, *cfg.LambdaMinClipped)
		}
	}
	var cfg sampler.Config
	if err := json.Unmarshal([]byte(`{"lambda_min_clipped": "low"}`), &cfg); err == nil {
		t.Error(`"low" is read as a number`)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add(`{"_class_name": "DDIMScheduler", "beta_schedule": "scaled_linear", "steps_offset": 1}`, 5, 0)
	f.Add(`{"_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": "-Infinity", "solver_order": 3}`, 20, 3)
	f.Add(`{"_class_name": "DPMSolverSinglestepScheduler", "solver_order": 3}`, 6, 1)
	f.Add(`{"_class_name": "EulerDiscreteScheduler", "use_karras_sigmas": true, "sigma_min": 0.1, "sigma_max": 20}`, 7, 0)
	f.Add(`{"_class_name": "PNDMScheduler", "trained_betas": [0.1, 0.2, 0.3, 0.4], "num_train_timesteps": 4}`, 4, 0)
	f.Add(`{"_class_name": "UniPCMultistepScheduler", "final_sigmas_type": "sigma_min", "solver_type": "bh1"}`, 4, 2)
	f.Fuzz(func(t *testing.T, text string, steps, start int) {
		var cfg sampler.Config
		if json.Unmarshal([]byte(text), &cfg) != nil || cfg.NumTrainTimesteps != nil && *cfg.NumTrainTimesteps > 2000 || steps > 50 {
			return
		}
		s, err := sampler.New("", cfg, sampler.Options{Steps: steps, StartStep: start})
		if err != nil {
			return
		}
		x := []float32{0.5, -0.25, 1}
		zero := func(x []float32, t, scale float64, out []float32) error { clear(out); return nil }
		if err := s.Sample(x, 1, zero, normal(1), nil); err != nil || !finite(x) {
			t.Errorf("%v, %v", x, err)
		}
	})
}
