package rng

// MT19937 is the 32-bit Mersenne twister with initialisation by init_genrand.
//
// Source: Matsumoto and Nishimura, "Mersenne Twister", ACM TOMACS 8 (1998), and the authors'
// mt19937ar.c of 2002.
type MT19937 struct {
	state [mtWords]uint32
	next  int // index of the next word; mtWords when the state has to be renewed
}

// The parameters of the paper's table II: recurrence length n and middle word m, the twist matrix,
// and the split of a word into its upper bit and lower 31 bits.
const (
	mtWords  = 624
	mtMiddle = 397
	mtMatrix = 0x9908b0df
	mtUpper  = 0x80000000
	mtLower  = 0x7fffffff
)

// NewMT19937 returns the engine in the state of init_genrand(seed).
func NewMT19937(seed uint32) *MT19937 {
	m := &MT19937{next: mtWords}
	m.state[0] = seed
	for i := 1; i < mtWords; i++ {
		previous := m.state[i-1]
		m.state[i] = 1812433253*(previous^previous>>30) + uint32(i)
	}
	return m
}

// Uint32 returns the next 32 bits, genrand_int32 of the source.
func (m *MT19937) Uint32() uint32 {
	if m.next == mtWords {
		m.renew()
	}
	y := m.state[m.next]
	m.next++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

func (m *MT19937) renew() {
	s := &m.state
	for i := range s {
		y := s[i]&mtUpper | s[(i+1)%mtWords]&mtLower
		s[i] = s[(i+mtMiddle)%mtWords] ^ y>>1 ^ (y&1)*mtMatrix
	}
	m.next = 0
}
