// Command unet-eval evaluates the U-Net of a model folder once for every line it reads, for
// comparisons with other programs that alternate with it.
//
//	unet-eval FOLDER SIZE BATCH
//
// First it reads the latents [batch, size, size, c] and the condition [batch, 77, d], float32 in
// the machine's byte order, and writes the output at timestep 501; then, for every line, the
// seconds that one more evaluation took.
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"ldm-mac/ldm/checkpoint"
	"ldm-mac/ldm/cpu"
	"ldm-mac/ldm/tensor"
	"ldm-mac/ldm/unet"
)

func main() {
	if err := run(os.Args[1:], bufio.NewReader(os.Stdin), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "unet-eval:", err)
		os.Exit(1)
	}
}

func run(args []string, in *bufio.Reader, out io.Writer) error {
	if len(args) != 3 {
		return fmt.Errorf("%d arguments, want FOLDER SIZE BATCH", len(args))
	}
	size, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	batch, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	program, arrays, err := load(args[0], size, batch)
	if err != nil {
		return err
	}
	defer program.Close()
	for _, name := range []string{"x", "cond"} {
		if err := binary.Read(in, binary.NativeEndian, arrays[name].Data); err != nil {
			return err
		}
	}
	result, err := program.Run(context.Background(), arrays)
	if err != nil {
		return err
	}
	if err := binary.Write(out, binary.NativeEndian, result["out"].Data); err != nil {
		return err
	}
	for {
		if _, err := in.ReadString('\n'); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		start := time.Now()
		if _, err := program.Run(context.Background(), arrays); err != nil {
			return err
		}
		fmt.Fprintln(out, time.Since(start).Seconds())
	}
}

// load compiles the U-Net and makes its inputs, of which sinusoids is filled.
func load(path string, size, batch int) (tensor.Program, map[string]tensor.Array, error) {
	folder, err := checkpoint.OpenFolder(path)
	if err != nil {
		return nil, nil, err
	}
	config := unet.DefaultConfig()
	if err := folder.Config("unet", &config); err != nil {
		return nil, nil, err
	}
	model, err := unet.New(&config)
	if err != nil {
		return nil, nil, err
	}
	file, err := folder.Weights("unet")
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	if err := checkpoint.Bind(model, file, ""); err != nil {
		return nil, nil, err
	}
	arrays := map[string]tensor.Array{
		"x":         tensor.NewArray(batch, size, size, config.InChannels),
		"sinusoids": tensor.NewArray(batch, config.BlockOutChannels[0]),
		"cond":      tensor.NewArray(batch, 77, config.CrossAttentionDim[0]),
	}
	timesteps := make([]float64, batch)
	for i := range timesteps {
		timesteps[i] = 501
	}
	unet.TimestepEmbedding(arrays["sinusoids"].Data, timesteps, config.BlockOutChannels[0], config.FlipSinToCos, config.FreqShift)
	g := tensor.NewGraph()
	input := func(name string) *tensor.Tensor { return g.Input(name, arrays[name].Shape...) }
	g.Output("out", model.Forward(unet.Inputs{X: input("x"), Sinusoids: input("sinusoids"), Cond: input("cond")}))
	program, err := cpu.New(0).Compile(g)
	return program, arrays, err
}
