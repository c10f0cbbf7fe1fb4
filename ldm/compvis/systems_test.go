package compvis

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/tensor"
)

// layout makes the names and shapes of an original checkpoint as CompVis' constructors do
// (openaimodel.py, model.py, x_transformer.py), without elements.
type layout struct {
	in, out, model int
	mult           []int
	resolutions    []int // factors at which there is attention
	context, depth int   // 0 for an AttentionBlock
	scaleShift     bool
	updown         bool
	linear         bool
	onlyCross      []bool
	classes        int
	z, codes       int
	stageMult      []int
	stageAttention []int // levels
	noMiddle       bool  // of the first stage
	cond           func(l *layout)

	weights []*tensor.Weight
}

func (l *layout) add(name string, shape ...int) {
	l.weights = append(l.weights, &tensor.Weight{Name: name, Shape: shape, DType: tensor.F32})
}

// layer adds a weight of the shape and a bias for its first dimension.
func (l *layout) layer(name string, shape ...int) {
	l.add(name+".weight", shape...)
	l.add(name+".bias", shape[0])
}

func (l *layout) resBlock(name string, in, out int) {
	l.layer(name+".in_layers.0", in)
	l.layer(name+".in_layers.2", out, in, 3, 3)
	emb := out
	if l.scaleShift {
		emb *= 2
	}
	l.layer(name+".emb_layers.1", emb, 4*l.model)
	l.layer(name+".out_layers.0", out)
	l.layer(name+".out_layers.3", out, out, 3, 3)
	if in != out {
		l.layer(name+".skip_connection", out, in, 1, 1)
	}
}

func (l *layout) attention(name string, c, level int) {
	l.layer(name+".norm", c)
	if l.context == 0 {
		l.layer(name+".qkv", 3*c, c, 1)
		l.layer(name+".proj_out", c, c, 1)
		return
	}
	projection := []int{c, c, 1, 1}
	if l.linear {
		projection = projection[:2]
	}
	l.layer(name+".proj_in", projection...)
	l.layer(name+".proj_out", projection...)
	for d := range l.depth {
		block := fmt.Sprintf("%s.transformer_blocks.%d.", name, d)
		for i, keys := range []int{c, l.context} {
			if i == 0 && level >= 0 && l.onlyCross != nil && l.onlyCross[level] {
				keys = l.context
			}
			attn := fmt.Sprintf("%sattn%d.", block, i+1)
			l.add(attn+"to_q.weight", c, c)
			l.add(attn+"to_k.weight", c, keys)
			l.add(attn+"to_v.weight", c, keys)
			l.layer(attn+"to_out.0", c, c)
		}
		for _, norm := range []string{"norm1", "norm2", "norm3"} {
			l.layer(block+norm, c)
		}
		l.layer(block+"ff.net.0.proj", 8*c, c)
		l.layer(block+"ff.net.2", c, 4*c)
	}
}

func (l *layout) unet() {
	prefix := "model.diffusion_model."
	l.layer(prefix+"time_embed.0", 4*l.model, l.model)
	l.layer(prefix+"time_embed.2", 4*l.model, 4*l.model)
	if l.classes > 0 {
		l.add(prefix+"label_emb.weight", l.classes, 4*l.model)
	}
	l.layer(prefix+"input_blocks.0.0", l.model, l.in, 3, 3)
	skips, c, i, factor := []int{l.model}, l.model, 1, 1
	block := func(kind string, n, child int) string {
		return fmt.Sprintf("%s%s_blocks.%d.%d", prefix, kind, n, child)
	}
	for level, m := range l.mult {
		for range 2 {
			l.resBlock(block("input", i, 0), c, m*l.model)
			c = m * l.model
			if slices.Contains(l.resolutions, factor) {
				l.attention(block("input", i, 1), c, level)
			}
			skips = append(skips, c)
			i++
		}
		if level < len(l.mult)-1 {
			if l.updown {
				l.resBlock(block("input", i, 0), c, c)
			} else {
				l.layer(block("input", i, 0)+".op", c, c, 3, 3)
			}
			skips = append(skips, c)
			i++
			factor *= 2
		}
	}
	l.resBlock(prefix+"middle_block.0", c, c)
	l.attention(prefix+"middle_block.1", c, -1)
	l.resBlock(prefix+"middle_block.2", c, c)
	i = 0
	for level := len(l.mult) - 1; level >= 0; level-- {
		for b := range 3 {
			skip := skips[len(skips)-1]
			skips = skips[:len(skips)-1]
			l.resBlock(block("output", i, 0), c+skip, l.mult[level]*l.model)
			c = l.mult[level] * l.model
			child := 1
			if slices.Contains(l.resolutions, factor) {
				l.attention(block("output", i, child), c, level)
				child++
			}
			if level > 0 && b == 2 {
				if l.updown {
					l.resBlock(block("output", i, child), c, c)
				} else {
					l.layer(block("output", i, child)+".conv", c, c, 3, 3)
				}
				factor /= 2
			}
			i++
		}
	}
	l.layer(prefix+"out.0", l.model)
	l.layer(prefix+"out.2", l.out, l.model, 3, 3)
}

func (l *layout) stageBlock(name string, in, out int) {
	l.layer(name+".norm1", in)
	l.layer(name+".conv1", out, in, 3, 3)
	l.layer(name+".norm2", out)
	l.layer(name+".conv2", out, out, 3, 3)
	if in != out {
		l.layer(name+".nin_shortcut", out, in, 1, 1)
	}
}

func (l *layout) stageAttn(name string, c int) {
	l.layer(name+".norm", c)
	for _, part := range []string{"q", "k", "v", "proj_out"} {
		l.layer(name+"."+part, c, c, 1, 1)
	}
}

