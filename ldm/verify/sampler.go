package verify

import (
	"encoding/json"
	"fmt"
	"math"

	"ldm-mac/ldm/rng"
	"ldm-mac/ldm/sampler"
)

// fullLoop is a test of diffusers' tests/schedulers: a scheduler takes a ramp to the end with the
// network x·t/(t+1), and the sum and the mean of the absolute values are compared.
type fullLoop struct {
	name   string
	config string // what the test changes of the configuration of its file
	steps  int
	start  int  // steps left out
	noised bool // the ramp, reversed, is added as noise of the first step
	flat   bool // one-dimensional pictures: shape [4, 3, 8], not [4, 3, 8, 8]

	sum, mean                   float64 // sum 0 where the test does not look at it
	sumTolerance, meanTolerance float64 // 0 stands for the usual 1e-2 and 1e-3
}

// fullLoops are the tests of one file.
type fullLoops struct {
	file, config string // the file's get_scheduler_config
	tests        []fullLoop
}

const (
	betas     = `"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear"`
	betas1000 = `"num_train_timesteps": 1000, ` + betas
	dpm       = `, "solver_order": 2, "algorithm_type": "dpmsolver++", "solver_type": "midpoint"`
	betas1100 = `"num_train_timesteps": 1100, ` + betas
)

