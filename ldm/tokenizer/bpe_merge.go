package tokenizer

import "container/heap"

// alphabet are the printable characters that stand for bytes in vocab.json and merges.txt: those
// of Latin-1 that are printable stand for themselves, the others follow from U+0100 (openai/gpt-2
// src/encoder.py, bytes_to_unicode).
var alphabet = func() (runes [256]rune) {
	next := rune(0x100)
	for c := range rune(256) {
		if '!' <= c && c <= '~' || 0xa1 <= c && c <= 0xac || 0xae <= c {
			runes[c] = c
			continue
		}
		runes[c] = next
		next++
	}
	return runes
}()

// merge is a line of merges.txt: the lowest rank is merged first.
type merge struct{ rank, id int32 }

// pairKey is the key of two symbols in a map of merges.
func pairKey(left, right int32) uint64 { return uint64(uint32(left))<<32 | uint64(uint32(right)) }

// merger is the memory in which words are merged.
type merger struct {
	ids        []int32 // by byte of the word; missing where a symbol has none or was merged away
	next, prev []int32 // the bytes at which the neighbours start
	found      candidates
	batch      candidates
}

// candidate is a merge of the symbol at a byte with the next one, as far as they are still there.
type candidate struct{ rank, at int32 }

// candidates is a heap of them: the lowest rank first, and the first in the word among equals.
type candidates []candidate

func (c candidates) Len() int { return len(c) }
func (c candidates) Less(i, j int) bool {
	return c[i].rank < c[j].rank || c[i].rank == c[j].rank && c[i].at < c[j].at
}
func (c candidates) Swap(i, j int) { c[i], c[j] = c[j], c[i] }
func (c *candidates) Push(x any)   { *c = append(*c, x.(candidate)) }
func (c *candidates) Pop() any {
	last := (*c)[len(*c)-1]
	*c = (*c)[:len(*c)-1]
	return last
}

// join gives the ids of the symbols of a word that is not empty. Of all pairs of neighbours it
// merges the one of the lowest rank wherever it occurs, from left to right, before it looks at the
// pairs that this makes, until there is none.
func (b *BPE) join(m *merger, word string, give func(id int32)) {
	n := len(word)
	m.ids, m.next, m.prev, m.found = m.ids[:0], m.next[:0], m.prev[:0], m.found[:0]
	for i := range n {
		id := b.within[word[i]]
		if i == n-1 {
			id = b.last[word[i]]
		}
		m.ids, m.next, m.prev = append(m.ids, id), append(m.next, int32(i+1)), append(m.prev, int32(i-1))
	}
	for i := range n {
		if found, ok := b.mergeAt(m, int32(i)); ok {
			m.found = append(m.found, candidate{found.rank, int32(i)})
		}
	}
	heap.Init(&m.found)
	for len(m.found) > 0 {
		rank := m.found[0].rank
		m.batch = m.batch[:0]
		for len(m.found) > 0 && m.found[0].rank == rank {
			m.batch = append(m.batch, heap.Pop(&m.found).(candidate))
		}
		for _, c := range m.batch {
			b.apply(m, c)
		}
	}
	for i := int32(0); int(i) < n; i = m.next[i] {
		give(m.ids[i])
	}
}

// mergeAt is the merge of the symbol at a byte with the next one.
func (b *BPE) mergeAt(m *merger, at int32) (merge, bool) {
	if at < 0 || int(m.next[at]) >= len(m.ids) {
		return merge{}, false
	}
	found, ok := b.merges[pairKey(m.ids[at], m.ids[m.next[at]])]
	return found, ok
}

// apply merges a candidate, unless one of its symbols has been merged with another.
func (b *BPE) apply(m *merger, c candidate) {
	found, ok := b.mergeAt(m, c.at)
	if !ok || found.rank != c.rank {
		return
	}
	right := m.next[c.at]
	m.ids[c.at], m.ids[right] = found.id, missing
	m.next[c.at] = m.next[right]
	if after := m.next[right]; int(after) < len(m.ids) {
		m.prev[after] = c.at
	}
	for _, at := range []int32{m.prev[c.at], c.at} {
		if found, ok := b.mergeAt(m, at); ok {
			heap.Push(&m.found, candidate{found.rank, at})
		}
	}
}
