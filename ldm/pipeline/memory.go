package pipeline

import (
	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/tensor"
	"ldm-mac/ldm/unet"
)

// Memory is what a request is expected to need, in bytes of float32: of weights and of the most
// activations that are alive at once.
type Memory struct {
	Text  NetworkMemory `json:"text_encoder"` // is freed before sampling
	UNet  NetworkMemory `json:"unet"`
	Stage NetworkMemory `json:"first_stage"` // the larger of encoding and decoding
}

// NetworkMemory is that of one network.
type NetworkMemory struct {
	Weights     int64 `json:"weights"`
	Activations int64 `json:"activations"`
}

// Peak is the most that is needed at a time: the U-Net stays while pictures are decoded.
func (m Memory) Peak() int64 {
	text, unet, stage := m.Text.Weights+m.Text.Activations, m.UNet.Weights+m.UNet.Activations, m.Stage.Weights+m.Stage.Activations
	return max(text, unet+stage)
}

// Estimate plans a request without running it. The request must be one that Check accepts.
func (p *Pipeline) Estimate(r *Request) Memory {
	var m Memory
	if p.text.model != nil {
		rows := 1
		if r.GuidanceScale != 1 {
			rows = 2
		}
		m.Text.Weights = weightBytes(p.text.component.model)
		m.Text.Activations = activationBytes(func(g *tensor.Graph) {
			g.Output("cond", p.text.model.Forward(g.Input("tokens", rows, p.text.length, p.text.model.Width()), r.ClipSkip))
		})
	}
	height, width := p.latentSize(r)
	m.UNet = NetworkMemory{weightBytes(p.unet.model), p.unetBytes(r, height, width)}
	m.Stage = NetworkMemory{weightBytes(p.stage.model), p.stageBytes(r.Tiling.Stage, height, width, p.encodes(r))}
	return m
}

// unetBytes are the activations of an evaluation of a request's batch.
func (p *Pipeline) unetBytes(r *Request, height, width int) int64 {
	rows := min(r.BatchSize, max(len(r.Seeds), 1))
	if r.GuidanceScale != 1 {
		rows *= 2
	}
	height, width = r.Tiling.UNet.shape(height, width)
	c := &p.unet.config
	return activationBytes(func(g *tensor.Graph) {
		in := unet.Inputs{X: g.Input("x", rows, height, width, c.InChannels), Sinusoids: g.Input("sinusoids", 1, c.BlockOutChannels[0])}
		if l := p.conditionLength(); l > 0 {
			in.Cond = g.Input("cond", rows, l, p.condWidth())
		}
		if c.NumClassEmbeds != nil {
			in.Label = g.Input("label", 1, 4*c.BlockOutChannels[0])
		}
		g.Output("out", p.unet.model.Forward(in))
	})
}

// stageBytes are the activations of the first stage for latents of a size.
func (p *Pipeline) stageBytes(tiles Tiles, height, width int, encodes bool) int64 {
	height, width = tiles.shape(height, width)
	bytes := activationBytes(func(g *tensor.Graph) {
		g.Output("image", p.stage.model.Decode(g.Input("z", 1, height, width, p.LatentChannels())))
	})
	if encodes {
		f := p.Factor()
		bytes = max(bytes, activationBytes(func(g *tensor.Graph) {
			g.Output("z", p.stage.model.Encode(g.Input("image", 1, height*f, width*f, 3)))
		}))
	}
	return bytes
}

// encodes reports whether a request's picture passes the first stage's encoder.
func (p *Pipeline) encodes(r *Request) bool {
	return r.Image != nil && p.system.task != SuperResolution
}

func weightBytes(model any) (bytes int64) {
	checkpoint.Walk(model, func(_ string, w *tensor.Weight) {
		bytes += int64(w.Shape.Elements()) * int64(tensor.F32.Size())
	})
	return bytes
}

func activationBytes(build func(*tensor.Graph)) int64 {
	g := tensor.NewGraph()
	build(g)
	if g.Err() != nil {
		return 0 // running says so
	}
	return tensor.NewPlan(g.Fused()).Size
}

// Limits within which nothing is divided.
const (
	mostActivations = 2 << 30   // bytes of one network
	mostTokens      = 128 * 128 // that the first stage's attention compares with each other, which takes their square of time
	superTile       = 128       // latents to a side of what super-resolution sees at a time (CompVis, notebook_helpers.py)
)

// AutoTiling is the division of a request's pictures that keeps each network below 2 GiB of
// activations, in as large tiles as can be. Only super-resolution's U-Net is divided: the others see
// their picture as a whole, and draw it several times over if they do not.
func (p *Pipeline) AutoTiling(r Request) Tiling {
	r.Tiling = Tiling{}
	height, width := p.latentSize(&r)
	if p.system.task == SuperResolution && max(height, width) > superTile {
		r.Tiling.UNet = Tiles{superTile, superTile / 4}
	}
	r.Tiling.Stage = p.StageTiles(height, width, p.encodes(&r))
	return r.Tiling
}

// StageTiles is the division of latents of a size for which the first stage stays below 2 GiB of
// activations, in decoding or, if it encodes too, in both.
func (p *Pipeline) StageTiles(height, width int, encodes bool) Tiles {
	fits := func(t Tiles) bool {
		h, w := t.shape(height, width)
		return h*w <= mostTokens && p.stageBytes(t, height, width, encodes) <= mostActivations
	}
	if fits(Tiles{}) {
		return Tiles{}
	}
	side := 128
	for side > 16 && !fits(Tiles{side, side / 4}) {
		side /= 2
	}
	return Tiles{side, side / 4}
}
