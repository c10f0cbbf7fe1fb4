package compvis

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"ldm-mac/ldm/tensor"
)

// released are the published systems by the number of their U-Nets' parameters in millions, and
// what shapes do not tell of them (the systems' configurations).
var released = []struct {
	layout
	name, class string
	millions    float64 // of the U-Net; 0 where it is not published
	heads       string  // in the U-Net's config
	scale       float64
	size        int
	betas       [2]float64
}{
	{layout{in: 4, out: 4, model: 320, mult: []int{1, 2, 4, 4}, resolutions: []int{4, 2, 1}, context: 1280, depth: 1, z: 4,
		stageMult: []int{1, 2, 4, 4}, cond: bertOf(1280, 32, 30522, 77)}, "txt2img-large", textToImage, 872.30, `"attention_head_dim":8`, 0.18215, 32, [2]float64{0.00085, 0.012}},
	{layout{in: 3, out: 3, model: 192, mult: []int{1, 2, 3, 5}, resolutions: []int{8, 4, 2}, context: 640, depth: 1, z: 3, codes: 8192,
		stageMult: vqF4, cond: bertOf(640, 32, 30522, 77)}, "text2img256", textToImage, 403.62, `"attention_head_dim":[6,12,18,30]`, 1, 64, [2]float64{0.0015, 0.0195}},
	{layout{in: 4, out: 4, model: 256, mult: []int{1, 2, 4}, resolutions: []int{4, 2, 1}, context: 512, depth: 1, z: 4, codes: 16384,
		stageMult: []int{1, 2, 2, 4}, stageAttention: []int{3}, cond: func(l *layout) { l.add("cond_stage_model.embedding.weight", 1000, 512) }},
		"cin256", classToImage, 394.98, `"attention_head_dim":[8,16,32]`, 1, 32, [2]float64{0.0015, 0.0195}},
	{layout{in: 3, out: 3, model: 192, mult: []int{1, 2, 3, 5}, resolutions: []int{8, 4, 2}, context: 512, depth: 1, z: 3, codes: 8192,
		stageMult: vqF4, cond: func(l *layout) { l.add("cond_stage_model.embedding.weight", 1001, 512) }},
		"cin256-v2", classToImage, 400.92, `"attention_head_dim":1`, 1, 64, [2]float64{0.0015, 0.0195}},
	{layout{in: 3, out: 3, model: 224, mult: []int{1, 2, 3, 4}, resolutions: []int{8, 4, 2}, z: 3, codes: 8192, stageMult: vqF4},
		"celeba256, ffhq256 or lsun_beds256", unconditional, 274.06, `"attention_head_dim":32`, 1, 64, [2]float64{0.0015, 0.0195}},
	{layout{in: 4, out: 4, model: 192, mult: []int{1, 2, 2, 4, 4}, resolutions: []int{1, 2, 4, 8}, scaleShift: true, updown: true, z: 4,
		stageMult: []int{1, 2, 4, 4}, cond: func(l *layout) { l.weights = append(l.weights, tensor.WeightOf("scale_factor", []float32{0.22})) }},
		"lsun_churches256", unconditional, 294.97, `"num_attention_heads":8`, 0.22, 32, [2]float64{0.0015, 0.0155}},
	{layout{in: 6, out: 3, model: 160, mult: []int{1, 2, 2, 4}, resolutions: []int{16, 8}, z: 3, codes: 8192, stageMult: vqF4},
		"bsr_sr", superResolution, 113.62, `"attention_head_dim":32`, 1, 64, [2]float64{0.0015, 0.0155}},
	{layout{in: 7, out: 3, model: 256, mult: []int{1, 2, 3, 4}, resolutions: []int{8, 4, 2}, updown: true, z: 3, codes: 8192,
		stageMult: vqF4, noMiddle: true}, "inpainting_big", inpaint, 387.25, `"num_attention_heads":8`, 1, 64, [2]float64{0.0015, 0.0205}},
	{layout{in: 3, out: 3, model: 128, mult: []int{1, 2, 3, 4}, resolutions: []int{8, 4, 2}, context: 512, depth: 3, z: 3, codes: 8192,
		stageMult: vqF4, cond: bertOf(512, 16, 8192, 92)}, "layout2img-openimages256", layoutToImage, 246.28, `"attention_head_dim":[4,8,12,16]`, 1, 64, [2]float64{0.0015, 0.0205}},
	{layout{in: 6, out: 3, model: 128, mult: []int{1, 4, 8}, resolutions: []int{32, 16, 8}, z: 3, codes: 8192, stageMult: vqF4,
		cond: func(l *layout) { l.add("cond_stage_model.channel_mapper.weight", 3, 182, 1, 1) }},
		"semantic_synthesis256 or semantic_synthesis512", semantic, 215.23, `"num_attention_heads":8`, 1, 64, [2]float64{0.0015, 0.0205}},
	{sd1, "Stable Diffusion 1", stable, 859.52, `"attention_head_dim":8`, 0.18215, 64, [2]float64{0.00085, 0.012}},
	{with(sd1, func(l *layout) { l.in = 9 }), "Stable Diffusion 1 inpainting", stableInpaint, 0, `"attention_head_dim":8`, 0.18215, 64, [2]float64{0.00085, 0.012}},
	{with(sd1, func(l *layout) { l.context, l.linear, l.cond = 1024, true, openCLIPText }), "Stable Diffusion 2", stable, 0,
		`"attention_head_dim":[5,10,20,20]`, 0.18215, 96, [2]float64{0.00085, 0.012}},
	{with(sd1, func(l *layout) { l.in, l.context, l.linear, l.cond = 9, 1024, true, openCLIPText }), "Stable Diffusion 2 inpainting", stableInpaint, 0,
		`"attention_head_dim":[5,10,20,20]`, 0.18215, 64, [2]float64{0.00085, 0.012}},
	{layout{in: 7, out: 4, model: 256, mult: []int{1, 2, 2, 4}, resolutions: []int{2, 4, 8}, context: 1024, depth: 1, linear: true,
		onlyCross: []bool{true, true, true, false}, classes: 1000, z: 4, stageMult: vqF4, cond: openCLIPText},
		"Stable Diffusion x4 upscaler", stableUpscale, 0, `"attention_head_dim":8`, 0.08333, 128, [2]float64{0.0001, 0.02}},
}

