package verify

import (
	"context"
	"fmt"
	"hash/fnv"
	"io/fs"
	"math"
	"math/rand/v2"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/cond"
	"ldm-mac/ldm/firststage"
	"ldm-mac/ldm/imageio"
	"ldm-mac/ldm/pipeline"
	"ldm-mac/ldm/tensor"
	"ldm-mac/ldm/tensor/tensortest"
	"ldm-mac/ldm/unet"
)

// DeviceChecks compare a device with definitions, and with reference, which is right: every check
// of the suite for backends, tiny networks, and a picture of the model in the folder, in steps
// steps. dtype is how device stores numbers. The caller keeps both backends.
func DeviceChecks(device, reference tensor.Backend, dtype tensor.DType, model fs.FS, steps int) []Check {
	const source = "this program's CPU backend"
	var checks []Check
	for _, c := range tensortest.Checks() {
		checks = append(checks, Check{"suite", c.Name, "definitions in float64", func() (float64, float64, error) {
			used, err := c.Run(device, dtype)
			return used, 1, err
		}})
	}
	for _, n := range tinyNets() {
		checks = append(checks, Check{"network", n.name, source, func() (float64, float64, error) {
			return compareNet(device, reference, dtype, n)
		}})
	}
	return append(checks, Check{"picture", "a purple elephant", source, func() (float64, float64, error) {
		return comparePicture(device, reference, dtype, model, steps)
	}})
}

// net is a network of which one evaluation is compared.
type net struct {
	name  string
	model any
	build func(g *tensor.Graph) *tensor.Tensor
}

// tinyNets are the three kinds of network with few channels; their weights have no data.
func tinyNets() []net {
	u := unet.DefaultConfig()
	u.BlockOutChannels, u.CrossAttentionDim, u.NormNumGroups = []int{32, 32, 64, 64}, unet.PerLevel{40}, 8
	v := firststage.DefaultConfig()
	v.BlockOutChannels, v.NormNumGroups = []int{32}, 8
	b := cond.DefaultBERTConfig()
	b.Width, b.Layers, b.FFNDim, b.VocabSize = 64, 2, 128, 200
	network, err1 := unet.New(&u)
	stage, err2 := firststage.New(&v)
	text, err3 := cond.NewBERT(&b)
	if err1 != nil || err2 != nil || err3 != nil {
		panic(fmt.Sprint("verify: ", err1, err2, err3)) // the configurations are constants
	}
	return []net{
		{"U-Net", network, func(g *tensor.Graph) *tensor.Tensor {
			return network.Forward(unet.Inputs{X: g.Input("x", 2, 8, 8, 4), Sinusoids: g.Input("sinusoids", 2, 32), Cond: g.Input("cond", 2, 77, 40)})
		}},
		{"first stage", stage, func(g *tensor.Graph) *tensor.Tensor {
			return stage.Decode(g.Input("z", 1, 16, 16, 4))
		}},
		{"text encoder", text, func(g *tensor.Graph) *tensor.Tensor {
			return text.Forward(g.Input("tokens", 2, 77, 64), 0)
		}},
	}
}

// compareNet is the root of the normalised mean square error of device's output. Rounding to a
// storage type of relative precision u at each of some hundred layers, each an independent error,
// adds up to about 20·u at the end.
func compareNet(device, reference tensor.Backend, dtype tensor.DType, n net) (difference, tolerance float64, err error) {
	checkpoint.Walk(n.model, func(name string, w *tensor.Weight) {
		w.Name, w.DType = name, tensor.F16
		std := 1.0
		if len(w.Shape) > 1 {
			std = 1 / math.Sqrt(float64(w.Shape[1:].Elements()))
		}
		w.Data = tensor.EncodeFloats(nil, normal(name, std, w.Shape.Elements()), tensor.F16)
	})
	var outputs [2][]float32
	for i, backend := range []tensor.Backend{device, reference} {
		g := tensor.NewGraph()
		g.Output("out", n.build(g))
		program, err := backend.Compile(g)
		if err != nil {
			return 0, 0, err
		}
		defer program.Close()
		in := map[string]tensor.Array{}
		for _, t := range g.Nodes() {
			if t.Op == tensor.OpInput {
				in[t.Name] = tensor.Array{Shape: t.Shape, Data: normal(t.Name, 1, t.Shape.Elements())}
			}
		}
		out, err := program.Run(context.Background(), in)
		if err != nil {
			return 0, 0, err
		}
		outputs[i] = out["out"].Data
	}
	return distance(outputs[0], outputs[1]), 20 * unit(dtype), nil
}

// unit is half the distance from 1 to the next number of a storage type.
func unit(dtype tensor.DType) float64 {
	if dtype == tensor.F16 {
		return 1. / (1 << 11)
	}
	return 1. / (1 << 24)
}

// distance is √(Σ(a-b)²/Σb²).
func distance(a, b []float32) float64 {
	var squares, power float64
	for i := range b {
		squares += math.Pow(float64(a[i])-float64(b[i]), 2)
		power += math.Pow(float64(b[i]), 2)
	}
	return math.Sqrt(squares / power)
}

// normal are n numbers that depend on the name alone.
func normal(name string, std float64, n int) []float32 {
	hash := fnv.New64a()
	hash.Write([]byte(name))
	random, values := rand.New(rand.NewPCG(hash.Sum64(), 0)), make([]float32, n)
	for i := range values {
		values[i] = float32(std * random.NormFloat64())
	}
	return values
}

// comparePicture is the root mean square difference of the pictures' levels, as a part of the
// range: 35 dB of PSNR for float16, 60 dB for float32.
func comparePicture(device, reference tensor.Backend, dtype tensor.DType, model fs.FS, steps int) (difference, tolerance float64, err error) {
	var pictures [2]pipeline.Picture
	for i, backend := range []tensor.Backend{device, reference} {
		folder, err := checkpoint.OpenFolderFS("model", model)
		if err != nil {
			return 0, 0, err
		}
		p, err := pipeline.Load(backend, folder)
		if err != nil {
			return 0, 0, err
		}
		defer p.Close()
		request := pipeline.Request{
			Prompt: "a purple elephant, 3d render", Width: p.Size(), Height: p.Size(), Steps: steps,
			GuidanceScale: 5, RNG: "torch", Seeds: []uint64{1}, BatchSize: 1,
		}
		_, err = p.Generate(context.Background(), request, func(picture pipeline.Picture) error {
			pictures[i] = picture
			return nil
		})
		if err != nil {
			return 0, 0, err
		}
	}
	decibels := 60.0
	if dtype == tensor.F16 {
		decibels = 35
	}
	psnr, err := imageio.PSNR(pictures[0].Image, pictures[1].Image)
	return math.Pow(10, -psnr/20), math.Pow(10, -decibels/20), err
}
