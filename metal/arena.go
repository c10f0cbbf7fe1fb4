package metal

import "ldm-mac/ldm/tensor"

// place gives every activation its place in one heap, so that those that are never alive at the
// same time share memory. Results take over the memory of an operand where their step allows and
// nothing reads the operand later.
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
	var blocks []tensor.Block
	for _, v := range l.activations {
		if v.home == v && v.first >= 0 {
			homes = append(homes, v)
			blocks = append(blocks, tensor.Block{First: v.first, Last: v.last, Size: int64(v.bytes())})
		}
	}
	size, bound := tensor.Place(blocks, int64(alignment))
	l.size, l.bound = int(size), int(bound)
	for i, v := range homes {
		v.offset = int(blocks[i].Offset)
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
