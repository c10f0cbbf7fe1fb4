// The C interface between package softmetal and its stand-ins: settings, faults and counters.
// Everything here is for the whole process.
#ifndef SOFTMETAL_H
#define SOFTMETAL_H

#include <stdbool.h>
#include <stdint.h>

enum { SOFT_ALL_CHECKERS = 7 }; // SM_CHECK_ALL

// How the stand-ins behave. The first use reads the environment; see doc.go for the variables.
struct soft_settings {
	uint32_t seed;           // of the order in which threads run; 0 is ascending
	uint32_t checkers;       // SM_CHECK_ bits of the kernel runtime
	bool half_sums;          // fp16 products and convolutions are summed in fp16, else in fp32
	bool eager;              // command buffers run when they are committed, else when they are waited for
	uint32_t continue_every; // MPSGraph commits the command buffer at every n-th graph; 0 for never
	uint64_t heap_alignment; // of offsets in a heap: a power of two
	uint64_t memory;         // bytes that the device gives at most
};

// What goes wrong, each once, and counted from when it is set; 0 and false for nothing.
struct soft_faults {
	bool no_device;          // there is none, as long as this is set
	bool no_sharing;         // buffers around foreign memory have length 0, as long as this is set
	bool no_compiler;        // the next library does not compile
	bool no_waits;           // command buffers do not wait for events, as long as this is set
	uint32_t event;          // the n-th event is refused
	uint32_t allocation;     // the n-th buffer or heap is refused
	uint32_t command_buffer; // the n-th command buffer that is run ends in an error
	uint32_t code;           // of that error: an MTLCommandBufferError, or 0 for internal
};

// What was done since the process began.
struct soft_counts {
	uint64_t launches;        // kernels run
	uint64_t graphs;          // executables of MPSGraph run
	uint64_t copies;          // copies run
	uint64_t encoders;        // opened, of all kinds
	uint64_t command_buffers; // committed
	uint64_t waits;           // for a command buffer for the first time
	uint64_t deadlocks;       // command buffers that were waited for while they waited for an event
	uint64_t flops;           // of products and convolutions in graphs, a multiplication and an addition each
	uint64_t bytes;           // of operands and results of graphs and of copies
	uint64_t libraries;       // compiled, not found in the cache
	uint64_t pipelines;       // compiled, not found in an archive
	int64_t objects;          // of the stand-ins, alive now
};

struct soft_settings soft_get_settings(void);
void soft_set_settings(struct soft_settings);
struct soft_faults soft_get_faults(void);
void soft_set_faults(struct soft_faults);
struct soft_counts soft_get_counts(void);

#endif
