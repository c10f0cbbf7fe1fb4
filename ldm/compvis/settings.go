package compvis

import (
	"errors"
	"fmt"
	"math"
)

// settings are what names and shapes do not tell of a system.
type settings struct {
	heads, headSize int // of the U-Net's attention: a fixed number, or a fixed number of channels in each
	steps           int // of the noise schedule, which is linear in the square roots of its variances
	betaStart       float64
	betaEnd         float64
	buffered        bool    // the schedule is the weights' own
	zeroSNR         bool    // the schedule is stretched to end without signal
	prediction      string  // what the U-Net gives, as diffusers calls it
	scale           float64 // of latents
	sampleSize      int     // of latents at training; 0 when it is not known
	onlyCross       []bool  // by level
	penultimate     bool    // the last layer of the text encoder is not used
	resize          string  // method of a SpatialRescaler; "" for CompVis' default
	resizeBy        float64 // its multiplier; 0 likewise
	noiseStart      float64 // of the schedule for an upscaler's pictures
	noiseEnd        float64
	maxNoise        int
	lacks           []string // keys of a YAML file that nothing else tells
}

// numHeads is the number of attention heads at a level.
func (c *settings) numHeads(u *unetShape, level int) int {
	if c.headSize > 0 {
		return max(1, u.channels[level]/c.headSize)
	}
	return max(1, c.heads)
}

// settings gathers what is known: from the table of released systems, the tensors beside the
// weights, and the YAML file where there is one, whose numbers come before the table's.
func (s *state) settings(h *shapes, class string, known *published, yaml *document) (*settings, error) {
	c := &settings{prediction: "epsilon", onlyCross: h.unet.onlyCross, penultimate: true,
		noiseStart: 0.0001, noiseEnd: 0.02, maxNoise: 350}
	if known != nil {
		c.heads, c.headSize, c.sampleSize, c.scale = known.heads, known.headSize, known.sampleSize, known.scale
		c.steps, c.betaStart, c.betaEnd = releasedSteps, known.betas[0], known.betas[1]
		if known.prediction != "" {
			c.prediction = known.prediction
		}
		if step, ok := s.file.Counter("global_step"); ok && step == baseSteps && known.alsoPrediction != "" {
			c.prediction = known.alsoPrediction
		}
	}
	if c.scale == 0 && h.stage.codes > 0 {
		c.scale = 1 // LatentDiffusion's default, which every VQ system keeps
	}
	if n := h.cond; n.kind == bertCond && n.heads%bertHeads != 0 || (n.kind == clipCond || n.kind == openCLIPCond) && n.heads%clipHead != 0 {
		return nil, s.fault("the text encoder has %d channels in its heads, which %s cannot have", n.heads, n.kind)
	}
	if err := s.readSchedule(c); err != nil {
		return nil, err
	}
	if yaml != nil {
		if err := s.readYAML(c, h, class, yaml); err != nil {
			return nil, err
		}
	}
	if known != nil && known.alsoPrediction != "" && c.prediction == known.prediction {
		c.sampleSize = 96 // of 768 pixels; the YAML files of both say 64
	}
	if err := s.readScale(c); err != nil {
		return nil, err
	}
	for _, need := range []struct {
		lacks bool
		key   string
	}{
		{c.heads == 0 && c.headSize == 0, "model.params.unet_config.params.num_heads or num_head_channels"},
		{c.steps == 0, "model.params.linear_start and linear_end"},
		{c.scale == 0, "model.params.scale_factor"},
	} {
		if need.lacks {
			c.lacks = append(c.lacks, need.key)
		}
	}
	return c, nil
}

// baseSteps is the length of training of Stable Diffusion 2's model for pictures of 512 pixels, the
// one of its two text-to-image models that predicts the noise. Their shapes are equal; diffusers
// tells them apart by this number too, and without it, as in safetensors, takes the other one
// (single_file_utils.py).
const baseSteps = 875000

// readScale takes the factor of latents that training measured (scale_by_std); it comes before all
// others.
func (s *state) readScale(c *settings) error {
	if s.scale == nil {
		return nil
	}
	values, err := s.scale.Floats(nil)
	if err != nil || len(values) != 1 {
		return s.fault("\"scale_factor\" is %s of %s, want one number", s.scale.Shape, s.scale.DType)
	}
	c.scale = shortest(values[0])
	if !(c.scale > 0) || c.scale > maxScale {
		return s.fault("\"scale_factor\" is %g, want a number above 0 and at most %g", c.scale, float64(maxScale))
	}
	return nil
}

// maxScale bounds the factor of latents; published ones lie between 0.08 and 1.
const maxScale = 1e4

