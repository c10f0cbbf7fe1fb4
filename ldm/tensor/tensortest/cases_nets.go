package tensortest

import "ldm-mac/ldm/tensor"

// netCases are graphs of several operators: what models are made of, and what is hard for a
// memory plan.
func netCases() []testCase {
	cases := []testCase{
		{"net/resblock", 0, func(b *builder) {
			b.Output("y", resBlock(b, b.input(2, 8, 8, 32), b.input(2, 64), 32))
		}},
		{"net/resblock_widened", 0, func(b *builder) {
			b.Output("y", resBlock(b, b.input(1, 5, 7, 32), b.input(1, 64), 64))
		}},
		{"net/transformer", 0, func(b *builder) {
			b.Output("y", transformerBlock(b, b.input(2, 16, 40), b.input(2, 77, 24), 5))
		}},
		{"net/u_shape", 0, func(b *builder) {
			time := b.input(1, 64)
			x := conv(b, b.input(1, 8, 8, 4), 32, 1)
			low := resBlock(b, conv(b, x, 32, 2), time, 32)
			up := conv(b, tensor.Upsample(low), 32, 1)
			b.Output("y", conv(b, resBlock(b, tensor.Concat(3, up, x), time, 32), 4, 1))
		}},
		{"net/input_order", 0, func(b *builder) { // declared, named and used in different orders
			first, second, third := b.input(3, 5), b.input(3, 5), b.input(3, 5)
			b.Output("y", tensor.Add(tensor.Mul(third, first), tensor.Affine(second, 5, 0)))
		}},
		{"net/dying_chain", 0, func(b *builder) {
			x, y := tensor.Affine(b.input(2, 33), 2, 0), tensor.Affine(b.input(2, 33), 3, 0)
			b.Output("y", tensor.Mul(tensor.SiLU(tensor.Add(x, y)), y))
		}},
		{"net/diamond", 0, func(b *builder) {
			x := tensor.Affine(b.input(2, 33), 2, 1)
			left, right := tensor.SiLU(x), tensor.GELU(x)
			b.Output("y", tensor.Add(tensor.Mul(left, right), x))
		}},
		{"net/diamond_of_views", 0, func(b *builder) {
			x := tensor.Affine(b.input(4, 6), 2, 1)
			view := tensor.Reshape(x, 6, 4)
			changed := tensor.SiLU(tensor.Reshape(view, 24))
			b.Output("y", tensor.Add(changed, tensor.Reshape(x, 24)))
			b.Output("permuted", tensor.Permute(view, 1, 0))
		}},
		{"net/second_operand_dies", 0, func(b *builder) {
			x, y := tensor.Affine(b.input(3, 5), 2, 1), tensor.Affine(b.input(3, 5), -1, 1)
			sum := tensor.Add(x, y)
			b.Output("y", tensor.Mul(x, sum))
		}},
		{"net/outputs_between", 0, func(b *builder) {
			x := b.input(3, 5)
			b.Output("input", x)
			a := tensor.Affine(x, 2, 1)
			b.Output("affine", a)
			s := tensor.SiLU(a)
			b.Output("view", tensor.Reshape(s, 15))
			b.Output("y", tensor.Mul(s, s))
			b.Output("again", s)
		}},
		{"net/norm_read_twice", 0, func(b *builder) { // SiLU must not be fused
			y := norm(b, b.input(2, 5, 5, 8), 4)
			b.Output("y", tensor.Mul(tensor.SiLU(y), y))
		}},
		{"net/norm_output", 0, func(b *builder) {
			y := norm(b, b.input(2, 5, 5, 8), 4)
			b.Output("norm", y)
			b.Output("y", tensor.SiLU(y))
		}},
		{"net/silu_twice", 0, func(b *builder) {
			b.Output("y", tensor.SiLU(tensor.SiLU(norm(b, b.input(2, 5, 5, 8), 4))))
		}},
		{"net/shared_weight", 0, func(b *builder) {
			w := b.weight(tensor.F16, 24, 24)
			b.Output("y", tensor.Linear(tensor.SiLU(tensor.Linear(b.input(3, 24), w, nil)), w, nil))
		}},
		{"net/useless_node", 0, func(b *builder) {
			x := b.input(3, 5)
			tensor.GELU(tensor.Affine(x, 4, 0))
			b.Output("y", tensor.SiLU(x))
		}},
		{"net/unread_input", 0, func(b *builder) {
			b.input(7)
			b.Output("y", tensor.SiLU(b.input(3, 5)))
		}},
		{"net/legacy_qkv", 0, func(b *builder) { // q, k and v side by side inside every head
			x := tensor.Permute(b.input(2, 36, 10), 0, 2, 1)
			heads := tensor.Reshape(x, 2, 10, 3, 12)
			part := func(i int) *tensor.Tensor {
				return tensor.Reshape(tensor.Slice(heads, 3, 4*i, 4*i+4), 2, 10, 12)
			}
			y := tensor.Attention("legacy", part(0), part(1), part(2), 3, rootScale(4), false)
			b.Output("y", tensor.Permute(y, 0, 2, 1))
		}},
	}
	return cases
}

