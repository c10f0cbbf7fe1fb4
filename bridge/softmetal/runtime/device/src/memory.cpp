// The memory that a dispatch may touch. With checkers on, each binding is moved for the time of the
// dispatch to a place of its own with nothing around it, so that the byte after a buffer is never
// the first of the next; bindings that overlap move together.
#include "state.h"
#include "shadow.h"
#include <string.h>
#include <sys/mman.h>

namespace executor {

// A binding, or overlapping bindings as one.
struct Placed {
	char *from; // the caller's memory
	Region region;
	bool writable;
};

constexpr uint64_t page = 4096;
constexpr uint64_t margin = 16 << 20; // unused addresses on either side of a binding

static Placed placed[SM_MAX_BUFFERS];
static uint32_t placed_count;

// Memory that grows to what the largest dispatch needed; what was in it is lost then.
struct Pool {
	char *start;
	uint64_t bytes;
};
static Pool copies, cells;

static void release(Pool *pool)
{
	if (pool->bytes > 0)
		munmap(pool->start, pool->bytes);
	*pool = {};
}

__attribute__((destructor)) static void release_pools()
{
	release(&copies);
	release(&cells);
}

static char *reserve(Pool *pool, uint64_t bytes)
{
	if (bytes <= pool->bytes)
		return pool->start;
	release(pool);
	void *m = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m == MAP_FAILED)
		return nullptr;
	*pool = {(char *)m, bytes};
	return pool->start;
}

// Threadgroup memory: variables lie apart, so that running past one does not reach the next.
constexpr uint32_t max_variables = SM_MAX_BUFFERS + 33;
constexpr uint64_t gap = 1 << 10;
constexpr uint64_t arena_bytes = SM_MAX_THREADGROUP_BYTES + max_variables * gap;
alignas(4096) static char arena[arena_bytes];
static uint8_t written[arena_bytes];
static Cell arena_cells[arena_bytes];
static uint64_t arena_used, threadgroup_bytes;
static Region variables[max_variables];
static const void *variable_keys[max_variables];
static uint32_t variable_count;

static const sm_argument *find_argument(const sm_kernel *kernel, uint32_t kind, uint32_t index)
{
	for (uint32_t i = 0; i < kernel->info.argument_count; i++) {
		const sm_argument *a = &kernel->info.arguments[i];
		if (a->kind == kind && a->index == index)
			return a;
	}
	return nullptr;
}

// Adds a binding to the placed, joining what it overlaps.
static void place(const sm_binding &b, const sm_argument *a)
{
	Placed p{};
	p.from = (char *)b.bytes;
	p.region.length = b.length;
	p.region.memory = device_memory;
	p.region.index = b.index;
	p.region.name = a != nullptr ? a->name : "";
	p.region.shift = a != nullptr && a->align >= 2 ? 1 : 0;
	p.writable = a != nullptr && !a->read_only;
	for (uint32_t i = 0; i < placed_count;) {
		Placed &q = placed[i];
		char *end = p.from + p.region.length, *q_end = q.from + q.region.length;
		if (end <= q.from || q_end <= p.from) {
			i++;
			continue;
		}
		p.from = q.from < p.from ? q.from : p.from;
		p.region.length = (uint64_t)((end > q_end ? end : q_end) - p.from);
		p.region.shift = q.region.shift < p.region.shift ? q.region.shift : p.region.shift;
		p.writable = p.writable || q.writable;
		q = placed[--placed_count];
	}
	placed[placed_count++] = p;
}

static uint64_t cell_count(const Placed &p)
{
	bool races = p.writable && options.checkers & SM_CHECK_RACES;
	return races ? (p.region.length >> p.region.shift) + 1 : 0;
}

// Copies each placed binding to a place at the same offset in a page, because alignment is checked.
static bool copy_placed()
{
	uint64_t bytes = 0, count = 0;
	for (uint32_t i = 0; i < placed_count; i++) {
		bytes += placed[i].region.length + margin + 2 * page;
		count += cell_count(placed[i]);
	}
	char *to = reserve(&copies, bytes + margin);
	Cell *cell = (Cell *)reserve(&cells, count * sizeof(Cell));
	if (to == nullptr || (cell == nullptr && count > 0))
		return false;
	for (uint32_t i = 0; i < placed_count; i++) {
		Placed &p = placed[i];
		to += margin;
		p.region.start = to + (uint64_t)p.from % page;
		memcpy(p.region.start, p.from, p.region.length);
		to += (p.region.length / page + 2) * page;
		if (uint64_t n = cell_count(p)) {
			p.region.cells = cell;
			cell += n;
		}
	}
	return true;
}