// Values of huggingface/diffusers at commit 58eb52c0803ea9af3abec60841c2a093bdf1f951.
var published = []fullLoops{
	{"ddim",
		`{"_class_name": "DDIMScheduler", ` + betas1000 + `, "clip_sample": true}`, []fullLoop{
			{name: "no noise", steps: 10, sum: 172.0067, mean: 0.223967},
			{name: "v-prediction", config: `{"prediction_type": "v_prediction"}`, steps: 10, sum: 52.5302, mean: 0.0684},
			{name: "alpha to one", config: `{"set_alpha_to_one": true, "beta_start": 0.01}`, steps: 10, sum: 149.8295, mean: 0.1951},
			{name: "alpha not to one", config: `{"set_alpha_to_one": false, "beta_start": 0.01}`, steps: 10, sum: 149.0784, mean: 0.1941},
			{name: "with noise", steps: 10, start: 8, noised: true, sum: 354.5418, mean: 0.4616},
		}},
	{"ddpm",
		`{"_class_name": "DDPMScheduler", ` + betas1000 + `, "variance_type": "fixed_small", "clip_sample": true}`, []fullLoop{
			{name: "no noise", steps: 1000, sum: 258.9606, mean: 0.3372},
			{name: "v-prediction", config: `{"prediction_type": "v_prediction"}`, steps: 1000, sum: 202.0296, mean: 0.2631},
			{name: "with noise", steps: 1000, start: 998, noised: true, sum: 387.9466, mean: 0.5051},
		}},
	{"pndm",
		`{"_class_name": "PNDMScheduler", ` + betas1000 + `}`, []fullLoop{
			{name: "no noise", steps: 10, sum: 198.1318, mean: 0.2580},
			{name: "v-prediction", config: `{"prediction_type": "v_prediction"}`, steps: 10, sum: 67.3986, mean: 0.0878},
			{name: "alpha to one", config: `{"set_alpha_to_one": true, "beta_start": 0.01}`, steps: 10, sum: 230.0399, mean: 0.2995},
			{name: "alpha not to one", config: `{"set_alpha_to_one": false, "beta_start": 0.01}`, steps: 10, sum: 186.9482, mean: 0.2434},
		}},
	{"lms",
		`{"_class_name": "LMSDiscreteScheduler", ` + betas1100 + `}`, []fullLoop{
			{name: "no noise", steps: 10, sum: 1006.388, mean: 1.31},
			{name: "v-prediction", config: `{"prediction_type": "v_prediction"}`, steps: 10, sum: 0.0017, mean: 2.2676e-06},
			{name: "Karras", config: `{"use_karras_sigmas": true}`, steps: 10, sum: 3812.9927, mean: 4.9648, sumTolerance: 2e-2},
			{name: "with noise", steps: 10, start: 8, noised: true, sum: 27663.6895, mean: 36.0204},
		}},
	{"euler",
		`{"_class_name": "EulerDiscreteScheduler", ` + betas1100 + `}`, []fullLoop{
			{name: "no noise", steps: 10, sum: 10.0807, mean: 0.0131},
			{name: "v-prediction", config: `{"prediction_type": "v_prediction"}`, steps: 10, sum: 0.0002, mean: 2.2676e-06},
			{name: "Karras", config: `{"use_karras_sigmas": true}`, steps: 10, sum: 124.52299499511719, mean: 0.16213932633399963},
			{name: "with noise", steps: 10, start: 8, noised: true, sum: 57062.9297, mean: 74.3007},
		}},
	{"euler_ancestral",
		`{"_class_name": "EulerAncestralDiscreteScheduler", ` + betas1100 + `}`, []fullLoop{
			{name: "no noise", steps: 10, sum: 152.3192, mean: 0.1983},
			{name: "v-prediction", config: `{"prediction_type": "v_prediction"}`, steps: 10, sum: 108.4439, mean: 0.1412},
			{name: "with noise", steps: 10, start: 8, noised: true, sum: 56163.0508, mean: 73.1290},
		}},
	{"heun",
		`{"_class_name": "HeunDiscreteScheduler", ` + betas1100 + `}`, []fullLoop{
			{name: "no noise", steps: 10, sum: 0.1233, mean: 0.0002},
			{name: "v-prediction", config: `{"prediction_type": "v_prediction"}`, steps: 10, sum: 4.6934e-07, mean: 6.1112e-10},
			{name: "Karras", config: `{"use_karras_sigmas": true}`, steps: 10, sum: 0.00015, mean: 1.9869554535034695e-07, meanTolerance: 1e-2},
			{name: "with noise", steps: 10, start: 8, noised: true, sum: 75074.8906, mean: 97.7538},
		}},
	{"dpm_multi",
		`{"_class_name": "DPMSolverMultistepScheduler", ` + betas1000 + dpm + `, "lower_order_final": false, "lambda_min_clipped": "-Infinity", "final_sigmas_type": "sigma_min"}`, []fullLoop{
			{name: "no noise", steps: 10, mean: 0.3301},
			{name: "with noise", steps: 10, start: 5, noised: true, sum: 318.4111, mean: 0.4146},
			{name: "thresholding", config: `{"thresholding": true, "dynamic_thresholding_ratio": 0.87, "sample_max_value": 0.5}`, steps: 10, mean: 1.1364},
			{name: "v-prediction", config: `{"prediction_type": "v_prediction"}`, steps: 10, mean: 0.2251},
			{name: "Karras, v-prediction", config: `{"prediction_type": "v_prediction", "use_karras_sigmas": true}`, steps: 10, mean: 0.2096},
			{name: "Lu, v-prediction", config: `{"prediction_type": "v_prediction", "use_lu_lambdas": true}`, steps: 10, mean: 0.1554},
		}},
	{"dpm_single",
		`{"_class_name": "DPMSolverSinglestepScheduler", ` + betas1000 + dpm + `, "lambda_min_clipped": "-Infinity", "final_sigmas_type": "sigma_min"}`, []fullLoop{
			{name: "no noise", steps: 10, mean: 0.2791},
			{name: "uneven", steps: 50, start: 3, mean: 0.2574},
			{name: "Karras", config: `{"use_karras_sigmas": true}`, steps: 10, mean: 0.2248},
			{name: "v-prediction", config: `{"prediction_type": "v_prediction"}`, steps: 10, mean: 0.1453},
			{name: "Karras, v-prediction", config: `{"prediction_type": "v_prediction", "use_karras_sigmas": true}`, steps: 10, mean: 0.0649},
			{name: "with noise", steps: 10, start: 5, noised: true, sum: 269.2187, mean: 0.3505},
		}},
	{"unipc",
		`{"_class_name": "UniPCMultistepScheduler", ` + betas1000 + `, "solver_order": 2, "solver_type": "bh2", "final_sigmas_type": "sigma_min"}`, []fullLoop{
			{name: "no noise", steps: 10, mean: 0.2464},
			{name: "Karras", config: `{"use_karras_sigmas": true}`, steps: 10, mean: 0.2925},
			{name: "v-prediction", config: `{"prediction_type": "v_prediction"}`, steps: 10, mean: 0.1014},
			{name: "Karras, v-prediction", config: `{"prediction_type": "v_prediction", "use_karras_sigmas": true}`, steps: 10, mean: 0.1966},
			{name: "with noise", steps: 10, start: 8, noised: true, sum: 315.5757, mean: 0.4109},
			{name: "1-D, no noise", flat: true, steps: 10, mean: 0.2441},
			{name: "1-D, Karras", flat: true, config: `{"use_karras_sigmas": true}`, steps: 10, mean: 0.2898},
			{name: "1-D, v-prediction", flat: true, config: `{"prediction_type": "v_prediction"}`, steps: 10, mean: 0.1014},
			{name: "1-D, Karras, v-prediction", flat: true, config: `{"prediction_type": "v_prediction", "use_karras_sigmas": true}`, steps: 10, mean: 0.1944},
			{name: "1-D, with noise", flat: true, steps: 10, start: 8, noised: true, sum: 39.0870, mean: 0.4072},
		}},
	{"deis",
		`{"_class_name": "DEISMultistepScheduler", ` + betas1000 + `, "solver_order": 2}`, []fullLoop{
			{name: "no noise", steps: 10, mean: 0.23916},
			{name: "v-prediction", config: `{"prediction_type": "v_prediction"}`, steps: 10, mean: 0.091},
			{name: "with noise", steps: 10, start: 8, noised: true, sum: 315.3016, mean: 0.41054},
		}},
	{"kdpm2_discrete",
		`{"_class_name": "KDPM2DiscreteScheduler", ` + betas1100 + `}`, []fullLoop{
			{name: "no noise", steps: 10, sum: 20.4125, mean: 0.0266},
			{name: "v-prediction", config: `{"prediction_type": "v_prediction"}`, steps: 10, sum: 4.6934e-07, mean: 6.1112e-10},
			{name: "with noise", steps: 10, start: 8, noised: true, sum: 70408.4062, mean: 91.6776},
		}},
	{"kdpm2_ancestral",
		`{"_class_name": "KDPM2AncestralDiscreteScheduler", ` + betas1100 + `}`, []fullLoop{
			// The sum's tolerance is that of test_full_loop_device, the same loop; it has 7 digits.
			{name: "no noise", steps: 10, sum: 13979.9433, mean: 18.2030, sumTolerance: 1e-1, meanTolerance: 5e-3},
			{name: "v-prediction", config: `{"prediction_type": "v_prediction"}`, steps: 10, sum: 331.8133, mean: 0.4320},
			{name: "with noise", steps: 10, start: 8, noised: true, sum: 93087.3437, mean: 121.2074, meanTolerance: 5e-3},
		}},
	{"lcm",
		`{"_class_name": "LCMScheduler", "num_train_timesteps": 1000, ` +
			`"beta_start": 0.00085, "beta_end": 0.0120, "beta_schedule": "scaled_linear", "prediction_type": "epsilon"}`, []fullLoop{
			{name: "one step", steps: 1, sum: 18.7097, mean: 0.0244, sumTolerance: 1e-3},
			{name: "ten steps", steps: 10, sum: 197.7616, mean: 0.2575, sumTolerance: 1e-3},
		}},
}

