package imageio

import "strings"

// samplerLabels pairs this program's sampler names with the web UI's (AUTOMATIC1111,
// modules/sd_samplers_kdiffusion.py, sd_samplers_timesteps.py, sd_samplers_lcm.py). PNDM,
// DDPM, DEIS and the deterministic DPM++ 3M and 2S are not in the web UI; they are named in its
// manner.
var samplerLabels = []struct{ name, label string }{
	{"ddim", "DDIM"},
	{"plms", "PLMS"},
	{"pndm", "PNDM"},
	{"ddpm", "DDPM"},
	{"euler", "Euler"},
	{"euler_a", "Euler a"},
	{"lms", "LMS"},
	{"heun", "Heun"},
	{"dpm2", "DPM2"},
	{"dpm2_a", "DPM2 a"},
	{"dpmpp_2m", "DPM++ 2M"},
	{"dpmpp_2m_sde", "DPM++ 2M SDE"},
	{"dpmpp_3m", "DPM++ 3M"},
	{"dpmpp_2s", "DPM++ 2S"},
	{"unipc", "UniPC"},
	{"deis", "DEIS"},
	{"lcm", "LCM"},
}

// scheduleLabels pairs the suffixes that choose a noise schedule (modules/sd_schedulers.py).
var scheduleLabels = []struct{ name, label string }{
	{"_karras", " Karras"},
	{"_exponential", " Exponential"},
	{"_beta", " Beta"},
	{"", ""},
}

// SamplerLabel is the web UI's name of a sampler: "DPM++ 2M Karras" for "dpmpp_2m_karras"; false
// where it has none.
func SamplerLabel(name string) (label string, ok bool) {
	for _, schedule := range scheduleLabels {
		for _, sampler := range samplerLabels {
			if name == sampler.name+schedule.name {
				return sampler.label + schedule.label, true
			}
		}
	}
	return "", false
}

// SamplerName is the inverse of SamplerLabel. schedule is the text's "Schedule type", by which the
// web UI names the schedule since version 1.9; "", "Automatic" and "Uniform" add nothing to the
// label. Case does not count.
func SamplerName(label, schedule string) (name string, ok bool) {
	if schedule != "" && !strings.EqualFold(schedule, "Automatic") && !strings.EqualFold(schedule, "Uniform") {
		label += " " + schedule
	}
	for _, suffix := range scheduleLabels {
		for _, sampler := range samplerLabels {
			if strings.EqualFold(label, sampler.label+suffix.label) {
				return sampler.name + suffix.name, true
			}
		}
	}
	return "", false
}
