package cond

import (
	"fmt"

	"ldm-mac/ldm/tensor"
)

// RescalerConfig is the config.json of a spatial rescaler, with the names of CompVis'
// SpatialRescaler (ldm/modules/encoders/modules.py).
type RescalerConfig struct {
	Stages      int     `json:"n_stages"`     // halvings
	InChannels  int     `json:"in_channels"`  // classes of a label map
	OutChannels int     `json:"out_channels"` // of the condition
	Method      string  `json:"method"`
	Multiplier  float64 `json:"multiplier"`
	Bias        bool    `json:"bias"` // of the mapper
}

// DefaultRescalerConfig holds CompVis' defaults for fields that a config leaves out.
func DefaultRescalerConfig() RescalerConfig {
	return RescalerConfig{Stages: 1, InChannels: 3, Method: "bilinear", Multiplier: 0.5}
}

// Validate reports the first field that no rescaler can have or that this package does not build.
func (c *RescalerConfig) Validate() error {
	for _, n := range []struct {
		name               string
		value, least, most int
	}{
		{"n_stages", c.Stages, 0, 8},
		{"in_channels", c.InChannels, 1, 256}, // the classes of a label map of bytes
		{"out_channels", c.OutChannels, 1, 1 << 10},
	} {
		if n.value < n.least || n.value > n.most {
			return fmt.Errorf("rescaler: %s is %d, want %d to %d", n.name, n.value, n.least, n.most)
		}
	}
	switch {
	case c.Method != "bilinear":
		return fmt.Errorf("rescaler: method %q is not supported, want bilinear", c.Method)
	case c.Multiplier != 0.5:
		return fmt.Errorf("rescaler: multiplier %g is not supported, want 0.5", c.Multiplier)
	case c.Bias:
		return fmt.Errorf("rescaler: a mapper with a bias is not supported")
	}
	return nil
}

// Rescaler turns a label map into a small picture to be concatenated with the latents: its one-hot
// channels are halved and mapped to few (Rombach et al. 2022, section 4.3.2; CompVis
// SpatialRescaler).
type Rescaler struct {
	Mapper *tensor.Weight `weight:"channel_mapper.weight"` // [out, in, 1, 1]

	factor int // of both sizes, 2^stages
}

// NewRescaler builds the rescaler that a valid config describes, without its weight's data.
func NewRescaler(c *RescalerConfig) (*Rescaler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Rescaler{Mapper: tensor.NewWeight(c.OutChannels, c.InChannels, 1, 1), factor: 1 << c.Stages}, nil
}

// Size is the height and width of the condition of a label map of the given size. Of a size that
// the factor does not divide the last pixels count for nothing, as in PyTorch.
func (r *Rescaler) Size(height, width int) (int, int) { return height / r.factor, width / r.factor }

// Rescale writes the condition [h/f, w/f, out] of a label map [h, w] to out, f being 2 for every
// stage. It fails on a class that the model does not have and on a map smaller than f.
//
// A bilinear halving without antialiasing takes pixels 2i and 2i+1 in equal parts, and halving and
// mapping are both linear: all of it is the mean over f·f pixels of the mapper's columns for their
// classes.
func (r *Rescaler) Rescale(out []float32, classes []uint8, height, width int) error {
	outs, ins := r.Mapper.Shape[0], r.Mapper.Shape[1]
	h, w := r.Size(height, width)
	if h < 1 || w < 1 || len(classes) != height*width {
		return fmt.Errorf("rescaler: %d pixels as a label map of %dx%d, want one of at least %dx%d",
			len(classes), width, height, r.factor, r.factor)
	}
	for i, class := range classes {
		if int(class) >= ins {
			return fmt.Errorf("rescaler: class %d at column %d, row %d of the label map, want 0 to %d",
				class, i%width, i/width, ins-1)
		}
	}
	weights, err := r.Mapper.Floats(nil)
	if err != nil {
		return err
	}
	scale := 1 / float64(r.factor*r.factor)
	sums := make([]float64, outs)
	for y := range h {
		for x := range w {
			clear(sums)
			for dy := range r.factor {
				row := classes[(y*r.factor+dy)*width+x*r.factor:]
				for _, class := range row[:r.factor] {
					for o := range sums {
						sums[o] += float64(weights[o*ins+int(class)])
					}
				}
			}
			for o, sum := range sums {
				out[(y*w+x)*outs+o] = float32(sum * scale)
			}
		}
	}
	return nil
}
