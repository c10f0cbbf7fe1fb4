package tensor

import (
	"fmt"
	"slices"
	"strings"
)

// Shape is the size of every dimension, outermost first: [n, h, w, c] for images, [n, l, d] for
// tokens. The empty shape is a scalar.
type Shape []int

// Elements is the product of the dimensions.
func (s Shape) Elements() int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}

// Equal reports whether both shapes have the same dimensions.
func (s Shape) Equal(o Shape) bool { return slices.Equal(s, o) }

// Last is the innermost dimension: the channels of an image, the width of a token.
func (s Shape) Last() int { return s[len(s)-1] }

func (s Shape) String() string {
	parts := make([]string, len(s))
	for i, d := range s {
		parts[i] = fmt.Sprint(d)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func (s Shape) with(axis, size int) Shape {
	out := slices.Clone(s)
	out[axis] = size
	return out
}
