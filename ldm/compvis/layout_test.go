package compvis

import (
	"fmt"
	"slices"
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
