package tensor

import (
	"cmp"
	"slices"
)

// Block is memory of Size bytes that is alive from step First to step Last, both included.
type Block struct {
	First, Last int
	Size        int64
	Offset      int64 // in the arena; Place sets it
}

// Place gives each block, the largest first, the lowest offset that is a multiple of alignment and
// at which it meets none that is alive at the same time (Pisarchyk and Lee 2020, arXiv:2001.03288,
// section 5). It returns the size of the arena, and the most bytes alive at once, below which no
// arena can be.
func Place(blocks []Block, alignment int64) (size, bound int64) {
	order := make([]*Block, len(blocks))
	for i := range blocks {
		order[i] = &blocks[i]
	}
	slices.SortStableFunc(order, func(a, b *Block) int {
		return cmp.Or(cmp.Compare(b.Size, a.Size), cmp.Compare(a.First, b.First))
	})
	var placed []*Block // by offset
	for _, b := range order {
		b.Offset = 0
		for _, p := range placed {
			if p.First > b.Last || p.Last < b.First {
				continue
			}
			if b.Offset+b.Size <= p.Offset {
				break
			}
			end := p.Offset + p.Size
			b.Offset = max(b.Offset, (end+alignment-1)/alignment*alignment)
		}
		size = max(size, b.Offset+b.Size)
		i, _ := slices.BinarySearchFunc(placed, b.Offset, func(p *Block, at int64) int { return cmp.Compare(p.Offset, at) })
		placed = slices.Insert(placed, i, b)
	}
	return size, mostAlive(blocks)
}

func mostAlive(blocks []Block) int64 {
	steps := 0
	for _, b := range blocks {
		steps = max(steps, b.Last+2)
	}
	change := make([]int64, steps)
	for _, b := range blocks {
		change[b.First] += b.Size
		change[b.Last+1] -= b.Size
	}
	var alive, most int64
	for _, c := range change {
		alive += c
		most = max(most, alive)
	}
	return most
}
