// Package nn holds the layers that the networks share. A layer is a struct of its weights, whose
// tags are the names in a diffusers checkpoint, and a Forward method that adds it to the graph of
// its input. New… functions fix the shapes; checkpoint.Bind brings the data.
package nn

import "ldm-mac/ldm/tensor"

// Linear is x·Wᵀ + b on the last axis.
type Linear struct {
	Weight *tensor.Weight `weight:"weight"` // [out, in]
	Bias   *tensor.Weight `weight:"bias"`   // [out]; nil for none
}

// NewLinear is a layer with a bias.
func NewLinear(in, out int) *Linear {
	return &Linear{Weight: tensor.NewWeight(out, in), Bias: tensor.NewWeight(out)}
}

// NewProjection is a layer without a bias.
func NewProjection(in, out int) *Linear { return &Linear{Weight: tensor.NewWeight(out, in)} }

// Forward maps x [..., in] to [..., out].
func (l *Linear) Forward(x *tensor.Tensor) *tensor.Tensor {
	return tensor.Linear(x, l.Weight, l.Bias)
}

// Conv2D is a convolution with a square kernel.
type Conv2D struct {
	Weight *tensor.Weight `weight:"weight"` // [out, in, k, k]
	Bias   *tensor.Weight `weight:"bias"`   // [out]

	stride  int
	padding tensor.Padding
}

// NewConv2D keeps the size of its input; kernel is odd.
func NewConv2D(in, out, kernel int) *Conv2D {
	return &Conv2D{
		Weight: tensor.NewWeight(out, in, kernel, kernel), Bias: tensor.NewWeight(out),
		stride: 1, padding: tensor.Same(kernel),
	}
}

// NewDownsample is the 3×3 convolution with stride 2 that halves the size. The U-Net pads on all
// sides, the first stage only at the bottom and the right.
func NewDownsample(channels int, padding tensor.Padding) *Conv2D {
	c := NewConv2D(channels, channels, 3)
	c.stride, c.padding = 2, padding
	return c
}

// Forward maps x [n, h, w, in] to [n, h', w', out].
func (c *Conv2D) Forward(x *tensor.Tensor) *tensor.Tensor {
	return tensor.Conv2D(x, c.Weight, c.Bias, c.stride, c.padding)
}

// GroupNorm normalises groups of channels of each image.
type GroupNorm struct {
	Weight *tensor.Weight `weight:"weight"` // [c]
	Bias   *tensor.Weight `weight:"bias"`   // [c]

	groups int
	eps    float32
}

// NewGroupNorm has the given number of groups, which divides channels.
func NewGroupNorm(channels, groups int, eps float32) *GroupNorm {
	return &GroupNorm{tensor.NewWeight(channels), tensor.NewWeight(channels), groups, eps}
}

// Forward keeps the shape of x [n, ..., c].
func (g *GroupNorm) Forward(x *tensor.Tensor) *tensor.Tensor {
	return tensor.GroupNorm(x, g.Weight, g.Bias, g.groups, g.eps)
}

// LayerNorm normalises each token; eps is 1e-5, PyTorch's default, which every model here uses.
type LayerNorm struct {
	Weight *tensor.Weight `weight:"weight"` // [d]
	Bias   *tensor.Weight `weight:"bias"`   // [d]
}

// NewLayerNorm normalises tokens of the given width.
func NewLayerNorm(width int) *LayerNorm {
	return &LayerNorm{tensor.NewWeight(width), tensor.NewWeight(width)}
}

// Forward keeps the shape of x [..., d].
func (l *LayerNorm) Forward(x *tensor.Tensor) *tensor.Tensor {
	return tensor.LayerNorm(x, l.Weight, l.Bias, 1e-5)
}

// Tokens is the image x [n, h, w, c] as the tokens [n, h·w, c].
func Tokens(x *tensor.Tensor) *tensor.Tensor {
	s := x.Shape
	return tensor.Reshape(x, s[0], s[1]*s[2], s[3])
}

// Spatial is the vector x [n, c] as [n, 1, 1, c], to be added to every pixel of an image.
func Spatial(x *tensor.Tensor) *tensor.Tensor {
	return tensor.Reshape(x, x.Shape[0], 1, 1, x.Shape.Last())
}