// samplerChecks are the full loops, time steps and variances of diffusers' scheduler tests.
func samplerChecks() []Check {
	var checks []Check
	add := func(file, name string, run func() (difference, tolerance float64, err error)) {
		checks = append(checks, Check{
			Group: "sampler", Name: file + ": " + name,
			Source: "github.com/huggingface/diffusers tests/schedulers/test_scheduler_" + file + ".py", Run: run,
		})
	}
	for _, loops := range published {
		for _, test := range loops.tests {
			if test.sum != 0 {
				add(loops.file, test.name+", sum", func() (float64, float64, error) {
					sum, _, err := test.run(loops.config)
					return math.Abs(sum - test.sum), orDefault(test.sumTolerance, 1e-2), err
				})
			}
			add(loops.file, test.name+", mean", func() (float64, float64, error) {
				_, mean, err := test.run(loops.config)
				return math.Abs(mean - test.mean), orDefault(test.meanTolerance, 1e-3), err
			})
		}
	}
	add("ddim", "time steps", func() (float64, float64, error) {
		return timeSteps("ddim", 5, []float64{801, 601, 401, 201, 1})
	})
	add("pndm", "time steps", func() (float64, float64, error) {
		return timeSteps("pndm", 10, []float64{901, 851, 851, 801, 801, 751, 751, 701, 701, 651, 651, 601, 601, 501, 401, 301, 201, 101, 1})
	})
	for _, v := range []struct {
		t, before int
		variance  float64
	}{{0, 0, 0}, {420, 400, 0.14771}, {980, 960, 0.32460}, {487, 486, 0.00979}, {999, 998, 0.02}} {
		add("ddim", fmt.Sprintf("variance from %d to %d", v.t, v.before), func() (float64, float64, error) {
			at, err := signalVariance(v.t)
			if err != nil {
				return 0, 0, err
			}
			before, err := signalVariance(v.before)
			variance := (1 - before) / (1 - at) * (1 - at/before)
			return math.Abs(variance - v.variance), 1e-5, err
		})
	}
	return checks
}

