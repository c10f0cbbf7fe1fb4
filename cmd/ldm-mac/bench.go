package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"ldm-mac/ldm/arch"
	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/firststage"
	"ldm-mac/ldm/tensor"
	"ldm-mac/ldm/unet"
	"ldm-mac/metal"
)

func benchCommand() *cli.Command {
	var list strings.Builder
	for _, name := range arch.Names() {
		fmt.Fprintf(&list, "  %-28s %s\n", name, arch.Describe(name))
	}
	return &cli.Command{
		Name: "bench", Usage: "count what a model does on a GPU, without running it",
		Description: `With --plan the networks are compiled for Metal, on any machine, and what one evaluation of the
U-Net and one decoding would do is counted: kernels, operations, bytes, memory, and the time that
public figures of Apple's chips lead one to expect. MODEL is a folder in the diffusers layout, or
a published architecture, which needs no weights:

` + list.String() + `
Examples:
  ldm-mac bench --plan txt2img-large
  ldm-mac bench --plan stable-diffusion-1.5 --size 512x512 --json`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "plan", Usage: "`MODEL` to count"},
			&cli.StringFlag{Name: "size", Usage: "`WxH` of the pictures in pixels", DefaultText: "the model's"},
			&cli.IntFlag{Name: "batch-size", Usage: "`N` pictures; guidance doubles the rows of a model with a condition", Value: 1},
			&cli.StringFlag{Name: "dtype", Value: "f16", Usage: "`TYPE` in which metal stores numbers: f16 or f32"},
			&cli.BoolFlag{Name: "json", Usage: "print one JSON object"},
		},
		Action: benchAction,
	}
}

// planned is the plan of one network; also the form of it in --json.
type planned struct {
	Network string `json:"network"`
	metal.Plan
	Predicted map[string]float64 `json:"predicted_ms"` // by chip
}

func benchAction(c *cli.Context) error {
	if err := noArguments(c); err != nil {
		return err
	}
	if c.String("plan") == "" {
		return usagef("bench needs --plan MODEL; see %s --help", c.Command.HelpName)
	}
	stored, err := parseDType(c.String("dtype"))
	if err != nil {
		return err
	}
	networks, err := findNetworks(c.String("plan"))
	if err != nil {
		return err
	}
	factor := networks.FirstStage.Factor()
	width, height := networks.UNet.SampleSize*factor, networks.UNet.SampleSize*factor
	if c.IsSet("size") {
		if width, height, err = parseSize(c.String("size")); err != nil {
			return err
		}
	}
	if unit := factor * networks.UNet.Multiple(); width < unit || height < unit || width%unit != 0 || height%unit != 0 {
		return usagef("size %dx%d, want multiples of %d", width, height, unit)
	}
	batch := c.Int("batch-size")
	if batch < 1 || batch > 64 {
		return usagef("--batch-size %d, want 1 to 64", batch)
	}
	plans, err := plan(networks, stored, batch, height/factor, width/factor)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printed(writeJSON(c.App.Writer, map[string]any{"version": 1, "width": width, "height": height, "plans": plans}))
	}
	return printed(printPlans(c.App.Writer, plans))
}

// findNetworks is a published architecture, or that of a folder.
func findNetworks(model string) (arch.Networks, error) {
	if n, err := arch.Find(model); err == nil {
		return n, nil
	}
	folder, err := checkpoint.OpenFolder(model)
	if err != nil {
		return arch.Networks{}, err
	}
	n := arch.Networks{UNet: unet.DefaultConfig(), FirstStage: firststage.DefaultConfig()}
	if err := folder.Config("unet", &n.UNet); err != nil {
		return n, err
	}
	stage := "vqvae"
	if _, ok := folder.Components["vae"]; ok {
		stage = "vae"
	}
	if err := folder.Config(stage, &n.FirstStage); err != nil {
		return n, err
	}
	if n.UNet.ClassName == unet.Conditional {
		n.Tokens = 77
	}
	for _, err := range []error{n.UNet.Validate(), n.FirstStage.Validate()} {
		if err != nil {
			return n, &checkpoint.Error{Path: model, Err: err}
		}
	}
	return n, nil
}

