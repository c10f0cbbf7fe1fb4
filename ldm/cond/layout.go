package cond

import (
	"fmt"
	"math"
)

// Rect is a part of a picture: its left, upper, right and lower edge in fractions of the picture's
// width and height, from the upper left.
type Rect struct{ X0, Y0, X1, Y1 float64 }

// FullCrop is the whole picture.
var FullCrop = Rect{0, 0, 1, 1}

// Validate reports the first edge outside the picture, and edges in the wrong order.
func (r Rect) Validate() error {
	for _, edge := range []struct {
		name  string
		value float64
		of    string
	}{{"x0", r.X0, "width"}, {"y0", r.Y0, "height"}, {"x1", r.X1, "width"}, {"y1", r.Y1, "height"}} {
		if !(edge.value >= 0 && edge.value <= 1) {
			return fmt.Errorf("%s is %g, want 0 to 1: a fraction of the picture's %s", edge.name, edge.value, edge.of)
		}
	}
	if r.X0 >= r.X1 {
		return fmt.Errorf("from x0 = %g to x1 = %g, want x0 < x1", r.X0, r.X1)
	}
	if r.Y0 >= r.Y1 {
		return fmt.Errorf("from y0 = %g to y1 = %g, want y0 < y1", r.Y0, r.Y1)
	}
	return nil
}

func (r Rect) overlaps(s Rect) bool {
	return min(r.X1, s.X1) > max(r.X0, s.X0) && min(r.Y1, s.Y1) > max(r.Y0, s.Y0)
}

// Box places an object of a class. The flags are Open Images': a group of more than five objects, a
// partly hidden one, a depiction such as a drawing, a view from the inside.
type Box struct {
	Class                              int
	Group, Occluded, Depiction, Inside bool
	Rect
}

// Layout says how boxes become tokens. Vocabulary and Length are the text encoder's VocabSize and
// MaxPositions; Stride is by how much the token of a class grows with each flag, and more than any
// class.
type Layout struct{ Vocabulary, Length, Stride int }

// Validate reports the first number that does not fit the others.
func (l Layout) Validate() error {
	switch {
	case l.Vocabulary < 4 || l.Vocabulary > 1<<22:
		return fmt.Errorf("layout: a vocabulary of %d, want 4 to %d", l.Vocabulary, 1<<22)
	case l.Length < 5 || l.Length > 1<<14 || l.Length%3 != 2:
		return fmt.Errorf("layout: %d positions, want three for each object and two for the crop, at most %d",
			l.Length, 1<<14)
	case l.Stride < 1 || l.Stride > l.Vocabulary:
		return fmt.Errorf("layout: a stride of %d classes, want 1 to the vocabulary's %d", l.Stride, l.Vocabulary)
	}
	return nil
}

// MaxBoxes is how many boxes there is room for.
func (l Layout) MaxBoxes() int { return (l.Length - 2) / 3 }

// Tokens are the Length tokens of a layout, in the order of the boxes: of each box its class and
// its upper left and lower right corner, then those of unused places, then the corners of crop, the
// part of the layout that the picture shows. Boxes outside crop are left out. No box is allowed.
//
// So does CompVis/taming-transformers, taming/data/conditional_builder/objects_bbox.py, with
// encode_crop, use_group_parameter and use_additional_parameters; it shuffles the objects, as a
// model's training wants.
func (l Layout) Tokens(boxes []Box, crop Rect) ([]int32, error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	if err := crop.Validate(); err != nil {
		return nil, fmt.Errorf("layout: crop %w", err)
	}
	if len(boxes) > l.MaxBoxes() {
		return nil, fmt.Errorf("layout: %d boxes, want at most %d", len(boxes), l.MaxBoxes())
	}
	none := int32(l.Vocabulary - 1)
	tokens := make([]int32, 0, l.Length)
	for i, b := range boxes {
		if err := b.Validate(); err != nil {
			return nil, fmt.Errorf("layout: box %d %w", i+1, err)
		}
		token := b.Class + l.Stride*b.flags()
		switch {
		case b.Class < 0 || b.Class >= l.Stride:
			return nil, fmt.Errorf("layout: box %d is of class %d, want 0 to %d", i+1, b.Class, l.Stride-1)
		case token >= int(none):
			return nil, fmt.Errorf("layout: box %d has token %d with its flags, want less than %d", i+1, token, none)
		case b.overlaps(crop):
			tokens = append(tokens, int32(token), l.corner(b.X0, b.Y0), l.corner(b.X1, b.Y1))
		}
	}
	for len(tokens) < l.Length-2 {
		tokens = append(tokens, none)
	}
	return append(tokens, l.corner(crop.X0, crop.Y0), l.corner(crop.X1, crop.Y1)), nil
}

// flags counts the box among the sixteen kinds of its class.
func (b Box) flags() (n int) {
	for i, set := range []bool{b.Group, b.Occluded, b.Depiction, b.Inside} {
		if set {
			n |= 1 << i
		}
	}
	return n
}

// corner is the token of a point: its cell in the largest square that the vocabulary numbers. Half
// rounds to even, as in Python.
func (l Layout) corner(x, y float64) int32 {
	sections := int(math.Sqrt(float64(l.Vocabulary)))
	cell := func(v float64) int { return int(math.RoundToEven(v * float64(sections-1))) }
	return int32(cell(y)*sections + cell(x))
}
