// The checkers of loads and stores. A checked library is compiled with -fsanitize=thread, whose
// calls before each access to memory that other threads can see end here instead of in Google's
// runtime; -fsanitize=bounds and integer-divide-by-zero add the indices of arrays and divisions.
#include "shadow.h"
#include "state.h"
#include <string.h>

namespace executor {

static const char *place_name(const Region *r) { return r->memory == device_memory ? "buffer" : "threadgroup memory"; }

static uint32_t thread_of(Access a)
{
	return a.simdgroup * SM_SIMDGROUP_THREADS + (a.lane == several_lanes ? 0 : a.lane);
}

[[noreturn]] static void race(const Region *r, uint64_t offset, uint64_t size, Access a, const char *what, Where where)
{
	bool other_group = a.epoch < group.first_epoch;
	int32_t other = other_group || a.simdgroup == several_simdgroups ? -1 : (int32_t)thread_of(a);
	describe_access(offset, size);
	fail(SM_FAULT_RACE, where, other, "%s of %lu bytes at offset %lu of %s '%s', %s", what, (unsigned long)size,
	     (unsigned long)offset, place_name(r), r->name,
	     other_group ? "touched by another threadgroup" : "not ordered by a barrier");
}

// Whether an access is of another threadgroup of the dispatch, which share device memory.
static inline bool elsewhere(Access a, Memory memory)
{
	return memory == device_memory && a.epoch < group.first_epoch && a.epoch >= group.dispatch_epoch;
}

// Whether two accesses to one place may come in either order.
static inline bool unordered(Access before, Access now, Memory memory)
{
	if (before.epoch != now.epoch)
		return elsewhere(before, memory);
	if (before.simdgroup != now.simdgroup)
		return true;
	return before.barriers == now.barriers && before.lane != now.lane;
}

// Keeps a read of another threadgroup: it races with whatever writes later.
static inline void note_read(Access *read, Access now, Memory memory)
{
	if (elsewhere(*read, memory))
		return;
	if (read->epoch != now.epoch)
		*read = now;
	else if (read->simdgroup != now.simdgroup)
		read->simdgroup = several_simdgroups;
	else if (read->barriers != now.barriers)
		*read = now;
	else if (read->lane != now.lane)
		read->lane = several_lanes;
}

static void check_races(const Region *r, uint64_t offset, uint64_t size, bool write, Where where)
{
	const Simdgroup *s = group.running;
	Access now{group.epoch[r->memory], s->barriers[r->memory], (uint8_t)(s - group.simdgroups), (uint8_t)sm_lane};
	Cell *end = r->cells + ((offset + size - 1) >> r->shift);
	for (Cell *c = r->cells + (offset >> r->shift); c <= end; c++) {
		if (unordered(c->write, now, r->memory))
			race(r, offset, size, c->write, write ? "write after write" : "read after write", where);
		if (!write) {
			note_read(&c->read, now, r->memory);
			continue;
		}
		if (unordered(c->read, now, r->memory))
			race(r, offset, size, c->read, "write after read", where);
		c->write = now;
	}
}

[[noreturn]] static void out_of_bounds(const char *address, uint64_t size, bool write, Where where)
{
	const char *what = write ? "write" : "read";
	const Region *r = nearest_region(address);
	if (r == nullptr)
		fail(SM_FAULT_BOUNDS, where, -1, "%s of %lu bytes outside of all buffers", what, (unsigned long)size);
	int64_t offset = address - r->start;
	describe_access((uint64_t)offset, size);
	if (r->memory == device_memory)
		fail(SM_FAULT_BOUNDS, where, -1, "%s of %lu bytes at offset %ld of buffer(%u) '%s', which has %lu", what,
		     (unsigned long)size, (long)offset, r->index, r->name, (unsigned long)r->length);
	fail(SM_FAULT_BOUNDS, where, -1, "%s of %lu bytes at offset %ld of threadgroup memory '%s', which has %lu", what,
	     (unsigned long)size, (long)offset, r->name, (unsigned long)r->length);
}

static void check_written(const Region *r, uint64_t offset, uint64_t size, Where where)
{
	for (uint64_t i = offset; i < offset + size; i++) {
		if (r->written[i])
			continue;
		describe_access(offset, size);
		fail(SM_FAULT_UNINITIALISED, where, -1, "read of %lu bytes at offset %lu of threadgroup memory '%s', which no thread has written",
		     (unsigned long)size, (unsigned long)offset, r->name);
	}
}

// The library's own constants, tables and function constants.
static bool in_library(const char *address)
{
	extern const char begin[] asm("__ehdr_start") __attribute__((visibility("hidden")));
	extern const char end[] asm("_end") __attribute__((visibility("hidden")));
	return address >= begin && address < end;
}

static void check(const void *p, uint64_t size, bool write, bool atomic, Where where)
{
	const char *address = (const char *)p;
	if (options.checkers == 0 || on_stack(address))
		return;
	Region *r = find_region(address, where.pc);
	uint64_t offset = r != nullptr ? (uint64_t)(address - r->start) : 0;
	if (r == nullptr || offset + size > r->length) {
		if (r == nullptr && !in_arena(address) && in_library(address))
			return;
		if (options.checkers & SM_CHECK_BOUNDS)
			out_of_bounds(address, size, write, where);
		return;
	}
	if (r->written != nullptr) {
		if (write)
			memset(r->written + offset, 1, size);
		else if (options.checkers & SM_CHECK_UNINITIALISED)
			check_written(r, offset, size, where);
	}
	if (r->cells != nullptr && !atomic && options.checkers & SM_CHECK_RACES)
		check_races(r, offset, size, write, where);
}

// A value at its natural alignment: a GPU reads something else from any other address.
static inline void check_aligned(const void *p, uint64_t size, bool write, Where where)
{
	if ((uint64_t)p % size != 0 && options.checkers & SM_CHECK_BOUNDS)
		fail(SM_FAULT_ALIGNMENT, where, -1, "%s of %lu bytes at an address that is a multiple of %lu only",
		     write ? "write" : "read", (unsigned long)size, (unsigned long)((uint64_t)p & -(uint64_t)p));
	check(p, size, write, false, where);
}

} // namespace executor

