package compvis

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/tensor"
)

// state is what a checkpoint's tensors are to a model: the weights, and the few tensors that say
// something about it.
type state struct {
	file    *checkpoint.File
	weights map[string]*tensor.Weight // without those that are passed over; averages in the place of raw weights
	betas   *tensor.Weight            // the noise schedule; nil when the file has none
	scale   *tensor.Weight            // scale_factor; nil likewise
	ema     string                    // "", "used" or "not used"
}

// buffers are tensors that LatentDiffusion computes itself and keeps beside its weights (ddpm.py,
// register_schedule), by their whole names.
var buffers = map[string]bool{
	"betas": true, "alphas_cumprod": true, "alphas_cumprod_prev": true, "sqrt_alphas_cumprod": true,
	"sqrt_one_minus_alphas_cumprod": true, "log_one_minus_alphas_cumprod": true,
	"sqrt_recip_alphas_cumprod": true, "sqrt_recipm1_alphas_cumprod": true, "posterior_variance": true,
	"posterior_log_variance_clipped": true, "posterior_mean_coef1": true, "posterior_mean_coef2": true,
	"lvlb_weights": true, "logvar": true, "scale_factor": true, "cond_ids": true,
	condPrefix + "transformer.text_model.embeddings.position_ids": true,
	condPrefix + "model.attn_mask":                                true,
	condPrefix + "model.logit_scale":                              true,
	condPrefix + "model.text_projection":                          true,
}

// training are the prefixes of what only training needs: discriminators, averages of the first
// stage (the raw weights are what sampling takes), heads that predict tokens, and the schedule of
// the noise on an upscaler's pictures.
var training = []string{
	stagePrefix + "loss.", stagePrefix + "model_ema.", condPrefix + "transformer.to_logits.", "low_scale_model.",
}

const emaPrefix = "model_ema."

// newState sorts the tensors of a file. raw keeps the raw weights although there are averages.
func newState(file *checkpoint.File, raw bool) (*state, error) {
	s := &state{file: file, weights: map[string]*tensor.Weight{}}
	averages := map[string]*tensor.Weight{}
	for _, name := range file.Names() {
		w, _ := file.Weight(name)
		short, average := strings.CutPrefix(name, emaPrefix)
		switch {
		case average && short != "decay" && short != "num_updates":
			averages[short] = w
		case average, buffers[name]:
		case slices.ContainsFunc(training, func(p string) bool { return strings.HasPrefix(name, p) }):
		default:
			s.weights[name] = w
		}
	}
	s.betas, _ = file.Weight("betas")
	s.scale, _ = file.Weight("scale_factor")
	s.dropCopy()
	if len(averages) == 0 {
		return s, nil
	}
	s.ema = "not used"
	if raw {
		return s, nil
	}
	s.ema = "used"
	return s, s.average(averages)
}

// dropCopy forgets a conditioner that is the first stage itself, whose weights the file then lists
// twice (cond_stage_config: __is_first_stage__).
func (s *state) dropCopy() {
	if s.weights[condPrefix+"encoder.conv_in.weight"] == nil {
		return
	}
	maps.DeleteFunc(s.weights, func(name string, _ *tensor.Weight) bool { return strings.HasPrefix(name, condPrefix) })
}

// average puts the averages in the place of the U-Net's raw weights. An average is called by the
// name within "model." without its dots (ema.py, LitEma).
func (s *state) average(averages map[string]*tensor.Weight) error {
	raw := map[string]string{} // by the average's name
	var faults []string
	for name := range s.weights {
		inner, ok := strings.CutPrefix(name, "model.")
		if !ok {
			continue
		}
		short := strings.ReplaceAll(inner, ".", "")
		if other, taken := raw[short]; taken {
			faults = append(faults, fmt.Sprintf("%q is the average of %q and of %q", emaPrefix+short, other, name))
		}
		raw[short] = name
		if averages[short] == nil {
			faults = append(faults, fmt.Sprintf("%q has no average %q", name, emaPrefix+short))
		}
	}
	for short, w := range averages {
		name, ok := raw[short]
		switch {
		case !ok:
			faults = append(faults, fmt.Sprintf("%q is the average of no weight", w.Name))
		case !w.Shape.Equal(s.weights[name].Shape):
			faults = append(faults, fmt.Sprintf("%q is %s, its average %s", name, s.weights[name].Shape, w.Shape))
		default:
			c := *w
			c.Name = name
			s.weights[name] = &c
		}
	}
	if len(faults) == 0 {
		return nil
	}
	slices.Sort(faults)
	return s.fault("the averaged weights do not fit the raw ones, which can be asked for instead (%d):\n\t%s",
		len(faults), list(faults))
}

// maxListed is how many faults of a kind an error lists.
const maxListed = 20

func list(lines []string) string {
	more := ""
	if n := len(lines) - maxListed; n > 0 {
		lines, more = lines[:maxListed], fmt.Sprintf("\n\tand %d more", n)
	}
	return strings.Join(lines, "\n\t") + more
}

// fault is an error about the checkpoint.
func (s *state) fault(format string, args ...any) error {
	return &checkpoint.Error{Path: s.file.Path(), Err: fmt.Errorf(format, args...)}
}

// has reports whether there is a weight of that name.
func (s *state) has(name string) bool { return s.weights[name] != nil }

// size is a dimension of a weight; 0 when there is none.
func (s *state) size(name string, dimension int) int {
	if w := s.weights[name]; w != nil && dimension < len(w.Shape) {
		return w.Shape[dimension]
	}
	return 0
}

// count is how many of the names made with 0, 1, 2 … there are, until the first that is missing.
func (s *state) count(name func(i int) string) int {
	n := 0
	for s.has(name(n)) {
		n++
	}
	return n
}