func orDefault(tolerance, d float64) float64 {
	if tolerance == 0 {
		return d
	}
	return tolerance
}

// run returns Σ|x| and the mean of |x| at the end of the loop. Noise is that of torch's generator
// on the CPU with seed 0.
func (test fullLoop) run(config string) (sum, mean float64, err error) {
	var cfg sampler.Config
	for _, text := range []string{config, test.config} {
		if text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(text), &cfg); err != nil {
			return 0, 0, err
		}
	}
	s, err := sampler.New("", cfg, sampler.Options{Steps: test.steps, StartStep: test.start})
	if err != nil {
		return 0, 0, err
	}
	x, noise := test.ramps()
	for i := range x {
		x[i] *= float32(s.InitNoiseSigma())
	}
	if test.noised {
		s.AddNoise(x, noise, 0)
	}
	generator, err := rng.New("torch", 0)
	if err != nil {
		return 0, 0, err
	}
	// The tests go on with the scaled input of the network as x. The factors are only known where
	// the network is called, so that a first pass collects them.
	var scales []float64
	collect := func(x []float32, t, scale float64, out []float32) error {
		scales = append(scales, scale)
		return nil
	}
	const images = 4
	if err := s.Sample(make([]float32, len(x)), images, collect, func([]float32) {}, nil); err != nil {
		return 0, 0, err
	}
	network := func(x []float32, t, scale float64, out []float32) error {
		for i, v := range x {
			out[i] = float32(float64(v) / scale * t / (t + 1))
		}
		return nil
	}
	multiply(x, scales[0])
	err = s.Sample(x, images, network, generator.Normal, func(i, n int, t float64, x []float32) error {
		if i+1 < n {
			multiply(x, scales[i+1])
		}
		return nil
	})
	for _, v := range x {
		sum += math.Abs(float64(v))
	}
	return sum, sum / float64(len(x)), err
}

func multiply(x []float32, k float64) {
	for i, v := range x {
		x[i] = float32(k * float64(v))
	}
}

// ramps are dummy_sample_deter and dummy_noise_deter of test_schedulers.py: the numbers from 0 to
// 1 laid out with the image last, then permuted to come first.
func (test fullLoop) ramps() (sample, noise []float32) {
	const images = 4
	perImage := 3 * 8 * 8
	if test.flat {
		perImage = 3 * 8
	}
	n := images * perImage
	for image := range images {
		for i := range perImage {
			place := i*images + image
			sample = append(sample, float32(place)/float32(n))
			noise = append(noise, float32(n-1-place)/float32(n))
		}
	}
	return sample, noise
}

// timeSteps compares the time steps with steps_offset 1.
func timeSteps(name string, steps int, want []float64) (difference, tolerance float64, err error) {
	s, err := sampler.New(name, sampler.Config{StepsOffset: 1}, sampler.Options{Steps: steps})
	if err != nil {
		return 0, 0, err
	}
	got := s.Timesteps()
	if len(got) != len(want) {
		return 0, 0, fmt.Errorf("verify: %d time steps, want %d", len(got), len(want))
	}
	for i := range want {
		difference = max(difference, math.Abs(got[i]-want[i]))
	}
	return difference, 0, nil
}

// signalVariance is ᾱ of diffusers' default noise schedule at time step t.
func signalVariance(t int) (float64, error) {
	s, err := sampler.New("ddim", sampler.Config{}, sampler.Options{Timesteps: []float64{float64(t)}})
	if err != nil {
		return 0, err
	}
	signal := []float32{1}
	s.AddNoise(signal, []float32{0}, 0)
	return float64(signal[0]) * float64(signal[0]), nil
}
