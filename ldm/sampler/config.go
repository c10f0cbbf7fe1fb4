package sampler

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Config is a model's scheduler_config.json. The zero value of a field, nil for a pointer, means
// that the file does not name the key: New then takes the default of the diffusers class that
// computes the sampler, as from_config does (diffusers: configuration_utils.py). Keys that class
// does not know have no effect.
type Config struct {
	ClassName string `json:"_class_name"` // diffusers class, as in "DDIMScheduler"

	NumTrainTimesteps    *int      `json:"num_train_timesteps"` // length of the noise schedule
	BetaStart            *float64  `json:"beta_start"`          // variance of the first training step
	BetaEnd              *float64  `json:"beta_end"`            // variance of the last training step
	BetaSchedule         string    `json:"beta_schedule"`       // linear, scaled_linear, squaredcos_cap_v2, sigmoid or exp
	TrainedBetas         []float64 `json:"trained_betas"`       // the whole schedule, instead of the three keys above
	RescaleBetasZeroSNR  bool      `json:"rescale_betas_zero_snr"`
	PredictionType       string    `json:"prediction_type"`    // what the network gives: epsilon, v_prediction or sample
	TimestepSpacing      string    `json:"timestep_spacing"`   // linspace, leading or trailing
	TimestepType         string    `json:"timestep_type"`      // discrete or continuous (Euler)
	TimestepScaling      *float64  `json:"timestep_scaling"`   // LCM
	StepsOffset          int       `json:"steps_offset"`       // added to every time step of leading spacing
	InterpolationType    string    `json:"interpolation_type"` // linear or log_linear (Euler)
	SetAlphaToOne        *bool     `json:"set_alpha_to_one"`   // the last step ends without noise, not at the first training step
	FinalSigmasType      string    `json:"final_sigmas_type"`  // zero or sigma_min
	LambdaMinClipped     *Float    `json:"lambda_min_clipped"` // log signal-to-noise ratio below which no step lies (DPM-Solver)
	UseKarrasSigmas      bool      `json:"use_karras_sigmas"`
	UseExponentialSigmas bool      `json:"use_exponential_sigmas"`
	UseBetaSigmas        bool      `json:"use_beta_sigmas"`
	UseLuLambdas         bool      `json:"use_lu_lambdas"`
	UseFlowSigmas        bool      `json:"use_flow_sigmas"` // refused: rectified flow is another kind of model
	SigmaMin             *float64  `json:"sigma_min"`       // ends of the Karras, exponential and beta sigmas (Euler)
	SigmaMax             *float64  `json:"sigma_max"`

	ClipSample               *bool    `json:"clip_sample"` // clamp the predicted image to ±clip_sample_range
	ClipSampleRange          *float64 `json:"clip_sample_range"`
	Thresholding             bool     `json:"thresholding"` // dynamic thresholding of the predicted image
	DynamicThresholdingRatio *float64 `json:"dynamic_thresholding_ratio"`
	SampleMaxValue           *float64 `json:"sample_max_value"`

	VarianceType           string          `json:"variance_type"`  // fixed_small, fixed_small_log or fixed_large (DDPM)
	SkipPRKSteps           *bool           `json:"skip_prk_steps"` // start with improved Euler, not Runge-Kutta (PNDM)
	SolverOrder            *int            `json:"solver_order"`   // 1 to 3 (DPM-Solver, UniPC, DEIS)
	AlgorithmType          string          `json:"algorithm_type"` // dpmsolver++, dpmsolver, sde-dpmsolver++ or sde-dpmsolver
	SolverType             string          `json:"solver_type"`    // midpoint or heun; bh1 or bh2; logrho
	LowerOrderFinal        *bool           `json:"lower_order_final"`
	EulerAtFinal           bool            `json:"euler_at_final"`
	PredictX0              *bool           `json:"predict_x0"`               // UniPC
	DisableCorrector       []int           `json:"disable_corrector"`        // steps after which UniPC does not correct
	SolverP                json.RawMessage `json:"solver_p"`                 // refused unless null
	OriginalInferenceSteps *int            `json:"original_inference_steps"` // LCM
}

// Float is a number that may be infinite: JSON has no such literal, so that readers of the
// -Infinity that diffusers writes pass it on as a string.
type Float float64

