package compvis

import "fmt"

// stageShape is what the weights of the first stage tell of its structure.
type stageShape struct {
	codes, codeDim             int // of the codebook; 0 for an AutoencoderKL
	in, out, z                 int // channels of pictures and of latents
	channels                   []int
	layers                     int
	downAttention, upAttention []bool
	midAttention               bool
}

// factor is the size of a picture divided by that of its latents.
func (f *stageShape) factor() int { return 1 << (len(f.channels) - 1) }

func (s *state) stageShape() (*stageShape, error) {
	encoder, decoder := stagePrefix+"encoder.", stagePrefix+"decoder."
	f := &stageShape{
		codes: s.size(stagePrefix+"quantize.embedding.weight", 0), codeDim: s.size(stagePrefix+"quantize.embedding.weight", 1),
		in: s.size(encoder+"conv_in.weight", 1), out: s.size(decoder+"conv_out.weight", 0), z: s.size(decoder+"conv_in.weight", 1),
		midAttention: s.has(encoder + "mid.attn_1.norm.weight"),
	}
	levels := s.count(func(i int) string { return fmt.Sprintf("%sdown.%d.block.0.conv1.weight", encoder, i) })
	f.layers = s.count(func(i int) string { return fmt.Sprintf("%sdown.0.block.%d.conv1.weight", encoder, i) })
	if f.in == 0 || f.out == 0 || f.z == 0 || levels == 0 || levels > maxStageLevels {
		return nil, s.fault("the first stage has %d levels, %d channels in, %d out and %d of latents: want %q, %q and %q among the weights",
			levels, f.in, f.out, f.z, encoder+"conv_in.weight", decoder+"conv_in.weight", decoder+"conv_out.weight")
	}
	for level := range levels {
		down := fmt.Sprintf("%sdown.%d.", encoder, level)
		f.channels = append(f.channels, s.size(down+"block.0.conv1.weight", 0))
		f.downAttention = append(f.downAttention, s.has(down+"attn.0.norm.weight"))
		f.upAttention = append(f.upAttention, s.has(fmt.Sprintf("%sup.%d.attn.0.norm.weight", decoder, level)))
	}
	if n := s.size(encoder+"conv_in.weight", 0); n != f.channels[0] {
		return nil, s.fault("the first stage's first convolution has %d channels and its first level %d, want equal numbers", n, f.channels[0])
	}
	if n := s.size(stagePrefix+"post_quant_conv.weight", 1); f.codes == 0 && n != f.z {
		return nil, s.fault("%q has %d channels in, want the %d of the latents", stagePrefix+"post_quant_conv.weight", n, f.z)
	}
	return f, nil
}

// maxStageLevels keeps the factor of a hostile file within an int.
const maxStageLevels = 16

// condKind is the kind of a conditioner.
type condKind int

const (
	noCond   condKind = iota
	bertCond          // BERTEmbedder: text, or the boxes of a layout
	clipCond          // FrozenCLIPEmbedder
	openCLIPCond
	classCond
	rescaleCond // SpatialRescaler
)

// condShape is what the weights of the conditioner tell of its structure.
type condShape struct {
	kind                        condKind
	vocabulary, positions       int
	width, inner, heads, layers int // inner is the width of the feed-forward network, heads that of all heads
	in, out                     int // channels, or classes and the width of their embedding
}

func (s *state) condShape() (*condShape, error) {
	c := &condShape{}
	bert, clip, open := condPrefix+"transformer.", condPrefix+"transformer.text_model.", condPrefix+"model."
	embedding, layer := "", ""
	switch {
	case s.has(bert + "token_emb.weight"):
		c.kind, embedding, layer = bertCond, bert+"token_emb.weight", bert+"attn_layers.layers."
		c.positions = s.size(bert+"pos_emb.emb.weight", 0)
		c.layers = s.count(func(i int) string { return fmt.Sprintf("%s%d.1.to_q.weight", layer, 2*i) })
		c.heads, c.inner = s.size(layer+"0.1.to_q.weight", 0), s.size(layer+"1.1.net.0.0.weight", 0)
	case s.has(clip + "embeddings.token_embedding.weight"):
		c.kind, embedding, layer = clipCond, clip+"embeddings.token_embedding.weight", clip+"encoder.layers."
		c.positions = s.size(clip+"embeddings.position_embedding.weight", 0)
		c.layers = s.count(func(i int) string { return fmt.Sprintf("%s%d.mlp.fc1.weight", layer, i) })
		c.heads, c.inner = s.size(layer+"0.self_attn.q_proj.weight", 0), s.size(layer+"0.mlp.fc1.weight", 0)
	case s.has(open + "token_embedding.weight"):
		c.kind, embedding, layer = openCLIPCond, open+"token_embedding.weight", open+"transformer.resblocks."
		c.positions = s.size(open+"positional_embedding", 0)
		c.layers = s.count(func(i int) string { return fmt.Sprintf("%s%d.mlp.c_fc.weight", layer, i) })
		c.heads, c.inner = s.size(layer+"0.attn.in_proj_weight", 1), s.size(layer+"0.mlp.c_fc.weight", 0)
	case s.has(condPrefix + "embedding.weight"):
		c.kind, c.in, c.out = classCond, s.size(condPrefix+"embedding.weight", 0), s.size(condPrefix+"embedding.weight", 1)
		return c, nil
	case s.has(condPrefix + "channel_mapper.weight"):
		c.kind = rescaleCond
		c.in, c.out = s.size(condPrefix+"channel_mapper.weight", 1), s.size(condPrefix+"channel_mapper.weight", 0)
		return c, nil
	default:
		return c, nil
	}
	c.vocabulary, c.width = s.size(embedding, 0), s.size(embedding, 1)
	for _, n := range []int{c.vocabulary, c.width, c.positions, c.layers, c.heads, c.inner} {
		if n == 0 {
			return nil, s.fault("the text encoder of %q has %d positions, %d layers, %d channels in its heads and %d in its networks: "+
				"some weights are missing", embedding, c.positions, c.layers, c.heads, c.inner)
		}
	}
	return c, nil
}
