package sampler

// compVis tells whether a sampler of this class, configured so, exists in CompVis/latent-diffusion
// (ldm/models/diffusion/ddim.py and plms.py). With Options.CompVis it then differs from diffusers' in
// two ways: in the time steps where their number does not divide that of the training steps, and in
// that every evaluation draws noise, also where that is multiplied by zero, so that a generator that
// goes on to another picture is in the state in which it would be there.
func (c *class) compVis(cfg Config) bool {
	return c == ddimClass || c == pndmClass && *cfg.SkipPRKSteps
}

// compVisTimes are the time steps of "uniform" spacing (ldm/modules/diffusionmodules/util.py,
// make_ddim_timesteps), from the noisiest down: every train/steps-th from 1 on, which is more than
// steps of them where steps does not divide train.
func compVisTimes(train, steps int) []float64 {
	var times []float64
	stride := train / steps
	for t := (train - 1) / stride * stride; t >= 0; t -= stride {
		times = append(times, float64(t+1))
	}
	return times
}
