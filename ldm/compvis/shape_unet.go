package compvis

import (
	"fmt"
	"strings"
)

// unetShape is what the names and shapes of a U-Net's weights tell of its structure.
type unetShape struct {
	in, out     int
	channels    []int  // by level, finest first
	layers      int    // residual blocks of a level on the way down
	attention   []bool // by level; the middle always has it
	transformer bool   // SpatialTransformer, with cross-attention; else AttentionBlock
	depth       int    // blocks of a transformer
	context     int    // width of the condition
	onlyCross   []bool // by level: the first attention attends to the condition too
	linear      bool   // the transformer's projections are linear layers, not convolutions
	scaleShift  bool
	updown      bool // residual blocks change the resolution
	classes     int  // of an embedding added to the time's; 0 for none
}

// attentionAt is the name of the first attention on the way down at a level.
func (u *unetShape) attentionAt(level int) string {
	return fmt.Sprintf("%sinput_blocks.%d.1.", unetPrefix, level*(u.layers+1)+1)
}

// foreign are weights that show a checkpoint to be of a system that is none of CompVis'.
var foreign = []struct{ name, system string }{
	{"conditioner.embedders.", "Stable Diffusion XL"},
	{"model.diffusion_model.joint_blocks.", "Stable Diffusion 3"},
	{"model.diffusion_model.double_blocks.", "Flux"},
	{"control_model.", "a ControlNet"},
	{"lora_", "a LoRA"},
	{"cond_stage_model.model.visual.", "retrieval-augmented diffusion"},
}

// unetShape reads the structure of the U-Net, of which every published number can be seen in the
// first weights of each block. That all others agree is seen when they are bound.
func (s *state) unetShape() (*unetShape, error) {
	for name := range s.weights {
		for _, f := range foreign {
			if strings.HasPrefix(name, f.name) {
				return nil, s.fault("%q belongs to %s, which is not supported", name, f.system)
			}
		}
	}
	u := &unetShape{in: s.size(unetPrefix+"input_blocks.0.0.weight", 1), out: s.size(unetPrefix+"out.2.weight", 0)}
	base := s.size(unetPrefix+"input_blocks.0.0.weight", 0)
	if u.in == 0 || base == 0 || u.out == 0 {
		if s.has("encoder.conv_in.weight") || s.has(stagePrefix+"encoder.conv_in.weight") {
			return nil, s.fault("the file is a first stage alone, want one with the U-Net too, as %q", unetPrefix+"input_blocks.0.0.weight")
		}
		return nil, s.fault("no original checkpoint of latent diffusion: want the U-Net's %q and %q among the weights",
			unetPrefix+"input_blocks.0.0.weight", unetPrefix+"out.2.weight")
	}
	blocks := s.count(func(i int) string { return fmt.Sprintf("%soutput_blocks.%d.0.in_layers.0.weight", unetPrefix, i) })
	u.layers = blocks - 1 // of one level without a change of resolution
	for i := range blocks {
		conv, block := s.resampleAt(i)
		if conv || block {
			u.layers, u.updown = i, block
			break
		}
	}
	if u.layers < 1 || blocks%(u.layers+1) != 0 {
		return nil, s.fault("the U-Net has %d output blocks and its first change of resolution after %d, want levels of equal length",
			blocks, u.layers)
	}
	for level := range blocks / (u.layers + 1) {
		first := fmt.Sprintf("%sinput_blocks.%d.0.", unetPrefix, level*(u.layers+1)+1)
		channels := s.size(first+"out_layers.3.weight", 0)
		if channels == 0 {
			return nil, s.fault("the U-Net's level %d has no %q", level, first+"out_layers.3.weight")
		}
		u.channels = append(u.channels, channels)
		u.attention = append(u.attention, s.has(u.attentionAt(level)+"norm.weight"))
		u.scaleShift = s.size(first+"emb_layers.1.weight", 0) == 2*channels
	}
	if u.channels[0] != base {
		return nil, s.fault("the U-Net's first convolution has %d channels and its first level %d, want equal numbers", base, u.channels[0])
	}
	u.classes = s.size(unetPrefix+"label_emb.weight", 0)
	return u, s.attentionShape(u)
}

// resampleAt reports whether the output block i ends with a convolution or a residual block that
// raises the resolution.
func (s *state) resampleAt(i int) (conv, block bool) {
	for child := 1; child <= 2; child++ {
		name := fmt.Sprintf("%soutput_blocks.%d.%d.", unetPrefix, i, child)
		conv = conv || s.has(name+"conv.weight")
		block = block || s.has(name+"in_layers.0.weight")
	}
	return conv, block
}

// attentionShape reads what the attention of the middle tells.
func (s *state) attentionShape(u *unetShape) error {
	middle := unetPrefix + "middle_block.1."
	u.transformer = s.has(middle + "proj_in.weight")
	if !u.transformer {
		if !s.has(middle + "qkv.weight") {
			return s.fault("the U-Net's middle has neither %q nor %q", middle+"proj_in.weight", middle+"qkv.weight")
		}
		return nil
	}
	if u.updown {
		return s.fault("a U-Net with transformers and residual blocks that change the resolution is not supported")
	}
	u.depth = s.count(func(i int) string { return fmt.Sprintf("%stransformer_blocks.%d.attn2.to_k.weight", middle, i) })
	u.context = s.size(middle+"transformer_blocks.0.attn2.to_k.weight", 1)
	if u.depth == 0 || u.context == 0 {
		return s.fault("the U-Net's middle has no %q", middle+"transformer_blocks.0.attn2.to_k.weight")
	}
	u.linear = len(s.weights[middle+"proj_in.weight"].Shape) == 2
	for level, channels := range u.channels {
		keys := s.size(u.attentionAt(level)+"transformer_blocks.0.attn1.to_k.weight", 1)
		u.onlyCross = append(u.onlyCross, keys == u.context && keys != channels)
	}
	return nil
}
