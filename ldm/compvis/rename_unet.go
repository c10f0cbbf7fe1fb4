package compvis

import "fmt"

// The prefixes of the networks in an original checkpoint (ddpm.py, LatentDiffusion).
const (
	unetPrefix  = "model.diffusion_model."
	stagePrefix = "first_stage_model."
	condPrefix  = "cond_stage_model."
)

// renameUNet pairs the names of openaimodel.py's UNetModel with those of diffusers' UNet2DModel
// and UNet2DConditionModel. heads gives the number of attention heads at a level.
func renameUNet(u *unetShape, heads func(level int) int) *table {
	t := &table{}
	last := len(u.channels) - 1
	both := func(original, name string) { t.layer(unetPrefix+original, name, form{}) }
	both("time_embed.0", "time_embedding.linear_1")
	both("time_embed.2", "time_embedding.linear_2")
	both("input_blocks.0.0", "conv_in")
	both("out.0", "conv_norm_out")
	both("out.2", "conv_out")
	if u.classes > 0 {
		t.add(unetPrefix+"label_emb.weight", "class_embedding.weight", form{})
	}
	i := 1
	for level := range u.channels {
		block := fmt.Sprintf("down_blocks.%d.", level)
		for b := range u.layers {
			t.resBlock(fmt.Sprintf("input_blocks.%d.0", i), fmt.Sprintf("%sresnets.%d", block, b))
			if u.attention[level] {
				t.attention(u, fmt.Sprintf("input_blocks.%d.1", i), fmt.Sprintf("%sattentions.%d", block, b), heads(level))
			}
			i++
		}
		if level < last {
			t.resample(u, fmt.Sprintf("input_blocks.%d.0", i), "op", block+"downsamplers.0")
			i++
		}
	}
	t.resBlock("middle_block.0", "mid_block.resnets.0")
	t.attention(u, "middle_block.1", "mid_block.attentions.0", heads(last))
	t.resBlock("middle_block.2", "mid_block.resnets.1")
	i = 0
	for level := last; level >= 0; level-- {
		block := fmt.Sprintf("up_blocks.%d.", last-level)
		for b := range u.layers + 1 {
			child := 1
			t.resBlock(fmt.Sprintf("output_blocks.%d.0", i), fmt.Sprintf("%sresnets.%d", block, b))
			if u.attention[level] {
				t.attention(u, fmt.Sprintf("output_blocks.%d.1", i), fmt.Sprintf("%sattentions.%d", block, b), heads(level))
				child = 2
			}
			if b == u.layers && level > 0 {
				t.resample(u, fmt.Sprintf("output_blocks.%d.%d", i, child), "conv", block+"upsamplers.0")
			}
			i++
		}
	}
	return t
}

func (t *table) resBlock(original, name string) {
	t.layers(unetPrefix+original, name,
		"in_layers.0", "norm1", "in_layers.2", "conv1", "emb_layers.1", "time_emb_proj",
		"out_layers.0", "norm2", "out_layers.3", "conv2", "skip_connection", "conv_shortcut")
}

// resample pairs the change of resolution between levels: a convolution, or with resblock_updown a
// residual block.
func (t *table) resample(u *unetShape, original, conv, name string) {
	if u.updown {
		t.resBlock(original, name)
		return
	}
	t.layer(unetPrefix+original+"."+conv, name+".conv", form{})
}

// attention pairs a SpatialTransformer, whose parts have the same names in both, or an
// AttentionBlock, whose convolutions in one dimension are linear layers in diffusers.
func (t *table) attention(u *unetShape, original, name string, heads int) {
	original = unetPrefix + original
	if !u.transformer {
		t.layer(original+".norm", name+".group_norm", form{})
		for part, to := range []string{"to_q", "to_k", "to_v"} {
			t.layer(original+".qkv", name+"."+to, form{ones: 1, part: part, heads: heads})
		}
		t.layer(original+".proj_out", name+".to_out.0", form{ones: 1})
		return
	}
	t.layers(original, name, "norm", "norm", "proj_in", "proj_in", "proj_out", "proj_out")
	for d := range u.depth {
		block := fmt.Sprintf(".transformer_blocks.%d", d)
		for _, layer := range []string{
			"norm1", "attn1.to_q", "attn1.to_k", "attn1.to_v", "attn1.to_out.0",
			"norm2", "attn2.to_q", "attn2.to_k", "attn2.to_v", "attn2.to_out.0",
			"norm3", "ff.net.0.proj", "ff.net.2",
		} {
			t.layers(original+block, name+block, layer, layer)
		}
	}
}
