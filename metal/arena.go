package metal

import (
	"cmp"
	"slices"
)

// place gives every activation its place in one heap, so that those that are never alive at the
// same time share memory. Results take over the memory of an operand where their step allows and
// nothing reads the operand later; the rest is tensor.NewPlan's rule, applied to values instead of
// nodes: the largest first, at the lowest offset that is free while it is alive (Pisarchyk and Lee
// 2020, arXiv:2001.03288, section 5).
//
// Outputs are alive to the end. Offsets are multiples of alignment.
func (l *listing) place(alignment int) {
	for _, v := range l.outputs {
		if v.kind == activation {
			v.last = len(l.steps)
		}
	}
	for at, s := range l.steps {
		if s.over >= 0 {
			l.takeOver(s, at)
		}
	}
	var homes []*value
	for _, v := range l.activations {
		if v.home == v && v.first >= 0 {
			homes = append(homes, v)
		}
	}
	l.bound = peak(homes, len(l.steps))
	slices.SortStableFunc(homes, func(a, b *value) int {
		return cmp.Or(cmp.Compare(b.bytes(), a.bytes()), cmp.Compare(a.first, b.first))
	})
	var placed []*value // by offset
	for _, v := range homes {
		v.offset = 0
		for _, o := range placed {
			if o.last < v.first || v.last < o.first {
				continue
			}
			if v.offset+v.bytes() <= o.offset {
				break
			}
			v.offset = max(v.offset, alignUp(o.offset+o.bytes(), alignment))
		}
		l.size = max(l.size, v.offset+v.bytes())
		i, _ := slices.BinarySearchFunc(placed, v.offset, func(o *value, at int) int { return cmp.Compare(o.offset, at) })
		placed = slices.Insert(placed, i, v)
	}
}

// takeOver lets the result of s, step number at, have the memory of its operand s.over.
func (l *listing) takeOver(s *step, at int) {
	from, to := s.operands[s.over], s.writes()
	if from.value == nil || from.kind != activation || from.at != 0 || to.kind != activation || to.home != to {
		return
	}
	home := from.home
	if home.last == at && to.first == at && home.bytes() == to.bytes() && !s.reads(home, s.over) {
		to.home = home
		home.last = to.last
	}
}

// peak is the most bytes that are alive at once.
func peak(homes []*value, steps int) int {
	change := make([]int, steps+2)
	for _, v := range homes {
		change[v.first] += v.bytes()
		change[v.last+1] -= v.bytes()
	}
	alive, most := 0, 0
	for _, c := range change {
		alive += c
		most = max(most, alive)
	}
	return most
}

func alignUp(n, alignment int) int { return divUp(n, alignment) * alignment }