using namespace executor;

void sm_atomic_access(const volatile void *address, uint64_t size, sm_site site)
{
	check((const void *)address, size, true, true, {site, nullptr});
}

#define SM_HERE Where{{}, __builtin_return_address(0)}

// The interface of -fsanitize=thread, from LLVM's compiler-rt/lib/tsan/rtl/tsan_interface.h.
#define SM_HOOKS(size)                                                                                    \
	extern "C" void __tsan_read##size(void *p) { check_aligned(p, size, false, SM_HERE); }                \
	extern "C" void __tsan_write##size(void *p) { check_aligned(p, size, true, SM_HERE); }                \
	extern "C" void __tsan_unaligned_read##size(void *p) { check(p, size, false, false, SM_HERE); }       \
	extern "C" void __tsan_unaligned_write##size(void *p) { check(p, size, true, false, SM_HERE); }
SM_HOOKS(1)
SM_HOOKS(2)
SM_HOOKS(4)
SM_HOOKS(8)
SM_HOOKS(16)
#undef SM_HOOKS

extern "C" void __tsan_init() {}

extern "C" void *__tsan_memcpy(void *to, const void *from, uint64_t n)
{
	if (n > 0) {
		check(from, n, false, false, SM_HERE);
		check(to, n, true, false, SM_HERE);
	}
	return memcpy(to, from, n);
}
extern "C" void *__tsan_memmove(void *to, const void *from, uint64_t n)
{
	if (n > 0) {
		check(from, n, false, false, SM_HERE);
		check(to, n, true, false, SM_HERE);
	}
	return memmove(to, from, n);
}
extern "C" void *__tsan_memset(void *to, int value, uint64_t n)
{
	if (n > 0)
		check(to, n, true, false, SM_HERE);
	return memset(to, value, n);
}

// The interface of -fsanitize=bounds,integer-divide-by-zero, from LLVM's
// compiler-rt/lib/ubsan/ubsan_handlers.h: each record begins with the place in the source.
struct SourceLocation {
	const char *file;
	uint32_t line, column;
};

extern "C" void __ubsan_handle_out_of_bounds(const SourceLocation *at, uint64_t index)
{
	if (options.checkers & SM_CHECK_BOUNDS)
		fail(SM_FAULT_BOUNDS, {{at->file, at->line}, nullptr}, -1, "index %ld is outside of the array", (long)index);
}
extern "C" void __ubsan_handle_divrem_overflow(const SourceLocation *at, uint64_t, uint64_t)
{
	fail(SM_FAULT_ARITHMETIC, {{at->file, at->line}, nullptr}, -1, "integer division by zero");
}
