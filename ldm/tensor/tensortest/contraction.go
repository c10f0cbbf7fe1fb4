package tensortest

import "ldm-mac/ldm/tensor"

// matMul is out[i, j] = Σ a[i, l]·b[l, j], or Σ a[i, l]·b[j, l], for every leading index.
func matMul(t *tensor.Tensor, args [][]float64) []float64 {
	a, b := args[0], args[1]
	rank := len(t.Shape)
	m, n, k := t.Shape[rank-2], t.Shape[rank-1], t.Inputs[0].Shape[rank-1]
	out := make([]float64, t.Shape.Elements())
	for i := range out {
		batch, row, column := i/(m*n), i/n%m, i%n
		for l := range k {
			right := l*n + column
			if t.Attrs.TransposeB {
				right = column*k + l
			}
			out[i] += a[(batch*m+row)*k+l] * b[batch*k*n+right]
		}
	}
	return out
}

// linear is out[r, o] = Σ x[r, i]·w[o, i] + bias[o].
func linear(t *tensor.Tensor, args [][]float64) []float64 {
	x, w := args[0], args[1]
	n, k := t.Shape.Last(), t.Inputs[0].Shape.Last()
	out := make([]float64, t.Shape.Elements())
	for i := range out {
		row, o := i/n, i%n
		for l := range k {
			out[i] += x[row*k+l] * w[o*k+l]
		}
		if len(args) > 2 {
			out[i] += args[2][o]
		}
	}
	return out
}

// conv2D is out[n, y, x, o] = Σ in[n, y·stride-top+ky, x·stride-left+kx, c]·w[o, c, ky, kx] +
// bias[o], where in is zero outside its borders.
func conv2D(t *tensor.Tensor, args [][]float64) []float64 {
	in, kernel := t.Inputs[0].Shape, t.Inputs[1].Shape
	pad, stride := t.Attrs.Padding, t.Attrs.Stride
	out := make([]float64, t.Shape.Elements())
	walk(t.Shape, func(i int, at []int) {
		n, o := at[0], at[3]
		for ky := range kernel[2] {
			for kx := range kernel[3] {
				y, x := at[1]*stride-pad.Top+ky, at[2]*stride-pad.Left+kx
				if y < 0 || y >= in[1] || x < 0 || x >= in[2] {
					continue
				}
				for c := range in[3] {
					pixel := args[0][((n*in[1]+y)*in[2]+x)*in[3]+c]
					out[i] += pixel * args[1][((o*kernel[1]+c)*kernel[2]+ky)*kernel[3]+kx]
				}
			}
		}
		if len(args) > 2 {
			out[i] += args[2][o]
		}
	})
	return out
}

// attention is out[n, i, h·d:(h+1)·d] = Σ p[j]·v[n, j, h·d:(h+1)·d] with p the softmax over the
// keys j, for a causal mask j ≤ i, of scale·Σ q[n, i, h·d+e]·k[n, j, h·d+e].
func attention(t *tensor.Tensor, args [][]float64) []float64 {
	q, k, v := args[0], args[1], args[2]
	queries, width, keys := t.Shape[1], t.Shape[2], t.Inputs[1].Shape[1]
	d := width / t.Attrs.Heads
	out := make([]float64, t.Shape.Elements())
	for first := 0; first < len(out); first += d { // one head of one query
		image, query, column := first/(queries*width), first/width%queries, first%width
		seen := keys
		if t.Attrs.Causal {
			seen = query + 1
		}
		logits := make([]float64, seen)
		for j := range logits {
			for e := range d {
				logits[j] += q[first+e] * k[(image*keys+j)*width+column+e] * float64(t.Attrs.Scale)
			}
		}
		for j, p := range softmax(logits) {
			for e := range d {
				out[first+e] += p * v[(image*keys+j)*width+column+e]
			}
		}
	}
	return out
}
