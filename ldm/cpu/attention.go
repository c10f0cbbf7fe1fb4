package cpu

import (
	"math"

	"ldm-mac/ldm/tensor"
)

const (
	queryBlock = 256 // queries that a part computes
	keyTile    = 512 // keys whose scores exist at a time
)

// attention computes blocks of queries against tiles of keys with the online softmax (Milakov and
// Gimelshein 2018, arXiv:1805.02867; Dao et al. 2022, arXiv:2205.14135, algorithm 1): each row
// keeps the largest score and the sum of exponentials so far, and what it has summed up is scaled
// down when a larger score comes.
func (c *compiler) attention(dst, q, k, v *value, t *tensor.Tensor) []*step {
	images, lq, width := t.Shape[0], t.Shape[1], t.Shape[2]
	lk, heads := t.Inputs[1].Shape[1], t.Attrs.Heads
	d, scale, causal := width/heads, t.Attrs.Scale, t.Attrs.Causal
	perHead := (lq + queryBlock - 1) / queryBlock
	c.scratch = max(c.scratch, productScratch+queryBlock*(keyTile+2))
	run := func(w *worker, part int) {
		first := part % perHead * queryBlock
		head, image := part/perHead%heads, part/perHead/heads
		rows := min(queryBlock, lq-first)
		queries := matrix{q.data[(image*lq+first)*width+head*d:], width}
		out := matrix{dst.data[(image*lq+first)*width+head*d:], width}
		scores := w.scratch[productScratch:]
		most, sum := scores[queryBlock*keyTile:][:rows], scores[queryBlock*(keyTile+1):][:rows]
		for i := range most {
			most[i], sum[i] = float32(math.Inf(-1)), 0
		}
		for at := 0; at < lk && !(causal && at >= first+rows); at += keyTile {
			keys := min(keyTile, lk-at)
			from := (image*lk+at)*width + head*d
			tile := matrix{scores, keys}
			product(tile, queries, matrix{k.data[from:], width}, true, false, rows, keys, d, w.scratch)
			visible := keys
			if causal {
				visible = first - at + 1
			}
			attend(tile, scale, most, sum, out, rows, keys, d, visible)
			product(out, tile, matrix{v.data[from:], width}, false, at > 0, rows, d, keys, w.scratch)
		}
		divideRows(out, sum, rows, d)
	}
	return []*step{{parts: images * heads * perHead, serial: images*lq*lk*width < smallWork, run: run}}
}
