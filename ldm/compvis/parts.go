package compvis

import (
	"encoding/json"
	"fmt"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/tensor"
)

// part is a component of a diffusers folder that original checkpoints have a place for.
type part struct {
	component string
	file      *checkpoint.File
	table     *table
}

// partsOf opens the components of a folder that go into one file. The caller closes them, also
// after an error.
func partsOf(folder *checkpoint.Folder, small map[string][]byte) (parts []part, err error) {
	if folder.Components["unet"].Class == "" {
		return nil, &checkpoint.Error{Path: folder.Path(), Err: fmt.Errorf("%s has no U-Net, as every original checkpoint has", folder.Class)}
	}
	for _, name := range sortedKeys(folder.Components) {
		build := builders[name]
		if build == nil {
			continue
		}
		file, err := folder.Weights(name)
		if err != nil {
			return parts, err
		}
		s := &state{file: file, weights: map[string]*tensor.Weight{}}
		for _, weight := range file.Names() {
			w, _ := file.Weight(weight)
			s.weights[checkpoint.CurrentName(weight)] = w
		}
		table, err := build(s, small[name+"/config.json"])
		parts = append(parts, part{name, file, table})
		if err != nil {
			return parts, &checkpoint.Error{Path: folder.Path(), Err: fmt.Errorf("component %q: %w", name, err)}
		}
	}
	return parts, nil
}

// builders make the tables of a folder's components, from the names of their weights and their
// configs.
var builders = map[string]func(s *state, config []byte) (*table, error){
	"unet":  tableOfUNet,
	"vae":   tableOfStage,
	"vqvae": tableOfStage,
	"bert": func(s *state, _ []byte) (*table, error) {
		return renameBERT(s.count(func(i int) string { return fmt.Sprintf("model.layers.%d.fc1.weight", i) })), nil
	},
	"text_encoder": tableOfText,
	"class_embedder": func(*state, []byte) (*table, error) {
		return renameOne("embedding.weight", "embedding.weight"), nil
	},
	"rescaler": func(*state, []byte) (*table, error) {
		return renameOne("channel_mapper.weight", "channel_mapper.weight"), nil
	},
}

// tableOfUNet reads of the names what renameUNet needs. Networks that are built otherwise keep
// weights without a pair.
func tableOfUNet(s *state, data []byte) (*table, error) {
	u := &unetShape{
		layers:      s.count(func(i int) string { return fmt.Sprintf("down_blocks.0.resnets.%d.conv1.weight", i) }),
		transformer: s.has("mid_block.attentions.0.proj_in.weight"),
		depth:       s.count(func(i int) string { return fmt.Sprintf("mid_block.attentions.0.transformer_blocks.%d.norm1.weight", i) }),
		updown:      s.has("down_blocks.0.downsamplers.0.norm1.weight"),
		classes:     s.size("class_embedding.weight", 0),
	}
	levels := s.count(func(i int) string { return fmt.Sprintf("down_blocks.%d.resnets.0.conv1.weight", i) })
	if levels == 0 {
		return nil, fmt.Errorf("no %q among the weights", "down_blocks.0.resnets.0.conv1.weight")
	}
	for level := range levels {
		block := fmt.Sprintf("down_blocks.%d.", level)
		u.channels = append(u.channels, s.size(block+"resnets.0.conv1.weight", 0))
		u.attention = append(u.attention, s.has(block+"attentions.0.norm.weight") || s.has(block+"attentions.0.group_norm.weight"))
	}
	if u.transformer {
		return renameUNet(u, func(int) int { return 1 }), nil
	}
	var config unetConfig
	if err := json.Unmarshal(data, &config); err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	heads, err := config.heads(u)
	if err != nil {
		return nil, err
	}
	return renameUNet(u, heads), nil
}

func tableOfStage(s *state, _ []byte) (*table, error) {
	f := &stageShape{
		codes:        s.size("quantize.embedding.weight", 0),
		layers:       s.count(func(i int) string { return fmt.Sprintf("encoder.down_blocks.0.resnets.%d.conv1.weight", i) }),
		midAttention: s.has("encoder.mid_block.attentions.0.group_norm.weight"),
	}
	levels := s.count(func(i int) string { return fmt.Sprintf("encoder.down_blocks.%d.resnets.0.conv1.weight", i) })
	if levels == 0 {
		return nil, fmt.Errorf("no %q among the weights", "encoder.down_blocks.0.resnets.0.conv1.weight")
	}
	for level := range levels {
		f.channels = append(f.channels, s.size(fmt.Sprintf("encoder.down_blocks.%d.resnets.0.conv1.weight", level), 0))
		f.downAttention = append(f.downAttention, s.has(fmt.Sprintf("encoder.down_blocks.%d.attentions.0.group_norm.weight", level)))
		f.upAttention = append(f.upAttention, s.has(fmt.Sprintf("decoder.up_blocks.%d.attentions.0.group_norm.weight", levels-1-level)))
	}
	return renameFirstStage(f), nil
}

// tableOfText chooses between the text encoders of Stable Diffusion 1 and 2, which differ in their
// activation.
func tableOfText(s *state, data []byte) (*table, error) {
	var config struct {
		Activation string `json:"hidden_act"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	layers := s.count(func(i int) string { return fmt.Sprintf("text_model.encoder.layers.%d.mlp.fc1.weight", i) })
	if config.Activation == "gelu" {
		return renameOpenCLIP(layers), nil
	}
	return renameCLIP(layers), nil
}