// readYAML takes the numbers of a YAML file and compares those that the weights tell too.
func (s *state) readYAML(c *settings, h *shapes, class string, d *document) error {
	const params, unet = "model.params.", "model.params.unet_config.params."
	d.targets(h, class)
	d.compare(h)
	count := d.integer(unet+"num_heads", -1, -1, maxChannels)
	size := d.integer(unet+"num_head_channels", -1, -1, maxChannels)
	if count > 0 || size > 0 {
		c.heads, c.headSize = max(count, 0), max(size, 0)
	}
	if up := d.integer(unet+"num_heads_upsample", -1, -1, maxChannels); up > 0 && up != count {
		d.fault(unet+"num_heads_upsample", "is %d, want the %d of num_heads", up, count)
	}
	if d.boolean(unet + "use_new_attention_order") {
		d.fault(unet+"use_new_attention_order", "is true, which is not supported")
	}
	if n := d.find(unet + "disable_self_attentions"); n != nil {
		c.onlyCross = make([]bool, len(h.unet.channels))
		if len(n.Content) != len(c.onlyCross) {
			d.fault(unet+"disable_self_attentions", "is %s of %d, want one for each of %d levels", what(n), len(n.Content), len(c.onlyCross))
		}
		for i := range min(len(n.Content), len(c.onlyCross)) {
			d.scalar(unet+"disable_self_attentions", n.Content[i], &c.onlyCross[i], "true or false")
			c.onlyCross[i] = c.onlyCross[i] && h.unet.attention[i] // it says nothing elsewhere
		}
	}
	c.readPrediction(d)
	c.resize = d.text(params + "cond_stage_config.params.method")
	c.resizeBy = d.number(params+"cond_stage_config.params.multiplier", 0, 0, 1)
	if layer := d.text(params + "cond_stage_config.params.layer"); layer == "last" {
		c.penultimate = false
	}
	const unknown = -1
	start, end := d.number(params+"linear_start", unknown, 1e-9, 0.999), d.number(params+"linear_end", unknown, 1e-9, 0.999)
	steps := d.integer(params+"timesteps", 1000, 2, maxSteps)
	if start != unknown && end != unknown {
		if c.buffered && (!near(start, c.betaStart) || !near(end, c.betaEnd) || steps != c.steps) {
			d.fault(params+"linear_start", "to linear_end is %g to %g in %d steps, the weights were trained with %g to %g in %d",
				start, end, steps, c.betaStart, c.betaEnd, c.steps)
		}
		c.steps, c.betaStart, c.betaEnd = steps, start, end
	}
	c.scale = d.number(params+"scale_factor", c.scale, 1e-6, maxScale)
	if d.boolean(params+"scale_by_std") && s.scale == nil {
		d.fault(params+"scale_by_std", "is true, but the weights have no \"scale_factor\"")
	}
	c.sampleSize = d.integer(params+"image_size", c.sampleSize, 1, maxChannels)
	const noise = params + "low_scale_config.params."
	c.noiseStart = d.number(noise+"noise_schedule_config.linear_start", c.noiseStart, 1e-9, 0.999)
	c.noiseEnd = d.number(noise+"noise_schedule_config.linear_end", c.noiseEnd, 1e-9, 0.999)
	c.maxNoise = d.integer(noise+"max_noise_level", c.maxNoise, 0, maxSteps)
	c.zeroSNR = d.boolean(params + "rescale_betas_zero_snr")
	return d.err
}

// maxChannels bounds numbers of channels and heads.
const maxChannels = 1 << 16

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-4*math.Abs(b) }

// readPrediction reads what the network predicts, and refuses schedules of another kind.
func (c *settings) readPrediction(d *document) {
	const params = "model.params."
	predictions := map[string]string{"": "epsilon", "eps": "epsilon", "v": "v_prediction", "x0": "sample"}
	name := d.text(params + "parameterization")
	prediction, ok := predictions[name]
	if !ok {
		d.fault(params+"parameterization", "is %.40q, want eps, v or x0", name)
	}
	c.prediction = prediction
	if kind := d.text(params + "beta_schedule"); kind != "" && kind != "linear" {
		d.fault(params+"beta_schedule", "is %.40q, want linear", kind)
	}
}

// lacking is the error about what only a YAML file can tell.
func (c *settings) lacking() error {
	if len(c.lacks) == 0 {
		return nil
	}
	text := ""
	for _, key := range c.lacks {
		text += "\n\t" + key
	}
	return errors.New("the weights are of no released system, and their shapes do not tell all: " +
		fmt.Sprintf("give the YAML file of its training, or lay it beside the file as config.yaml, with:%s", text))
}