func conv(b *builder, x *tensor.Tensor, out, stride int) *tensor.Tensor {
	in := x.Shape.Last()
	return tensor.Conv2D(x, b.weight(tensor.F16, out, in, 3, 3), b.weight(tensor.F16, out), stride, tensor.Same(3))
}

func norm(b *builder, x *tensor.Tensor, groups int) *tensor.Tensor {
	c := x.Shape.Last()
	return tensor.GroupNorm(x, b.weight(tensor.F32, c), b.weight(tensor.F32, c), groups, 1e-5)
}

func normTokens(b *builder, x *tensor.Tensor) *tensor.Tensor {
	d := x.Shape.Last()
	return tensor.LayerNorm(x, b.weight(tensor.F32, d), b.weight(tensor.F32, d), 1e-5)
}

func project(b *builder, x *tensor.Tensor, out int, bias bool) *tensor.Tensor {
	w := b.weight(tensor.F16, out, x.Shape.Last())
	if !bias {
		return tensor.Linear(x, w, nil)
	}
	return tensor.Linear(x, w, b.weight(tensor.F16, out))
}

// resBlock is the residual block of a diffusion U-Net, x [n, h, w, c] and time [n, d] to
// [n, h, w, out] (Dhariwal and Nichol 2021, arXiv:2105.05233, section 3).
func resBlock(b *builder, x, time *tensor.Tensor, out int) *tensor.Tensor {
	h := conv(b, tensor.SiLU(norm(b, x, 8)), out, 1)
	shift := project(b, tensor.SiLU(time), out, true)
	h = tensor.Add(h, tensor.Reshape(shift, shift.Shape[0], 1, 1, out))
	h = conv(b, tensor.SiLU(norm(b, h, 8)), out, 1)
	if x.Shape.Last() != out {
		w := b.weight(tensor.F16, out, x.Shape.Last(), 1, 1)
		x = tensor.Conv2D(x, w, b.weight(tensor.F16, out), 1, tensor.Padding{})
	}
	return tensor.Add(x, h)
}

// transformerBlock is self-attention, attention to context and a GEGLU feed-forward of x
// [n, l, d], each with a residual (Rombach et al. 2022, arXiv:2112.10752, appendix E.2.1).
func transformerBlock(b *builder, x, context *tensor.Tensor, heads int) *tensor.Tensor {
	d := x.Shape.Last()
	attend := func(x, context *tensor.Tensor, name string) *tensor.Tensor {
		q, k, v := project(b, x, d, false), project(b, context, d, false), project(b, context, d, false)
		return project(b, tensor.Attention(name, q, k, v, heads, rootScale(d/heads), false), d, true)
	}
	y := normTokens(b, x)
	x = tensor.Add(attend(y, y, "self"), x)
	x = tensor.Add(attend(normTokens(b, x), context, "cross"), x)
	h := project(b, normTokens(b, x), 8*d, true)
	h = tensor.Mul(tensor.Slice(h, 2, 0, 4*d), tensor.GELU(tensor.Slice(h, 2, 4*d, 8*d)))
	return tensor.Add(project(b, h, d, true), x)
}
