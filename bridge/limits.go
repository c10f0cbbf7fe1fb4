package bridge

import (
	"fmt"
	"math"
)

// This file checks sizes before Metal sees them: without its validation layer Metal takes wrong ones
// silently, and MPSGraph ends the process.

const (
	// maxArgs is "smaller than 4 kilobytes", the limit of setBytes:length:atIndex: in Apple's
	// documentation.
	maxArgs = 4095
	// maxBindings leaves buffer(0), of 31 (Metal feature set tables), to the arguments.
	maxBindings = 30
	// maxElements is the most in a tensor of MPS: "product of dimension sizes > 2**31" is a failed
	// assertion (pytorch/pytorch issue 84039).
	maxElements = math.MaxInt32
	// maxSide is the largest side of a matrix: products with larger ones are wrong on macOS 14.1
	// (pytorch/pytorch pull request 117549).
	maxSide = 32768
	// maxChannels is the most that a convolution gives: those above are wrong (pytorch/pytorch issue
	// 129207; pull request 140726 finds it mended in macOS 15.1).
	maxChannels = 65536
)

// String names the product in errors.
func (d MatMulDesc) String() string {
	return fmt.Sprintf("product of %d × [%d, %d] and [%d, %d]", d.Batch, d.M, d.K, d.K, d.N)
}

// String names the convolution in errors.
func (d Conv2DDesc) String() string {
	return fmt.Sprintf("convolution of [%d, %d, %d, %d] with [%d, %d, %d, %d]",
		d.N, d.H, d.W, d.C, d.Out, d.C, d.KernelH, d.KernelW)
}

// sizes returns the bytes of the operands and of the result, or what MPSGraph does not take.
func (d MatMulDesc) sizes() (operands []int, result int, err error) {
	op := d.String()
	if err := within(op, maxSide, d.M, d.N, d.K); err != nil {
		return nil, 0, err
	}
	a, err := bytesOf(op, d.A, d.Batch, d.M, d.K)
	if err != nil {
		return nil, 0, err
	}
	b, err := bytesOf(op, d.B, d.Batch, d.K, d.N)
	if err != nil {
		return nil, 0, err
	}
	if result, err = bytesOf(op, d.A, d.Batch, d.M, d.N); err != nil {
		return nil, 0, err
	}
	operands = []int{a, b}
	if d.Bias {
		operands = append(operands, d.N*d.B.Size())
	}
	return operands, result, nil
}

// sizes returns the bytes of the operands and of the result, or what MPSGraph does not take.
func (d Conv2DDesc) sizes() (operands []int, result int, err error) {
	op := d.String()
	if err := within(op, maxElements, d.N, d.H, d.W, d.C, d.KernelH, d.KernelW, d.Stride); err != nil {
		return nil, 0, err
	}
	if err := within(op, maxChannels, d.Out); err != nil {
		return nil, 0, err
	}
	if min(d.Top, d.Bottom, d.Left, d.Right) < 0 || d.H+d.Top+d.Bottom < d.KernelH || d.W+d.Left+d.Right < d.KernelW {
		return nil, 0, &Error{Op: op, Message: fmt.Sprintf("the padding %d, %d, %d, %d is negative or leaves less than the kernel",
			d.Top, d.Bottom, d.Left, d.Right)}
	}
	data, err := bytesOf(op, d.Data, d.N, d.H, d.W, d.C)
	if err != nil {
		return nil, 0, err
	}
	weights, err := bytesOf(op, d.Weights, d.Out, d.C, d.KernelH, d.KernelW)
	if err != nil {
		return nil, 0, err
	}
	if result, err = bytesOf(op, d.Data, d.N, d.OutH(), d.OutW(), d.Out); err != nil {
		return nil, 0, err
	}
	operands = []int{data, weights}
	if d.Bias {
		operands = append(operands, d.Out*d.Weights.Size())
	}
	return operands, result, nil
}

// bytesOf is the size of a tensor.
func bytesOf(op string, t DataType, shape ...int) (int, error) {
	if t > Float16 {
		return 0, &Error{Op: op, Message: t.String() + " is no storage type"}
	}
	n := 1
	for _, s := range shape {
		if s <= 0 || s > maxElements/n {
			return 0, &Error{Op: op, Message: fmt.Sprintf("a tensor %v has no elements or more than %d", shape, maxElements)}
		}
		n *= s
	}
	return n * t.Size(), nil
}

// within reports sizes that are not between 1 and most.
func within(op string, most int, sizes ...int) error {
	for _, n := range sizes {
		if n <= 0 || n > most {
			return &Error{Op: op, Message: fmt.Sprintf("the size %d is not between 1 and %d", n, most)}
		}
	}
	return nil
}

// dispatchable reports a dispatch that Metal's validation layer would stop.
func dispatchable(op string, args, bindings, maxThreads int, grid, group Size, threadgroupBytes int) error {
	if err := within(op, math.MaxInt32, grid.X, grid.Y, grid.Z, group.X, group.Y, group.Z); err != nil {
		return err
	}
	wrong := ""
	switch {
	case args > maxArgs:
		wrong = fmt.Sprintf("%d bytes of arguments, want at most %d", args, maxArgs)
	case bindings > maxBindings:
		wrong = fmt.Sprintf("%d bindings, want at most %d", bindings, maxBindings)
	case group.X > maxThreads || group.Y > maxThreads/group.X || group.Z > maxThreads/(group.X*group.Y):
		wrong = fmt.Sprintf("threadgroups of %d × %d × %d threads, want at most %d", group.X, group.Y, group.Z, maxThreads)
	case threadgroupBytes < 0 || threadgroupBytes%16 != 0:
		wrong = fmt.Sprintf("%d bytes of threadgroup memory, want a multiple of 16", threadgroupBytes)
	default:
		return nil
	}
	return &Error{Op: op, Message: wrong}
}
