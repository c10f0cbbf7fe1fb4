//go:build softmetal && linux && cgo

package softmetal

/*
#cgo CFLAGS: -D_GNU_SOURCE -I${SRCDIR} -I${SRCDIR}/include
#cgo amd64 CFLAGS: -march=haswell
#cgo LDFLAGS: -lgnustep-base -lobjc -lm -ldl -lpthread
#include "softmetal.h"
*/
import "C"

import _ "ldm-mac/bridge/softmetal/runtime" // softmetal_runtime.h

// Settings are how the stand-ins behave, in the whole process.
type Settings struct {
	Seed          int  // of the order of threads in a dispatch; 0 is ascending
	Checkers      bool // that kernels are compiled with, from now on
	HalfSums      bool // products and convolutions of fp16 are summed in fp16, else in fp32
	Eager         bool // command buffers run when they are committed, else when they are waited for
	ContinueEvery int  // MPSGraph commits the command buffer at every n-th graph; 0 for never
	HeapAlignment int  // of offsets in a heap: a power of two, up to 16384
	Memory        int  // bytes that the device gives at most
}

// Faults are what goes wrong. The counted ones strike once, at the n-th from when they are set; 0 is
// never.
type Faults struct {
	NoDevice      bool // there is none, until faults are set anew
	NoSharing     bool // foreign memory cannot be wrapped, until faults are set anew
	NoCompiler    bool // the next library does not compile
	NoWaits       bool // command buffers do not wait for events, until faults are set anew
	Event         int  // the n-th event is refused
	Allocation    int  // the n-th buffer or heap is refused
	CommandBuffer int  // the n-th command buffer that is run ends in an error
	Code          int  // of that error: an MTLCommandBufferError (8: out of memory); 0 for internal
}

// Counts are what was done since the process began.
type Counts struct {
	Launches       int // kernels run
	Graphs         int // executables of MPSGraph run
	Copies         int // copies run
	Encoders       int // opened
	CommandBuffers int // committed
	Waits          int // for a command buffer for the first time
	Deadlocks      int // command buffers that were waited for while they waited for an event
	FLOPs          int // of products and convolutions in graphs; a multiplication and an addition are 2
	Bytes          int // of operands and results of graphs and of copies
	Libraries      int // compiled, not found in the cache
	Pipelines      int // compiled, not found in an archive
	Objects        int // of the stand-ins, alive now
}

// Current returns the settings in force: those of the environment until Configure changes them.
func Current() Settings {
	s := C.soft_get_settings()
	return Settings{
		Seed: int(s.seed), Checkers: s.checkers != 0, HalfSums: bool(s.half_sums), Eager: bool(s.eager),
		ContinueEvery: int(s.continue_every), HeapAlignment: int(s.heap_alignment), Memory: int(s.memory),
	}
}

// Configure changes the settings and returns the former ones, for a test to restore.
func Configure(s Settings) (former Settings) {
	former = Current()
	c := C.struct_soft_settings{
		seed: C.uint32_t(s.Seed), half_sums: C.bool(s.HalfSums), eager: C.bool(s.Eager),
		continue_every: C.uint32_t(s.ContinueEvery), heap_alignment: C.uint64_t(s.HeapAlignment), memory: C.uint64_t(s.Memory),
	}
	if s.Checkers {
		c.checkers = C.SOFT_ALL_CHECKERS
	}
	C.soft_set_settings(c)
	return former
}

// Inject sets what goes wrong; Inject(Faults{}) ends it.
func Inject(f Faults) {
	C.soft_set_faults(C.struct_soft_faults{
		no_device: C.bool(f.NoDevice), no_sharing: C.bool(f.NoSharing), no_compiler: C.bool(f.NoCompiler),
		no_waits: C.bool(f.NoWaits), event: C.uint32_t(f.Event),
		allocation: C.uint32_t(f.Allocation), command_buffer: C.uint32_t(f.CommandBuffer), code: C.uint32_t(f.Code),
	})
}

// Injected returns the faults that have not struck yet.
func Injected() Faults {
	f := C.soft_get_faults()
	return Faults{
		NoDevice: bool(f.no_device), NoSharing: bool(f.no_sharing), NoCompiler: bool(f.no_compiler),
		NoWaits: bool(f.no_waits), Event: int(f.event),
		Allocation: int(f.allocation), CommandBuffer: int(f.command_buffer), Code: int(f.code),
	}
}

// Count returns what was done so far; differences of two are what was done between.
func Count() Counts {
	c := C.soft_get_counts()
	return Counts{
		Launches: int(c.launches), Graphs: int(c.graphs), Copies: int(c.copies), Encoders: int(c.encoders),
		CommandBuffers: int(c.command_buffers), Waits: int(c.waits), Deadlocks: int(c.deadlocks), FLOPs: int(c.flops), Bytes: int(c.bytes),
		Libraries: int(c.libraries), Pipelines: int(c.pipelines), Objects: int(c.objects),
	}
}

// Since returns what was done after former was counted; Objects is the number alive now.
func (c Counts) Since(former Counts) Counts {
	return Counts{
		Launches: c.Launches - former.Launches, Graphs: c.Graphs - former.Graphs, Copies: c.Copies - former.Copies,
		Encoders: c.Encoders - former.Encoders, CommandBuffers: c.CommandBuffers - former.CommandBuffers,
		Waits: c.Waits - former.Waits, Deadlocks: c.Deadlocks - former.Deadlocks, FLOPs: c.FLOPs - former.FLOPs, Bytes: c.Bytes - former.Bytes,
		Libraries: c.Libraries - former.Libraries, Pipelines: c.Pipelines - former.Pipelines, Objects: c.Objects,
	}
}