// plan counts the two networks of a step, with guidance where there is a condition, for pictures
// whose latents have the given size.
func plan(n arch.Networks, stored tensor.DType, batch, height, width int) ([]planned, error) {
	u, err := unet.New(&n.UNet)
	if err != nil {
		return nil, &checkpoint.Error{Err: err}
	}
	v, err := firststage.New(&n.FirstStage)
	if err != nil {
		return nil, &checkpoint.Error{Err: err}
	}
	name := func(name string, w *tensor.Weight) { w.Name, w.DType = name, tensor.F16 }
	checkpoint.Walk(u, name)
	checkpoint.Walk(v, name)

	g := tensor.NewGraph()
	g.Output("out", u.Forward(evaluationInputs(g, n, batch, height, width)))
	once, step := g.Hoist("cond", "sinusoids", "label")
	decode := tensor.NewGraph()
	decode.Output("image", v.Decode(decode.Input("z", 1, height, width, n.FirstStage.Channels())))

	var plans []planned
	for _, network := range []struct {
		name  string
		graph *tensor.Graph
	}{{"once per run", once}, {"U-Net evaluation", step}, {"decoding", decode}} {
		p, err := metal.PlanOf(network.graph, metal.Options{DType: stored}, metal.ReferenceDevice)
		if err != nil {
			return nil, err
		}
		times := map[string]float64{}
		for _, chip := range metal.Chips {
			times[chip.Name] = float64(chip.Predict(p).Microseconds()) / 1000
		}
		plans = append(plans, planned{network.name, p, times})
	}
	return plans, nil
}

// evaluationInputs are those of one step, with guidance where there is a condition, of a run of as many
// steps as runs have usually.
func evaluationInputs(g *tensor.Graph, n arch.Networks, batch, height, width int) unet.Inputs {
	rows, model := batch, n.UNet.BlockOutChannels[0]
	if n.Tokens > 0 {
		rows *= 2
	}
	in := unet.Inputs{
		X:         g.Input("x", rows, height, width, n.UNet.InChannels),
		Sinusoids: g.Input("sinusoids", defaultSteps, model), Row: g.Input("row", 1),
	}
	if n.UNet.NumClassEmbeds != nil {
		in.Label = g.Input("label", 1, 4*model)
	}
	if n.Tokens > 0 {
		in.Cond = g.Input("cond", rows, n.Tokens, n.UNet.CrossAttentionDim[0])
	}
	return in
}

// printPlans writes a table.
func printPlans(w io.Writer, plans []planned) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(name string, value func(p planned) string) {
		fmt.Fprint(out, name, "\t")
		for _, p := range plans {
			fmt.Fprint(out, value(p), "\t")
		}
		fmt.Fprintln(out)
	}
	count := func(name string, value func(p planned) int) {
		row(name, func(p planned) string { return fmt.Sprint(value(p)) })
	}
	mega := func(name string, value func(p planned) int64) {
		row(name, func(p planned) string { return fmt.Sprintf("%.1f", float64(value(p))/1e6) })
	}
	ratio := func(name string, of, to func(p planned) int64) {
		row(name, func(p planned) string {
			if to(p) == 0 {
				return "-"
			}
			return fmt.Sprintf("%.3f", float64(of(p))/float64(to(p)))
		})
	}
	row("", func(p planned) string { return p.Network })
	count("kernel launches", func(p planned) int { return p.Launches })
	count("MPSGraph encodings", func(p planned) int { return p.Graphs })
	count("command buffers", func(p planned) int { return p.CommandBuffers })
	count("waits", func(p planned) int { return p.Waits })
	row("GFLOP executed", func(p planned) string { return fmt.Sprintf("%.1f", float64(p.FLOPs)/1e9) })
	ratio("of those needed", func(p planned) int64 { return p.FLOPs }, func(p planned) int64 { return p.NeededFLOPs })
	mega("MB moved", func(p planned) int64 { return p.Bytes })
	ratio("of the least", func(p planned) int64 { return p.Bytes }, func(p planned) int64 { return p.MinBytes })
	mega("MB of weights", func(p planned) int64 { return p.Weights })
	mega("MB of activations", func(p planned) int64 { return p.Peak })
	ratio("of those alive at once", func(p planned) int64 { return p.Peak }, func(p planned) int64 { return p.MinPeak })
	for _, chip := range metal.Chips {
		row("ms expected on "+chip.Name, func(p planned) string { return fmt.Sprintf("%.1f", p.Predicted[chip.Name]) })
	}
	return out.Flush()
}
