package cond

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseBox reads a box as people write it, "dog:0.1,0.2,0.5,0.9": a class, a colon, and the left,
// upper, right and lower edge in fractions of the picture's width and height. Flags of the box
// follow the class, as in "person+group:…": group, occluded, depiction, inside. find gives the class
// for its name or number.
func ParseBox(text string, find func(string) (int, error)) (Box, error) {
	fail := func(err error) (Box, error) { return Box{}, fmt.Errorf("box %.80q: %w", text, err) }
	colon := strings.LastIndexByte(text, ':')
	if colon < 0 {
		return fail(fmt.Errorf("no colon, want a class and its place, such as dog:0.1,0.2,0.5,0.9"))
	}
	name, flags, flagged := strings.Cut(text[:colon], "+")
	class, err := find(name)
	if err != nil {
		return fail(err)
	}
	b := Box{Class: class}
	if flagged {
		if err := b.setFlags(flags); err != nil {
			return fail(err)
		}
	}
	edges := strings.Split(text[colon+1:], ",")
	if len(edges) != 4 {
		return fail(fmt.Errorf("%d numbers after the colon, want 4: x0,y0,x1,y1", len(edges)))
	}
	for i, edge := range []*float64{&b.X0, &b.Y0, &b.X1, &b.Y1} {
		if *edge, err = strconv.ParseFloat(strings.TrimSpace(edges[i]), 64); err != nil {
			return fail(fmt.Errorf("%s is %.40q, want a number from 0 to 1", [...]string{"x0", "y0", "x1", "y1"}[i], edges[i]))
		}
	}
	if err := b.Validate(); err != nil {
		return fail(err)
	}
	return b, nil
}

// setFlags sets those that text names, separated by plus signs.
func (b *Box) setFlags(text string) error {
	for _, flag := range strings.Split(text, "+") {
		switch strings.TrimSpace(flag) {
		case "group":
			b.Group = true
		case "occluded":
			b.Occluded = true
		case "depiction":
			b.Depiction = true
		case "inside":
			b.Inside = true
		default:
			return fmt.Errorf("no flag %.40q, want group, occluded, depiction or inside", flag)
		}
	}
	return nil
}