func (l *layout) stage() {
	const ch = 128
	moments := 2 * l.z
	if l.codes > 0 {
		moments = l.z
		l.add("first_stage_model.quantize.embedding.weight", l.codes, l.z)
	}
	l.layer("first_stage_model.quant_conv", moments, moments, 1, 1)
	l.layer("first_stage_model.post_quant_conv", l.z, l.z, 1, 1)
	coder := func(prefix string, c int) {
		l.stageBlock(prefix+"mid.block_1", c, c)
		if !l.noMiddle {
			l.stageAttn(prefix+"mid.attn_1", c)
		}
		l.stageBlock(prefix+"mid.block_2", c, c)
	}
	last := len(l.stageMult) - 1
	prefix, c := "first_stage_model.encoder.", ch
	l.layer(prefix+"conv_in", ch, 3, 3, 3)
	for level, m := range l.stageMult {
		for b := range 2 {
			l.stageBlock(fmt.Sprintf("%sdown.%d.block.%d", prefix, level, b), c, m*ch)
			c = m * ch
			if slices.Contains(l.stageAttention, level) {
				l.stageAttn(fmt.Sprintf("%sdown.%d.attn.%d", prefix, level, b), c)
			}
		}
		if level < last {
			l.layer(fmt.Sprintf("%sdown.%d.downsample.conv", prefix, level), c, c, 3, 3)
		}
	}
	coder(prefix, c)
	l.layer(prefix+"norm_out", c)
	l.layer(prefix+"conv_out", moments, c, 3, 3)
	prefix = "first_stage_model.decoder."
	l.layer(prefix+"conv_in", c, l.z, 3, 3)
	coder(prefix, c)
	for level := last; level >= 0; level-- {
		for b := range 3 {
			l.stageBlock(fmt.Sprintf("%sup.%d.block.%d", prefix, level, b), c, l.stageMult[level]*ch)
			c = l.stageMult[level] * ch
			if slices.Contains(l.stageAttention, level) {
				l.stageAttn(fmt.Sprintf("%sup.%d.attn.%d", prefix, level, b), c)
			}
		}
		if level > 0 {
			l.layer(fmt.Sprintf("%sup.%d.upsample.conv", prefix, level), c, c, 3, 3)
		}
	}
	l.layer(prefix+"norm_out", c)
	l.layer(prefix+"conv_out", 3, c, 3, 3)
}

func bertOf(width, layers, vocabulary, positions int) func(l *layout) {
	return func(l *layout) {
		p := "cond_stage_model.transformer."
		l.add(p+"token_emb.weight", vocabulary, width)
		l.add(p+"pos_emb.emb.weight", positions, width)
		for i := range layers {
			attn, ff := fmt.Sprintf("%sattn_layers.layers.%d.", p, 2*i), fmt.Sprintf("%sattn_layers.layers.%d.", p, 2*i+1)
			l.layer(attn+"0", width)
			l.add(attn+"1.to_q.weight", 512, width)
			l.add(attn+"1.to_k.weight", 512, width)
			l.add(attn+"1.to_v.weight", 512, width)
			l.layer(attn+"1.to_out", width, 512)
			l.layer(ff+"0", width)
			l.layer(ff+"1.net.0.0", 4*width, width)
			l.layer(ff+"1.net.2", width, 4*width)
		}
		l.layer(p+"norm", width)
		l.layer(p+"to_logits", vocabulary, width)
	}
}

func clipText(l *layout) {
	p := "cond_stage_model.transformer.text_model."
	l.add(p+"embeddings.position_ids", 1, 77)
	l.add(p+"embeddings.token_embedding.weight", 49408, 768)
	l.add(p+"embeddings.position_embedding.weight", 77, 768)
	for i := range 12 {
		layer := fmt.Sprintf("%sencoder.layers.%d.", p, i)
		for _, name := range []string{"q_proj", "k_proj", "v_proj", "out_proj"} {
			l.layer(layer+"self_attn."+name, 768, 768)
		}
		l.layer(layer+"layer_norm1", 768)
		l.layer(layer+"layer_norm2", 768)
		l.layer(layer+"mlp.fc1", 3072, 768)
		l.layer(layer+"mlp.fc2", 768, 3072)
	}
	l.layer(p+"final_layer_norm", 768)
}

func openCLIPText(l *layout) {
	p := "cond_stage_model.model."
	l.add(p+"positional_embedding", 77, 1024)
	l.add(p+"text_projection", 1024, 1024)
	l.add(p + "logit_scale")
	l.add(p+"token_embedding.weight", 49408, 1024)
	for i := range 24 {
		layer := fmt.Sprintf("%stransformer.resblocks.%d.", p, i)
		l.layer(layer+"ln_1", 1024)
		l.add(layer+"attn.in_proj_weight", 3072, 1024)
		l.add(layer+"attn.in_proj_bias", 3072)
		l.layer(layer+"attn.out_proj", 1024, 1024)
		l.layer(layer+"ln_2", 1024)
		l.layer(layer+"mlp.c_fc", 4096, 1024)
		l.layer(layer+"mlp.c_proj", 1024, 4096)
	}
	l.layer(p+"ln_final", 1024)
}

func (l layout) file(t testing.TB) *checkpoint.File {
	l.unet()
	l.stage()
	if l.cond != nil {
		l.cond(&l)
	}
	return fileOf(t, l.weights...)
}

var (
	sd1 = layout{in: 4, out: 4, model: 320, mult: []int{1, 2, 4, 4}, resolutions: []int{4, 2, 1}, context: 768, depth: 1,
		z: 4, stageMult: []int{1, 2, 4, 4}, cond: clipText}
	vqF4 = []int{1, 2, 4}
)

func with(l layout, change func(l *layout)) layout {
	change(&l)
	return l
}

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
