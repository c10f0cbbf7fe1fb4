// What the race checker remembers of memory. Private to the executor.
#pragma once
#include <stdint.h>

namespace executor {

// Who touched a place last, and when: accesses of different epochs are ordered by a threadgroup
// barrier, those of one simdgroup with different barriers by a simdgroup_barrier.
struct Access {
	uint32_t epoch;    // 0 where nobody did
	uint16_t barriers; // of the simdgroup, in this memory
	uint8_t simdgroup; // or several_simdgroups
	uint8_t lane;      // or several_lanes
};
enum : uint8_t { several_lanes = 32, several_simdgroups = 32 };

struct Cell {
	Access write, read;
};

} // namespace executor
