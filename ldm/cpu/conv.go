package cpu

import "ldm-mac/ldm/tensor"

// window is the geometry of a convolution from [n, h, w, c] to [n, oh, ow, …]; kernels.h has its
// twin.
type window struct{ h, w, c, oh, ow, kh, kw, stride, top, left int64 }

// conv2D is a product: row (image, y, x) of the left operand is the patch of the input under that
// output pixel, fetched when it is needed.
func (c *compiler) conv2D(t *tensor.Tensor) ([]*step, error) {
	b, err := c.pack(t)
	if err != nil {
		return nil, err
	}
	x, err := c.operand(t.Inputs[0])
	if err != nil {
		return nil, err
	}
	dst, in, out, kernel, pad := c.values[t.Index()], t.Inputs[0].Shape, t.Shape, t.Inputs[1].Shape, t.Attrs.Padding
	images, pixels := out[0], out[1]*out[2]
	if kernel[2] == 1 && kernel[3] == 1 && t.Attrs.Stride == 1 && pad == (tensor.Padding{}) {
		return []*step{c.packedProduct(dst, x, b, images, pixels)}, nil
	}
	win := &window{
		h: int64(in[1]), w: int64(in[2]), c: int64(in[3]), oh: int64(out[1]), ow: int64(out[2]),
		kh: int64(kernel[2]), kw: int64(kernel[3]),
		stride: int64(t.Attrs.Stride), top: int64(pad.Top), left: int64(pad.Left),
	}
	grid := divide(images, pixels, b.n, b.k)
	c.scratch = max(c.scratch, productScratch, b.k)
	return []*step{{parts: grid.all, serial: images*pixels*b.n*b.k < smallWork, run: func(w *worker, part int) {
		row, rows, column, columns := grid.at(part, b.n)
		productWindow(matrix{dst.data[row*b.n+column:], b.n}, x.data, win, b, row, column, rows, columns, w.scratch)
	}}}, nil
}
