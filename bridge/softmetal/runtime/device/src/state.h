// The state of the one dispatch that a library runs at a time. Private to the executor.
#pragma once
#include "executor.h"

namespace executor {

enum Memory { device_memory, threadgroup_memory, memory_kinds };

// Sets of lanes are bits of a uint32_t.
struct Simdgroup {
	uint32_t live;       // not finished
	uint32_t ready;      // able to run
	uint32_t unstarted;  // ready, and without a stack yet
	uint32_t exchanging; // waiting in a simdgroup operation
	uint32_t at_barrier; // waiting in a threadgroup barrier
	uint32_t all;        // live at the start: fewer than 32 in a partial simdgroup
	sm_resolver resolve; // of the operation that lanes wait in, with its site
	sm_site site;
	uint16_t barriers[memory_kinds]; // simdgroup barriers so far that ordered each memory
	void *data[SM_SIMDGROUP_THREADS];
	void *stack_pointer[SM_SIMDGROUP_THREADS];
};

struct Group {
	const sm_kernel *kernel;
	const sm_launch *launch;
	sm_group shared; // what kernels see of it
	uint32_t threads;
	uint32_t finished, waiting; // threads that ended, threads at the barrier
	sm_site barrier;
	uint32_t epoch[memory_kinds]; // numbers the times between barriers, over all groups of a dispatch
	uint32_t first_epoch;         // of this threadgroup: what is smaller is of others
	uint32_t dispatch_epoch;      // of this dispatch: what is smaller is of others, long done
	Simdgroup simdgroups[SM_SIMDGROUP_THREADS];
	Simdgroup *order[SM_SIMDGROUP_THREADS]; // in which they run until the next barrier
	Simdgroup *running;
};
extern Group group;
extern sm_options options;

inline uint32_t index_of(const Simdgroup *s, uint32_t lane)
{
	return (uint32_t)(s - group.simdgroups) * SM_SIMDGROUP_THREADS + lane;
}
inline uint32_t running_index() { return index_of(group.running, sm_lane); }
inline uint32_t first_lane(uint32_t lanes) { return (uint32_t)__builtin_ctz(lanes); }
inline bool contains(uint32_t lanes, uint32_t lane) { return lanes >> lane & 1; }

// random.cpp
void seed_random(uint32_t seed);
uint32_t random_below(uint32_t n);  // n > 0; 0 where the seed is 0
uint32_t pick_lane(uint32_t lanes); // one of a set that is not empty

// fibers.cpp
bool make_stacks();     // for group.threads; false without memory
void run_threadgroup(); // runs group.kernel for every thread of group; returns early on a fault
void leave_threadgroup() __attribute__((noreturn));

// fault.cpp
struct Where {
	sm_site site;    // or
	const void *pc;  // the return address of a call in the kernel
};
void begin_faults(sm_fault *fault, uint64_t *address);
bool faulted();
// Fills in the fault of the running thread and leaves the threadgroup.
void fail(sm_fault_kind kind, Where where, int32_t other, const char *format, ...)
	__attribute__((noreturn, format(printf, 4, 5)));
// Fills in a fault of the dispatch as a whole; returns false.
bool refuse(const sm_kernel *kernel, const char *format, ...) __attribute__((format(printf, 2, 3)));
void describe_access(uint64_t offset, uint64_t bytes);

// memory.cpp
bool begin_memory();     // places bindings and threadgroup memory; false after refuse
void begin_threadgroup_memory();
void end_memory(bool keep); // whether writes reach the bindings
void forget_accesses();     // makes epochs free to begin again

// A range of memory that kernels may touch.
struct Cell;
struct Region {
	char *start;
	uint64_t length;
	Memory memory;
	uint32_t shift; // each cell stands for 1 << shift bytes
	Cell *cells;    // NULL where races cannot be
	uint8_t *written; // a byte for each byte of threadgroup memory
	uint32_t index;
	const char *name;
};
Region *find_region(const void *address, const void *pc); // NULL where none contains it
Region *nearest_region(const void *address);
bool on_stack(const void *address);       // private memory of threads
bool in_arena(const void *address);       // threadgroup memory and the gaps between its variables

} // namespace executor