func TestReleasedSystems(t *testing.T) {
	if len(released) != len(systems) {
		t.Errorf("%d systems are tried, want all %d", len(released), len(systems))
	}
	for _, r := range released {
		t.Run(r.name, func(t *testing.T) {
			file := r.layout.file(t)
			count := 0
			for _, name := range file.Names() {
				if w, _ := file.Weight(name); strings.HasPrefix(name, unetPrefix) {
					count += w.Shape.Elements()
				}
			}
			if got := float64(count) / 1e6; r.millions > 0 && fmt.Sprintf("%.2f", got) != fmt.Sprintf("%.2f", r.millions) {
				t.Fatalf("the layout has %.2f million parameters, published are %.2f", got, r.millions)
			}
			s, err := newState(file, false)
			if err != nil {
				t.Fatal(err)
			}
			m := &original{source: source{path: file.Path(), folder: t.TempDir()}}
			if err := m.read(s); err != nil {
				t.Fatal(err)
			}
			if m.known == nil || m.known.name != r.name || m.class != r.class {
				t.Fatalf("recognised as %+v of %s, want %s", m.known, m.class, r.class)
			}
			if m.settings.lacks != nil || m.settings.betaStart != r.betas[0] || m.settings.betaEnd != r.betas[1] {
				t.Errorf("schedule %g to %g, want %v; lacks %q", m.settings.betaStart, m.settings.betaEnd, r.betas, m.settings.lacks)
			}
			var config map[string]any
			if err := json.Unmarshal(m.files["unet/config.json"], &config); err != nil {
				t.Fatal(err)
			}
			compact, _ := json.Marshal(config)
			for _, want := range []string{r.heads, fmt.Sprintf(`"sample_size":%d`, r.size), fmt.Sprintf(`"in_channels":%d`, r.in)} {
				if !strings.Contains(string(compact), want) {
					t.Errorf("the U-Net is %s, want %s", compact, want)
				}
			}
			if m.settings.scale != r.scale {
				t.Errorf("scale %g, want %g", m.settings.scale, r.scale)
			}
			checkNames(t, m, s)
		})
	}
}

// checkNames makes sure that every weight has one name in a folder, or three, and finds back.
func checkNames(t *testing.T, m *original, s *state) {
	t.Helper()
	tables, err := m.tables()
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for component, table := range tables {
		for name := range s.weights {
			if owner(name) != ownerOf(component) || table.passed(name) {
				continue
			}
			pairs := table.byOriginal[name]
			split := strings.HasSuffix(strings.TrimSuffix(name, ".weight"), ".qkv") || strings.HasSuffix(name, ".qkv.bias") || strings.Contains(name, ".in_proj_")
			if want := map[bool]int{false: 1, true: 3}[split]; len(pairs) != want {
				t.Errorf("%q has %d names in %s, want %d", name, len(pairs), component, want)
			}
			parts := map[int]bool{}
			for _, i := range pairs {
				p := table.pairs[i]
				if back := table.byName[p.name]; back != i || named[component+"/"+p.name] {
					t.Errorf("%q is %q, which is the name of another", name, p.name)
				}
				named[component+"/"+p.name] = true
				parts[p.form.part] = true
			}
			if len(parts) != len(pairs) {
				t.Errorf("%q is split into the parts %v", name, parts)
			}
		}
	}
	for name := range s.weights {
		if owner(name) == unetPrefix && !strings.HasPrefix(name, unetPrefix) {
			t.Errorf("%q belongs to nothing", name)
		}
	}
}

