// The seeded order in which threads run: 0 is ascending, any other seed a random order.
#include "state.h"

namespace executor {

static uint32_t state;

void seed_random(uint32_t seed)
{
	state = seed * 2654435761u; // spreads neighbouring seeds; 0 stays 0, where xorshift stays
}

static uint32_t next()
{
	state ^= state << 13; // xorshift32: Marsaglia, "Xorshift RNGs", 2003
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

uint32_t random_below(uint32_t n)
{
	return (uint32_t)((uint64_t)next() * n >> 32);
}

uint32_t pick_lane(uint32_t lanes)
{
	uint32_t by = next() & 31;
	return (first_lane(__builtin_rotateright32(lanes, by)) + by) & 31;
}

} // namespace executor
