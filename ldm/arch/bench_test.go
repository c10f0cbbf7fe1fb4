package arch

import (
	"context"
	"math/rand/v2"
	"testing"

	"ldm-mac/ldm/cpu"
	"ldm-mac/ldm/tensor"
)

// One evaluation of the full-size U-Net in float32. Its weights are views of the same random
// numbers: the time of products does not depend on their values.
func BenchmarkUNet(b *testing.B) {
	networks, err := Find("txt2img-large")
	if err != nil {
		b.Fatal(err)
	}
	g := unetGraph(b, &networks, 2, 32)
	random := rand.New(rand.NewPCG(1, 2))
	values := make([]float32, 1<<25) // more than the largest weight has
	for i := range values {
		values[i] = random.Float32()/32 - 1./64
	}
	data := tensor.EncodeFloats(nil, values, tensor.F16)
	in := map[string]tensor.Array{}
	for _, t := range g.Nodes() {
		switch t.Op {
		case tensor.OpParam:
			t.Weight.DType, t.Weight.Data = tensor.F16, data[:2*t.Shape.Elements()]
		case tensor.OpInput:
			in[t.Name] = tensor.NewArray(t.Shape...)
			copy(in[t.Name].Data, values)
		}
	}
	backend := cpu.New(0)
	defer backend.Close()
	program, err := backend.Compile(g)
	if err != nil {
		b.Fatal(err)
	}
	defer program.Close()
	for b.Loop() {
		if _, err := program.Run(context.Background(), in); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(g.Cost().FLOPs)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}
