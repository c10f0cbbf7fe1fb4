package compvis

import (
	"encoding/json"
	"fmt"

	"ldm-mac/ldm/checkpoint"
)

// perLevel is a number of a config.json for every level: one for all, or a list; nil for null.
type perLevel []int

// UnmarshalJSON reads a number, a list of numbers, or null.
func (p *perLevel) UnmarshalJSON(data []byte) error {
	var one int
	if string(data) != "null" && json.Unmarshal(data, &one) == nil {
		*p = perLevel{one}
		return nil
	}
	return json.Unmarshal(data, (*[]int)(p))
}

// at is the number for a level; 0 when there is none.
func (p perLevel) at(level int) int {
	switch {
	case len(p) == 1:
		return p[0]
	case level < len(p):
		return p[level]
	}
	return 0
}

// unetConfig is what the names of a U-Net's weights need of its config.json: the heads by which an
// AttentionBlock's rows are ordered.
type unetConfig struct {
	Class    string   `json:"_class_name"`
	Heads    perLevel `json:"num_attention_heads"`
	HeadSize perLevel `json:"attention_head_dim"`
}

// heads gives the number of heads at each level of a UNet2DModel, where attention_head_dim is the
// size of a head and null one head for all channels.
func (c *unetConfig) heads(u *unetShape) (func(level int) int, error) {
	for level, channels := range u.channels {
		n := c.numHeads(channels, level)
		attends := u.attention[level] || level == len(u.channels)-1
		if attends && (n < 1 || channels%n != 0) {
			return nil, fmt.Errorf("num_attention_heads %v and attention_head_dim %v do not divide %d channels", c.Heads, c.HeadSize, channels)
		}
	}
	return func(level int) int { return c.numHeads(u.channels[level], level) }, nil
}

func (c *unetConfig) numHeads(channels, level int) int {
	switch {
	case c.Heads.at(level) != 0:
		return c.Heads.at(level)
	case c.HeadSize == nil:
		return 1
	case c.HeadSize.at(level) < 1:
		return 0
	}
	return max(1, channels/c.HeadSize.at(level))
}

// textConfig is what the names of a text encoder's weights need of its config.json.
type textConfig struct {
	Layers int `json:"num_hidden_layers"`
}

// decode reads a config of the folder in memory.
func (m *original) decode(component string, into any) error {
	name := component + "/config.json"
	if err := json.Unmarshal(m.files[name], into); err != nil {
		return &checkpoint.Error{Path: m.source.path + "#" + name, Err: err}
	}
	return nil
}

// tables are those of the components with weights, by their names in the folder.
func (m *original) tables() (map[string]*table, error) {
	var unet unetConfig
	if err := m.decode("unet", &unet); err != nil {
		return nil, err
	}
	heads := func(int) int { return 1 } // a transformer's weights are in the same order in both
	if !m.shapes.unet.transformer {
		var err error
		if heads, err = unet.heads(m.shapes.unet); err != nil {
			return nil, &checkpoint.Error{Path: m.source.path + "#unet/config.json", Err: err}
		}
	}
	stage := "vqvae"
	if m.files["vae/config.json"] != nil {
		stage = "vae"
	}
	tables := map[string]*table{"unet": renameUNet(m.shapes.unet, heads), stage: renameFirstStage(m.shapes.stage)}
	switch c := m.shapes.cond; c.kind {
	case bertCond:
		tables["bert"] = renameBERT(c.layers)
	case clipCond, openCLIPCond:
		var text textConfig
		if err := m.decode("text_encoder", &text); err != nil {
			return nil, err
		}
		if text.Layers < 1 || text.Layers > c.layers {
			return nil, &checkpoint.Error{Path: m.source.path + "#text_encoder/config.json",
				Err: fmt.Errorf("num_hidden_layers is %d, the file has %d", text.Layers, c.layers)}
		}
		tables["text_encoder"] = renameCLIP(text.Layers)
		if c.kind == openCLIPCond {
			tables["text_encoder"] = renameOpenCLIP(text.Layers)
		}
	case classCond:
		tables["class_embedder"] = renameOne("embedding.weight", "embedding.weight")
	case rescaleCond:
		tables["rescaler"] = renameOne("channel_mapper.weight", "channel_mapper.weight")
	}
	return tables, nil
}
