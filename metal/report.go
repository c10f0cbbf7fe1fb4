package metal

import (
	"ldm-mac/bridge"
	"ldm-mac/ldm/tensor"
)

// Plan is what one evaluation of a graph does, counted from its steps, beside what it cannot do
// without. Sizes are in bytes.
type Plan struct {
	Launches       int `json:"launches"` // of kernels, without those of Guard
	Graphs         int `json:"graphs"`   // of MPSGraph
	Guard          int `json:"guard"`    // launches that check that the outputs are finite
	CommandBuffers int `json:"command_buffers"`
	Waits          int `json:"waits"`

	FLOPs       int64 `json:"flops"`        // of products, as executed: whole tiles
	NeededFLOPs int64 `json:"needed_flops"` // see tensor.Cost

	Bytes    int64 `json:"bytes"`     // that steps read and write, each operand once
	MinBytes int64 `json:"min_bytes"` // see tensor.Cost

	Weights int64 `json:"weights"`
	Inputs  int64 `json:"inputs"`   // that are not bound
	Peak    int64 `json:"peak"`     // of the heap of activations
	MinPeak int64 `json:"min_peak"` // the most of them that is alive at once: no placement is smaller
}

// PlanOf plans g without a device, for one that Info describes: its heap's alignment and its
// architecture matter. The weights need no data.
func PlanOf(g *tensor.Graph, o Options, info bridge.Info) (Plan, error) {
	if err := g.Err(); err != nil {
		return Plan{}, err
	}
	tuning := DefaultTuning(info)
	if o.Tuning != nil {
		tuning = *o.Tuning
	}
	l, err := lower(g, storage(o.DType), &tuning, nil)
	if err != nil {
		return Plan{}, err
	}
	l.place(max(info.HeapAlignment, 1))
	return l.plan(), nil
}

// Plan is what a Run does.
func (p *Program) Plan() Plan { return p.code.plan() }

func (l *lowering) plan() Plan {
	buffers := len(l.commandBuffers())
	p := Plan{
		CommandBuffers: buffers, Waits: buffers, Guard: len(l.graph.Outputs()),
		Peak: int64(l.size), MinPeak: int64(l.bound),
	}
	for _, s := range l.steps {
		if s.matMul != nil || s.conv != nil {
			p.Graphs++
		} else {
			p.Launches++
		}
		p.FLOPs += s.flops
		p.Bytes += s.bytes
	}
	for _, v := range l.weights {
		p.Weights += int64(v.bytes())
	}
	for _, v := range l.inputs {
		p.Inputs += int64(v.bytes())
	}
	needed := l.graph.Cost()
	p.NeededFLOPs, p.MinBytes = needed.FLOPs, needed.MinBytes
	return p
}

// ReferenceDevice is what PlanOf plans for where there is no device: heap offsets are multiples of
// 256 bytes, and the chip is the smallest of its class.
var ReferenceDevice = bridge.Info{Name: "plan", HeapAlignment: 256}