// UnmarshalJSON accepts a number and the strings "Infinity" and "-Infinity".
func (f *Float) UnmarshalJSON(data []byte) error {
	text := string(data)
	if text == "null" {
		return nil
	}
	if unquoted, err := strconv.Unquote(text); err == nil {
		text = unquoted
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(value) {
		return fmt.Errorf("sampler: number %s, want a number, \"Infinity\" or \"-Infinity\"", data)
	}
	*f = Float(value)
	return nil
}

// or is what p points to, or d where the key is absent.
func or[T any](p *T, d T) *T {
	if p == nil {
		return new(d)
	}
	return p
}

func orString(s, d string) string {
	if s == "" {
		return d
	}
	return s
}

// resolve fills every absent field with the default of class c and drops the keys that its
// constructor does not know. Afterwards no pointer but SigmaMin and SigmaMax is nil.
func (c *class) resolve(cfg Config) Config {
	d := c.defaults
	cfg.NumTrainTimesteps = or(cfg.NumTrainTimesteps, 1000)
	cfg.BetaStart = or(cfg.BetaStart, *or(d.BetaStart, 0.0001))
	cfg.BetaEnd = or(cfg.BetaEnd, *or(d.BetaEnd, 0.02))
	cfg.BetaSchedule = orString(cfg.BetaSchedule, orString(d.BetaSchedule, "linear"))
	cfg.PredictionType = orString(cfg.PredictionType, "epsilon")
	cfg.TimestepSpacing = orString(cfg.TimestepSpacing, orString(d.TimestepSpacing, "linspace"))
	cfg.TimestepType = orString(cfg.TimestepType, "discrete")
	cfg.TimestepScaling = or(cfg.TimestepScaling, 10)
	cfg.InterpolationType = orString(cfg.InterpolationType, "linear")
	cfg.SetAlphaToOne = or(cfg.SetAlphaToOne, *or(d.SetAlphaToOne, false))
	cfg.FinalSigmasType = orString(cfg.FinalSigmasType, "zero")
	cfg.LambdaMinClipped = or(cfg.LambdaMinClipped, Float(math.Inf(-1)))
	cfg.ClipSample = or(cfg.ClipSample, *or(d.ClipSample, false))
	cfg.ClipSampleRange = or(cfg.ClipSampleRange, 1)
	cfg.DynamicThresholdingRatio = or(cfg.DynamicThresholdingRatio, 0.995)
	cfg.SampleMaxValue = or(cfg.SampleMaxValue, 1)
	cfg.SkipPRKSteps = or(cfg.SkipPRKSteps, false)
	cfg.SolverOrder = or(cfg.SolverOrder, 2)
	cfg.AlgorithmType = orString(cfg.AlgorithmType, "dpmsolver++")
	cfg.SolverType = orString(cfg.SolverType, d.SolverType)
	cfg.LowerOrderFinal = or(cfg.LowerOrderFinal, *or(d.LowerOrderFinal, true))
	cfg.PredictX0 = or(cfg.PredictX0, true)
	cfg.OriginalInferenceSteps = or(cfg.OriginalInferenceSteps, 50)
	if c.has&clips == 0 {
		cfg.ClipSample = new(false)
	}
	if c.has&thresholds == 0 {
		cfg.Thresholding = false
	}
	if c.has&rescales == 0 {
		cfg.RescaleBetasZeroSNR = false
	}
	if c.has&shapesSigmas == 0 {
		cfg.InterpolationType, cfg.TimestepType, cfg.SigmaMin, cfg.SigmaMax = "linear", "discrete", nil, nil
	}
	if c.has&convertsSigmas == 0 {
		cfg.UseKarrasSigmas, cfg.UseExponentialSigmas, cfg.UseBetaSigmas = false, false, false
	}
	return cfg
}

// oneOf is an error unless value is one of want.
func oneOf(key, value string, want ...string) error {
	for _, w := range want {
		if value == w {
			return nil
		}
	}
	return fmt.Errorf("sampler: %s %q, want one of %q", key, value, want)
}

// within is an error unless lo <= value <= hi; NaN is outside of every interval.
func within(key string, value, lo, hi float64) error {
	if value >= lo && value <= hi {
		return nil
	}
	return fmt.Errorf("sampler: %s %v, want %v to %v", key, value, lo, hi)
}

// maxTrainTimesteps keeps a broken file from asking for gigabytes; published models have 1000.
const maxTrainTimesteps = 1_000_000

// validate checks what every class reads of a resolved configuration.
func (cfg Config) validate() error {
	n := *cfg.NumTrainTimesteps
	conversions := 0
	for _, use := range []bool{cfg.UseKarrasSigmas, cfg.UseExponentialSigmas, cfg.UseBetaSigmas} {
		if use {
			conversions++
		}
	}
	switch {
	case n < 2 || n > maxTrainTimesteps:
		return fmt.Errorf("sampler: num_train_timesteps %d, want 2 to %d", n, maxTrainTimesteps)
	case cfg.StepsOffset < 0 || cfg.StepsOffset >= n:
		return fmt.Errorf("sampler: steps_offset %d, want 0 to %d", cfg.StepsOffset, n-1)
	case conversions > 1:
		return fmt.Errorf("sampler: more than one of use_karras_sigmas, use_exponential_sigmas and use_beta_sigmas is true, want one")
	case cfg.UseFlowSigmas:
		return fmt.Errorf("sampler: use_flow_sigmas is true, want false: rectified flow models are not supported")
	case len(cfg.SolverP) > 0 && string(cfg.SolverP) != "null":
		return fmt.Errorf("sampler: solver_p %.40q, want null", cfg.SolverP)
	case cfg.SigmaMin != nil && cfg.SigmaMax != nil && *cfg.SigmaMin >= *cfg.SigmaMax:
		return fmt.Errorf("sampler: sigma_min %v is not below sigma_max %v", *cfg.SigmaMin, *cfg.SigmaMax)
	}
	const tiny, huge = 1e-6, 1e6
	for _, err := range []error{
		oneOf("prediction_type", cfg.PredictionType, "epsilon", "v_prediction", "sample"),
		oneOf("timestep_spacing", cfg.TimestepSpacing, "linspace", "leading", "trailing"),
		oneOf("timestep_type", cfg.TimestepType, "discrete", "continuous"),
		oneOf("interpolation_type", cfg.InterpolationType, "linear", "log_linear"),
		oneOf("final_sigmas_type", cfg.FinalSigmasType, "zero", "sigma_min"),
		within("solver_order", float64(*cfg.SolverOrder), 1, 3),
		within("clip_sample_range", *cfg.ClipSampleRange, tiny, huge),
		within("dynamic_thresholding_ratio", *cfg.DynamicThresholdingRatio, 0, 1),
		within("sample_max_value", *cfg.SampleMaxValue, tiny, huge),
		within("timestep_scaling", *cfg.TimestepScaling, tiny, huge),
		within("sigma_min", *or(cfg.SigmaMin, 1), tiny, huge),
		within("sigma_max", *or(cfg.SigmaMax, 1), tiny, huge),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}