func TestStableDiffusionConfigs(t *testing.T) {
	last := len(released) - 1
	for _, c := range []struct {
		at           int
		file, config string
	}{
		{last, "unet/config.json", `"only_cross_attention":[false,true,true,false]`},
		{last, "unet/config.json", `"num_class_embeds":1000`},
		{last, "unet/config.json", `"down_block_types":["DownBlock2D","CrossAttnDownBlock2D","CrossAttnDownBlock2D","CrossAttnDownBlock2D"]`},
		{last, "scheduler/scheduler_config.json", `"prediction_type":"v_prediction"`},
		{last, "low_res_scheduler/scheduler_config.json", `"beta_start":0.0001`},
		{last, "model_index.json", `"max_noise_level":350`},
		{last - 2, "text_encoder/config.json", `"num_hidden_layers":23`},
		{last - 2, "text_encoder/config.json", `"num_attention_heads":16`},
		{last - 2, "text_encoder/config.json", `"hidden_act":"gelu"`},
		{last - 2, "unet/config.json", `"use_linear_projection":true`},
		{last - 2, "scheduler/scheduler_config.json", `"prediction_type":"v_prediction"`},
		{last - 1, "scheduler/scheduler_config.json", `"prediction_type":"epsilon"`},
		{last - 4, "text_encoder/config.json", `"num_hidden_layers":12`},
		{last - 4, "text_encoder/config.json", `"hidden_act":"quick_gelu"`},
		{last - 4, "text_encoder/config.json", `"intermediate_size":3072`},
		{last - 4, "vae/config.json", `"block_out_channels":[128,256,512,512]`},
	} {
		s, err := newState(released[c.at].layout.file(t), false)
		if err != nil {
			t.Fatal(err)
		}
		m := &original{source: source{path: "file", folder: t.TempDir()}}
		if err := m.read(s); err != nil {
			t.Fatal(err)
		}
		var config map[string]any
		if err := json.Unmarshal(m.files[c.file], &config); err != nil {
			t.Fatalf("%s: %v", c.file, err)
		}
		if compact, _ := json.Marshal(config); !strings.Contains(string(compact), c.config) {
			t.Errorf("%s: %s is %s, want %s", released[c.at].name, c.file, compact, c.config)
		}
	}
}

// TestUnknownSystems changes a number of a released system at a time.
func TestUnknownSystems(t *testing.T) {
	for what, c := range map[string]struct {
		layout layout
		want   string
	}{
		"channels that no conditioner explains": {with(sd1, func(l *layout) { l.in = 5 }), "from 5 to 4 channels"},
		"a conditioner without attention":       {with(sd1, func(l *layout) { l.context = 0 }), "without cross-attention"},
		"attention without a conditioner":       {with(sd1, func(l *layout) { l.cond = nil }), "nothing for a conditioner"},
		"Stable Diffusion XL":                   {with(sd1, func(l *layout) { l.cond = func(l *layout) { l.add("conditioner.embedders.0.x", 1) } }), "Stable Diffusion XL"},
		"both kinds of change in resolution":    {with(sd1, func(l *layout) { l.updown = true }), "not supported"},
	} {
		s, err := newState(c.layout.file(t), false)
		if err != nil {
			t.Fatal(err)
		}
		m := &original{source: source{path: "file", folder: t.TempDir()}}
		if err := m.read(s); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want it to say %q", what, err, c.want)
		}
	}
}

// TestSchedule reads the ends of a schedule out of its buffer, in single and in half precision.
func TestSchedule(t *testing.T) {
	betas := make([]float32, 1000)
	for _, r := range released {
		ends := r.betas
		for i := range betas {
			betas[i] = float32(scaled(ends[0], ends[1], i, len(betas)))
		}
		for _, d := range []tensor.DType{tensor.F32, tensor.F16, tensor.BF16} {
			s := &state{file: fileOf(t), betas: &tensor.Weight{Name: "betas", Shape: tensor.Shape{1000}, DType: d, Data: tensor.EncodeFloats(nil, betas, d)}}
			var got settings
			if err := s.readSchedule(&got); err != nil || got.steps != 1000 || got.betaStart != ends[0] || got.betaEnd != ends[1] {
				t.Errorf("%s: %+v, %v, want %v", d, got, err, ends)
			}
		}
	}
	s := &state{file: fileOf(t), betas: tensor.WeightOf("betas", []float32{0.1, 0.3, 0.2}, 3)}
	if err := s.readSchedule(&settings{}); err == nil || !strings.Contains(err.Error(), "square roots") {
		t.Errorf("another schedule: %v", err)
	}
}

// scaled is the variance of a step, linear in its square root.
func scaled(start, end float64, i, steps int) float64 {
	root := math.Sqrt(start) + (math.Sqrt(end)-math.Sqrt(start))*float64(i)/float64(steps-1)
	return root * root
}
