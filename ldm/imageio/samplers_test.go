package imageio

import "testing"

func TestSamplerNames(t *testing.T) {
	for _, c := range []struct{ name, label string }{
		{"ddim", "DDIM"}, {"plms", "PLMS"}, {"euler_a", "Euler a"}, {"dpm2_a_karras", "DPM2 a Karras"},
		{"dpmpp_2m", "DPM++ 2M"}, {"dpmpp_2m_karras", "DPM++ 2M Karras"}, {"dpmpp_2m_sde_exponential", "DPM++ 2M SDE Exponential"},
		{"unipc_beta", "UniPC Beta"}, {"lcm", "LCM"},
	} {
		if label, ok := SamplerLabel(c.name); label != c.label || !ok {
			t.Errorf("label of %q is %q, %t, want %q", c.name, label, ok, c.label)
		}
	}
	for _, schedule := range scheduleLabels {
		for _, sampler := range samplerLabels {
			label, _ := SamplerLabel(sampler.name + schedule.name)
			if name, ok := SamplerName(label, ""); name != sampler.name+schedule.name || !ok {
				t.Errorf("%q became %q and then %q, %t", sampler.name+schedule.name, label, name, ok)
			}
		}
	}
	for _, name := range []string{"", "_karras", "DDIM", "ddim_", "dpmpp_9m", "ddim_karras_beta"} {
		if label, ok := SamplerLabel(name); ok {
			t.Errorf("sampler %q has label %q, want none", name, label)
		}
	}
	for _, c := range []struct{ label, schedule, want string }{
		{"DPM++ 2M", "Karras", "dpmpp_2m_karras"}, {"Euler a", "Automatic", "euler_a"}, {"Euler", "uniform", "euler"},
		{"euler A", "", "euler_a"}, {"DPM++ 2M SDE Karras", "", "dpmpp_2m_sde_karras"},
		{"Restart", "", ""}, {"DDIM", "SGM Uniform", ""}, {"", "", ""}, {"", "Karras", ""},
	} {
		if name, ok := SamplerName(c.label, c.schedule); name != c.want || ok != (c.want != "") {
			t.Errorf("sampler of %q, %q is %q, %t, want %q", c.label, c.schedule, name, ok, c.want)
		}
	}
}
