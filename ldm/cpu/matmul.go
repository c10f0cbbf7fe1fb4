package cpu

import "ldm-mac/ldm/tensor"

// This file lowers Linear and MatMul to products. A product's rows and columns are divided into
// blocks, which the workers compute.

// rowBlock is about how many rows of a result are computed together: enough for the right operand
// to be read seldom, and few enough for several cores to share an image of 16×16 pixels.
const rowBlock = 120

// blocks divides a product [rows, columns] into parts; rows are in groups, of equal size, that
// parts do not span.
type blocks struct {
	rows, columns         int // of a block
	group                 int // rows of a group
	perGroup, perRow, all int // numbers of blocks
}

// divide chooses blocks for a product over images·rows rows and k. When there are few rows, the
// columns are divided too: then each part reads its own columns of the right operand.
func divide(images, rows, columns, k int) blocks {
	if !productsSplitBatches {
		images, rows = 1, images*rows
	}
	// A block takes about 50 µs at least.
	const leastWork = 1 << 21
	const wanted = 16
	perGroup := (rows + rowBlock - 1) / rowBlock
	most := max(1, rows*columns*k/perGroup/leastWork)
	perRow := min((wanted+images*perGroup-1)/(images*perGroup), (columns+panel-1)/panel, most)
	width := ((columns+perRow-1)/perRow + panel - 1) / panel * panel
	perRow = (columns + width - 1) / width
	b := blocks{rows: (rows + perGroup - 1) / perGroup, columns: width, group: rows, perRow: perRow}
	b.perGroup = (rows + b.rows - 1) / b.rows
	b.all = images * b.perGroup * perRow
	return b
}

// at is the block of a part: first row, number of rows, first column, number of columns. Parts
// that follow each other share columns of the right operand.
func (b blocks) at(part, columns int) (row, rows, column, width int) {
	groups := b.all / b.perRow
	column, part = part/groups*b.columns, part%groups
	within := part % b.perGroup * b.rows
	row = part/b.perGroup*b.group + within
	return row, min(b.rows, b.group-within), column, min(b.columns, columns-column)
}

// smallWork is how many multiply-adds or reads of elements are too few to wake another core for.
const smallWork = 1 << 17

func (c *compiler) linear(t *tensor.Tensor) ([]*step, error) {
	b, err := c.pack(t)
	if err != nil {
		return nil, err
	}
	x, err := c.operand(t.Inputs[0])
	if err != nil {
		return nil, err
	}
	images := t.Shape[0]
	if len(t.Shape) < 3 {
		images = 1
	}
	return []*step{c.packedProduct(c.values[t.Index()], x, b, images, t.Shape.Elements()/b.n/images)}, nil
}

// packedProduct multiplies x [images·rows, k] with a packed weight.
func (c *compiler) packedProduct(dst, x *value, b *packed, images, rows int) *step {
	grid := divide(images, rows, b.n, b.k)
	c.scratch = max(c.scratch, productScratch)
	return &step{parts: grid.all, serial: images*rows*b.n*b.k < smallWork, run: func(w *worker, part int) {
		row, rows, column, columns := grid.at(part, b.n)
		productPacked(matrix{dst.data[row*b.n+column:], b.n}, matrix{x.data[row*b.k:], b.k}, b, column, rows, columns)
	}}
}

func (c *compiler) matMul(dst, a, b *value, t *tensor.Tensor) []*step {
	r := len(t.Shape)
	m, n, k := t.Shape[r-2], t.Shape[r-1], t.Inputs[0].Shape[r-1]
	batches := t.Shape.Elements() / (m * n)
	ldb, transposed := n, t.Attrs.TransposeB
	if transposed {
		ldb = k
	}
	// Columns are divided, not rows: each part packs its own part of b.
	const width = 256
	perBatch := (n + width - 1) / width
	c.scratch = max(c.scratch, productScratch)
	return []*step{{parts: batches * perBatch, serial: batches*m*n*k < smallWork, run: func(w *worker, part int) {
		batch, column := part/perBatch, part%perBatch*width
		right := matrix{b.data[batch*n*k:], ldb}
		if transposed {
			right.data = right.data[column*k:]
		} else {
			right.data = right.data[column:]
		}
		product(matrix{dst.data[batch*m*n+column:], n}, matrix{a.data[batch*m*k:], k}, right,
			transposed, false, m, min(width, n-column), k, w.scratch)
	}}}
}

// matrix is a matrix whose rows begin stride elements apart.
type matrix struct {
	data   []float32
	stride int
}
