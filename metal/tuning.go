package metal

import (
	"ldm-mac/bridge"
	"ldm-mac/ldm/tensor"
)

// Tuning decides, shape by shape, who computes matrix products and convolutions: MPSGraph or the
// kernels of shaders/. The first rule that fits decides; where none does, MPSGraph computes. It is
// a table of numbers so that Tune can replace it by what it measures on a chip.
type Tuning struct {
	Products     []Rule `json:"products"`     // of Linear, MatMul, and Conv2D with a kernel of 1×1
	Convolutions []Rule `json:"convolutions"` // of the other Conv2D
	// SmallTile is the number of threadgroups below which a product is cut into Tile32 instead of
	// Tile64, so that all of the chip's cores have work.
	SmallTile int `json:"small_tile"`
}

// Rule is for products of so many rows, columns and terms in each sum. For a convolution these are
// the pixels of the result, its channels, and the elements of the data below a kernel.
type Rule struct {
	// The largest it is for; 0 for any.
	MaxRows    int  `json:"max_rows"`
	MaxColumns int  `json:"max_columns"`
	MaxTerms   int  `json:"max_terms"`
	Residual   bool `json:"residual"` // only for products to which something is added
	Kernel     bool `json:"kernel"`   // by the kernel of shaders/, else by MPSGraph
}

// DefaultTuning is what is publicly known about Apple's chips; nothing in it was measured by this
// project.
//
//   - A handful of rows is a product with a vector, of which tiles would be mostly empty.
//   - The kernel adds the residual before it writes the result, which saves reading and writing it
//     again.
//   - Products that are thin, such as [4096, 320]×[320, 320], are where MPSGraph is slow: Draw Things
//     found its own kernels twice as fast there (engineering.drawthings.ai, Metal FlashAttention).
//   - Convolutions of 3×3 are MPSGraph's: no public kernel is known to beat it on M1 to M4, and Draw
//     Things, which has its own for all else, uses it. Into and out of the latents, with few
//     channels, nearly all of its tile would be padding. One that follows an upsampling is the
//     kernel's, which reads the small image.
//   - Small tiles where there are at most 9 threadgroups a core (metal-flash-attention,
//     GEMMDescriptor.swift). The number of cores follows from the letter of the architecture: that
//     of the smallest chip of its class.
func DefaultTuning(info bridge.Info) Tuning {
	cores := 8
	if n := len(info.Architecture); n > 0 {
		switch info.Architecture[n-1] {
		case 's': // Max
			cores = 24
		case 'd': // Ultra
			cores = 48
		}
	}
	return Tuning{
		Products: []Rule{
			{MaxRows: 8},
			{Residual: true, Kernel: true},
			{MaxColumns: 640, Kernel: true},
			{MaxTerms: 640, Kernel: true},
		},
		Convolutions: []Rule{
			{MaxTerms: 9 * (productDepth - 1), Kernel: true},
			{MaxColumns: TileNarrow.Columns, Kernel: true},
		},
		SmallTile: 9 * cores,
	}
}

// mostSide is the largest side of a matrix that MPSGraph multiplies: beyond, its products are wrong on
// macOS 14.1 (pytorch/pytorch pull request 117549).
const mostSide = 32768

// productByKernel tells whether the kernel computes a product of matrices.
func (t *Tuning) productByKernel(rows, columns, terms int, residual bool) bool {
	return max(rows, columns, terms) > mostSide || byRule(t.Products, rows, columns, terms, residual)
}

// byRule tells whether the kernel computes a product by the first of rules that fits.
func byRule(rules []Rule, rows, columns, terms int, residual bool) bool {
	within := func(n, most int) bool { return most == 0 || n <= most }
	for _, r := range rules {
		if within(rows, r.MaxRows) && within(columns, r.MaxColumns) && within(terms, r.MaxTerms) && (residual || !r.Residual) {
			return r.Kernel
		}
	}
	return false
}

// tile is that of batch results of rows × columns.
func (t *Tuning) tile(rows, columns, batch int) Tile {
	if grid := Tile64.grid(rows, columns, batch); grid.X*grid.Y*grid.Z < t.SmallTile {
		return Tile32
	}
	return Tile64
}

// byKernel tells whether the kernel computes a Linear or Conv2D, after an upsampling and with a
// residual if so told.
func (t *Tuning) byKernel(node *tensor.Tensor, upsample, residual bool) bool {
	w := node.Inputs[1].Shape
	columns, terms := w[0], w[1:].Elements()
	rows := node.Shape.Elements() / columns
	switch {
	case pointwise(node):
		return t.productByKernel(rows, columns, terms, residual)
	case upsample:
		return true
	}
	return byRule(t.Convolutions, rows, columns, terms, residual)
}

// pointwise reports a Linear, or a Conv2D that is one for every pixel.
func pointwise(t *tensor.Tensor) bool {
	if t.Op == tensor.OpLinear {
		return true
	}
	w := t.Inputs[1].Shape
	return w[2] == 1 && w[3] == 1 && t.Attrs.Stride == 1 && t.Attrs.Padding == tensor.Padding{}
}
