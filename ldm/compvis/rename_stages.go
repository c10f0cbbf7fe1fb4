package compvis

import "fmt"

// renameFirstStage pairs the names of autoencoder.py's AutoencoderKL and VQModel with those of the
// same classes in diffusers. Convolutions of 1x1 around the attention are linear layers there.
func renameFirstStage(s *stageShape) *table {
	t := &table{}
	last := len(s.channels) - 1
	coder := func(coder, levels string, attention []bool, layers int, resample string) {
		original := stagePrefix + coder
		t.layers(original, coder, "conv_in", "conv_in", "norm_out", "conv_norm_out", "conv_out", "conv_out")
		for i, name := range []string{"resnets.0", "resnets.1"} {
			t.stageBlock(fmt.Sprintf("%s.mid.block_%d", original, i+1), coder+".mid_block."+name)
		}
		if s.midAttention {
			t.stageAttention(original+".mid.attn_1", coder+".mid_block.attentions.0")
		}
		for level := range s.channels {
			from := fmt.Sprintf("%s.%s.%d.", original, levels, level)
			to := fmt.Sprintf("%s.%s_blocks.%d.", coder, levels, level)
			if levels == "up" {
				to = fmt.Sprintf("%s.up_blocks.%d.", coder, last-level)
			}
			for b := range layers {
				t.stageBlock(fmt.Sprintf("%sblock.%d", from, b), fmt.Sprintf("%sresnets.%d", to, b))
				if attention[level] {
					t.stageAttention(fmt.Sprintf("%sattn.%d", from, b), fmt.Sprintf("%sattentions.%d", to, b))
				}
			}
			t.layer(from+resample+".conv", to+resample+"rs.0.conv", form{})
		}
	}
	coder("encoder", "down", s.downAttention, s.layers, "downsample")
	coder("decoder", "up", s.upAttention, s.layers+1, "upsample")
	t.layer(stagePrefix+"quant_conv", "quant_conv", form{})
	t.layer(stagePrefix+"post_quant_conv", "post_quant_conv", form{})
	if s.codes > 0 {
		t.add(stagePrefix+"quantize.embedding.weight", "quantize.embedding.weight", form{})
	}
	return t
}

func (t *table) stageBlock(original, name string) {
	t.layers(original, name, "norm1", "norm1", "conv1", "conv1", "norm2", "norm2", "conv2", "conv2", "nin_shortcut", "conv_shortcut")
}

func (t *table) stageAttention(original, name string) {
	t.layer(original+".norm", name+".group_norm", form{})
	for _, l := range [][2]string{{"q", "to_q"}, {"k", "to_k"}, {"v", "to_v"}, {"proj_out", "to_out.0"}} {
		t.layer(original+"."+l[0], name+"."+l[1], form{ones: 2})
	}
}

// renameBERT pairs the names of x_transformer.py's TransformerWrapper with those of diffusers'
// LDMBertModel. An odd layer of the original is the feed-forward network of the even one before it.
func renameBERT(layers int) *table {
	t := &table{}
	original := condPrefix + "transformer."
	t.add(original+"token_emb.weight", "model.embed_tokens.weight", form{})
	t.add(original+"pos_emb.emb.weight", "model.embed_positions.weight", form{})
	t.layer(original+"norm", "model.layer_norm", form{})
	for i := range layers {
		name := fmt.Sprintf("model.layers.%d", i)
		t.layers(fmt.Sprintf("%sattn_layers.layers.%d", original, 2*i), name,
			"0", "self_attn_layer_norm", "1.to_q", "self_attn.q_proj", "1.to_k", "self_attn.k_proj",
			"1.to_v", "self_attn.v_proj", "1.to_out", "self_attn.out_proj")
		t.layers(fmt.Sprintf("%sattn_layers.layers.%d", original, 2*i+1), name,
			"0", "final_layer_norm", "1.net.0.0", "fc1", "1.net.2", "fc2")
	}
	return t
}

// renameCLIP pairs the names of transformers' CLIPTextModel in Stable Diffusion 1 with themselves.
func renameCLIP(layers int) *table {
	t := &table{}
	original := condPrefix + "transformer."
	for _, name := range []string{"text_model.embeddings.token_embedding.weight", "text_model.embeddings.position_embedding.weight"} {
		t.add(original+name, name, form{})
	}
	t.layer(original+"text_model.final_layer_norm", "text_model.final_layer_norm", form{})
	for i := range layers {
		for _, layer := range []string{
			"layer_norm1", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj",
			"layer_norm2", "mlp.fc1", "mlp.fc2",
		} {
			name := fmt.Sprintf("text_model.encoder.layers.%d.%s", i, layer)
			t.layer(original+name, name, form{})
		}
	}
	return t
}

// renameOpenCLIP pairs the names of open_clip's text transformer in Stable Diffusion 2 with those
// of CLIPTextModel. in_proj holds queries, keys and values one after the other. The layer behind the
// last is not used, where there is one.
func renameOpenCLIP(layers int) *table {
	original := condPrefix + "model."
	t := &table{unused: fmt.Sprintf("%stransformer.resblocks.%d.", original, layers)}
	t.add(original+"token_embedding.weight", "text_model.embeddings.token_embedding.weight", form{})
	t.add(original+"positional_embedding", "text_model.embeddings.position_embedding.weight", form{})
	t.layer(original+"ln_final", "text_model.final_layer_norm", form{})
	for i := range layers {
		from := fmt.Sprintf("%stransformer.resblocks.%d", original, i)
		to := fmt.Sprintf("text_model.encoder.layers.%d", i)
		t.layers(from, to, "ln_1", "layer_norm1", "attn.out_proj", "self_attn.out_proj",
			"ln_2", "layer_norm2", "mlp.c_fc", "mlp.fc1", "mlp.c_proj", "mlp.fc2")
		for part, name := range []string{"q_proj", "k_proj", "v_proj"} {
			t.add(from+".attn.in_proj_weight", to+".self_attn."+name+".weight", form{part: part, heads: 1})
			t.add(from+".attn.in_proj_bias", to+".self_attn."+name+".bias", form{part: part, heads: 1})
		}
	}
	return t
}

// renameOne is the table of a component with a single weight.
func renameOne(original, name string) *table {
	t := &table{}
	t.add(condPrefix+original, name, form{})
	return t
}