static bool place_bindings()
{
	const sm_launch *l = group.launch;
	for (uint32_t i = 0; i < l->binding_count; i++)
		place(l->bindings[i], find_argument(group.kernel, SM_ARGUMENT_BUFFER, l->bindings[i].index));
	if (!copy_placed())
		return refuse(group.kernel, "out of memory for the checkers");
	for (uint32_t i = 0; i < l->binding_count; i++) {
		const sm_binding &b = l->bindings[i];
		for (uint32_t k = 0; k < placed_count; k++) {
			uint64_t at = (uint64_t)((char *)b.bytes - placed[k].from);
			if (at < placed[k].region.length)
				group.shared.buffers[b.index] = placed[k].region.start + at;
		}
	}
	return true;
}

void forget_accesses()
{
	release(&cells);
	memset(arena_cells, 0, sizeof arena_cells);
}

static Region *add_variable(const void *key, uint64_t size, uint64_t align, const char *name)
{
	Region *r = &variables[variable_count];
	variable_keys[variable_count++] = key;
	uint64_t at = (arena_used + gap + 15) / 16 * 16;
	*r = Region{arena + at, size, threadgroup_memory, align >= 2 ? 1u : 0u, arena_cells + at, written + at, 0, name};
	arena_used = at + size;
	threadgroup_bytes += (size + 15) / 16 * 16;
	memset(r->start, 0xff, size); // NaN in half and float
	memset(r->written, 0, size);
	return r;
}

bool begin_memory()
{
	const sm_launch *l = group.launch;
	placed_count = variable_count = 0;
	arena_used = threadgroup_bytes = 0;
	memset(group.shared.buffers, 0, sizeof group.shared.buffers);
	memset(group.shared.threadgroups, 0, sizeof group.shared.threadgroups);
	for (uint32_t i = 0; i < SM_MAX_BUFFERS; i++) {
		if (l->threadgroup_bytes[i] == 0)
			continue;
		const sm_argument *a = find_argument(group.kernel, SM_ARGUMENT_THREADGROUP, i);
		const char *name = a != nullptr ? a->name : "";
		group.shared.threadgroups[i] = add_variable(nullptr, l->threadgroup_bytes[i], a != nullptr ? a->align : 1, name)->start;
	}
	if (options.checkers != 0)
		return place_bindings();
	for (uint32_t i = 0; i < l->binding_count; i++)
		group.shared.buffers[l->bindings[i].index] = l->bindings[i].bytes;
	return true;
}

void begin_threadgroup_memory()
{
	for (uint32_t i = 0; i < variable_count; i++) {
		memset(variables[i].start, 0xff, variables[i].length);
		memset(variables[i].written, 0, variables[i].length);
	}
}

void end_memory(bool keep)
{
	for (uint32_t i = 0; i < placed_count; i++)
		if (keep && placed[i].writable)
			memcpy(placed[i].from, placed[i].region.start, placed[i].region.length);
	placed_count = 0;
}

bool in_arena(const void *address)
{
	return (uint64_t)((const char *)address - arena) < arena_bytes;
}

static bool holds(const Region &r, const void *address)
{
	return (uint64_t)((const char *)address - r.start) < r.length;
}

Region *find_region(const void *address, const void *pc)
{
	static Region *recent[64] = {}; // by instruction: most touch one region only
	Region *&last = recent[(uint64_t)pc / 4 % 64];
	if (last != nullptr && holds(*last, address))
		return last;
	for (uint32_t i = 0; i < variable_count; i++)
		if (holds(variables[i], address))
			return last = &variables[i];
	for (uint32_t i = 0; i < placed_count; i++)
		if (holds(placed[i].region, address))
			return last = &placed[i].region;
	return nullptr;
}

Region *nearest_region(const void *address)
{
	Region *best = nullptr;
	uint64_t least = ~0ul;
	auto consider = [&](Region &r) {
		const char *a = (const char *)address;
		uint64_t far = a < r.start ? (uint64_t)(r.start - a) : (uint64_t)(a - r.start) - r.length;
		if (far < least) {
			least = far;
			best = &r;
		}
	};
	for (uint32_t i = 0; i < variable_count; i++)
		consider(variables[i]);
	for (uint32_t i = 0; i < placed_count; i++)
		consider(placed[i].region);
	return least < margin ? best : nullptr;
}

} // namespace executor

void *sm_threadgroup_variable(const void *key, uint64_t size, uint64_t align, const char *name, sm_site site)
{
	using namespace executor;
	for (uint32_t i = 0; i < variable_count; i++)
		if (variable_keys[i] == key)
			return variables[i].start;
	uint64_t total = threadgroup_bytes + (size + 15) / 16 * 16;
	if (total > SM_MAX_THREADGROUP_BYTES || variable_count == max_variables)
		fail(SM_FAULT_MEMORY, {site, nullptr}, -1, "with '%s' the threadgroup has %lu bytes of threadgroup memory, above %d",
		     name, (unsigned long)total, SM_MAX_THREADGROUP_BYTES);
	return add_variable(key, size, align, name)->start;
}
