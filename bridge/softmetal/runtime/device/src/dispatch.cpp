// A dispatch: checks what the host asks for, sets the function constants, runs every threadgroup.
#include "state.h"
#include <string.h>

namespace executor {

sm_options options;

static uint32_t last_epoch; // goes on over dispatches, so that old accesses never look new

static const sm_binding *find_binding(const sm_launch *l, uint32_t index)
{
	for (uint32_t i = 0; i < l->binding_count; i++)
		if (l->bindings[i].index == index)
			return &l->bindings[i];
	return nullptr;
}

static bool check_arguments(const sm_kernel *k, const sm_launch *l)
{
	for (uint32_t i = 0; i < l->binding_count; i++) {
		const sm_binding &b = l->bindings[i];
		if (b.index >= SM_MAX_BUFFERS)
			return refuse(k, "binding %u is above the last slot, %d", b.index, SM_MAX_BUFFERS - 1);
		if (b.bytes == nullptr || b.length == 0)
			return refuse(k, "binding %u has no memory", b.index);
		if (find_binding(l, b.index) != &b)
			return refuse(k, "slot %u is bound twice", b.index);
	}
	for (uint32_t i = 0; i < k->info.argument_count; i++) {
		const sm_argument &a = k->info.arguments[i];
		if (a.exists != nullptr && !a.exists())
			continue;
		if (a.kind == SM_ARGUMENT_THREADGROUP) {
			if (l->threadgroup_bytes[a.index] == 0)
				return refuse(k, "threadgroup(%u) '%s' has no length", a.index, a.name);
			continue;
		}
		const sm_binding *b = find_binding(l, a.index);
		if (b == nullptr)
			return refuse(k, "nothing is bound to buffer(%u) '%s'", a.index, a.name);
		if (a.reference && b->length < a.size)
			return refuse(k, "buffer(%u) '%s' has %lu bytes, want %u", a.index, a.name, (unsigned long)b->length, a.size);
		if ((uint64_t)b->bytes % a.align != 0)
			return refuse(k, "buffer(%u) '%s' begins at an address that is no multiple of %u", a.index, a.name, a.align);
	}
	return true;
}

static bool check_sizes(const sm_kernel *k, const sm_launch *l)
{
	uint64_t threads = (uint64_t)l->group.x * l->group.y * l->group.z;
	if (threads == 0 || (uint64_t)l->grid.x * l->grid.y * l->grid.z == 0)
		return refuse(k, "the grid or the threadgroup is empty");
	if (threads > k->info.max_threads)
		return refuse(k, "%lu threads per threadgroup, above %u", (unsigned long)threads, k->info.max_threads);
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < SM_MAX_BUFFERS; i++) {
		if (l->threadgroup_bytes[i] % SM_THREADGROUP_ALIGNMENT != 0)
			return refuse(k, "threadgroup(%u) has %u bytes, want a multiple of %d", i, l->threadgroup_bytes[i],
			              SM_THREADGROUP_ALIGNMENT);
		bytes += l->threadgroup_bytes[i];
	}
	if (bytes > SM_MAX_THREADGROUP_BYTES)
		return refuse(k, "%lu bytes of threadgroup memory, above %d", (unsigned long)bytes, SM_MAX_THREADGROUP_BYTES);
	return true;
}

static const sm_constant *find_constant(const sm_launch *l, uint32_t index)
{
	for (uint32_t i = 0; i < l->constant_count; i++)
		if (l->constants[i].index == index)
			return &l->constants[i];
	return nullptr;
}

static bool check_constants(const sm_kernel *k, const sm_launch *l)
{
	for (uint32_t i = 0; i < k->info.constant_count; i++) {
		const sm_constant_info &c = k->info.constants[i];
		const sm_constant *v = find_constant(l, c.index);
		if (v == nullptr && c.required)
			return refuse(k, "function constant %u '%s' has no value", c.index, c.name);
		if (v != nullptr && v->size != c.size)
			return refuse(k, "function constant %u '%s' has %u bytes, want %u", c.index, c.name, v->size, c.size);
	}
	return true;
}

static void set_constants(const sm_launch *l)
{
	for (uint32_t i = 0; i < sm_function_constant_count; i++) {
		const sm_function_constant &c = sm_function_constants[i];
		const sm_constant *v = find_constant(l, c.info.index);
		*c.defined = v != nullptr && v->size == c.info.size;
		if (*c.defined)
			memcpy(c.value, v->value, c.info.size);
		else
			memset(c.value, 0, c.info.size);
	}
}

static void set_sizes(const sm_size grid, const sm_size threads)
{
	sm_group *g = &group.shared;
	const uint32_t size[3] = {threads.x, threads.y, threads.z}, count[3] = {grid.x, grid.y, grid.z};
	for (int i = 0; i < 3; i++) {
		g->threads_per_threadgroup[i] = size[i];
		g->threadgroups_per_grid[i] = count[i];
		g->threads_per_grid[i] = count[i] * size[i];
	}
	group.threads = size[0] * size[1] * size[2];
	g->simdgroups = (group.threads + SM_SIMDGROUP_THREADS - 1) / SM_SIMDGROUP_THREADS;
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
	while (b != 0) {
		uint64_t r = a % b;
		a = b;
		b = r;
	}
	return a;
}

// Runs the threadgroups: those of a seed in the order i*step + start, which meets each one once.
static void run_threadgroups(const sm_size grid)
{
	uint64_t count = (uint64_t)grid.x * grid.y * grid.z, step = 1, start = 0;
	if (options.seed != 0 && count > 1 && count >> 32 == 0) {
		start = random_below((uint32_t)count);
		for (step = 1 + random_below((uint32_t)count - 1); common_divisor(step, count) != 1;)
			step--;
	}
	for (uint64_t i = 0, at = start; i < count && !faulted(); i++, at = (at + step) % count) {
		group.shared.position[0] = (uint32_t)(at % grid.x);
		group.shared.position[1] = (uint32_t)(at / grid.x % grid.y);
		group.shared.position[2] = (uint32_t)(at / grid.x / grid.y);
		group.epoch[device_memory] = group.epoch[threadgroup_memory] = ++last_epoch;
		group.first_epoch = last_epoch;
		if (i == 0)
			group.dispatch_epoch = last_epoch;
		begin_threadgroup_memory();
		run_threadgroup();
		for (uint32_t epoch : group.epoch)
			last_epoch = epoch > last_epoch ? epoch : last_epoch;
	}
}

static bool dispatch(const sm_kernel *k, const sm_launch *l, const sm_options *o, sm_fault *fault, uint64_t *address)
{
	begin_faults(fault, address);
	options = *o;
	group.kernel = k;
	group.launch = l;
	if (options.checkers != 0 && !sm_checked)
		return refuse(k, "the library was compiled without -check, so the checkers see nothing");
	if (!check_sizes(k, l) || !check_constants(k, l))
		return false;
	set_constants(l);
	if (!check_arguments(k, l))
		return false;
	seed_random(options.seed);
	if (last_epoch >> 31 != 0) { // a dispatch has room for as many again
		forget_accesses();
		last_epoch = 0;
	}
	set_sizes(l->grid, l->group);
	if (!make_stacks())
		return refuse(k, "out of memory for the threads' stacks");
	if (begin_memory())
		run_threadgroups(l->grid);
	end_memory(!faulted());
	return !faulted();
}

static const sm_library_table table = {SM_LIBRARY_VERSION, sm_kernel_count, sm_kernels, sm_checked, dispatch};

} // namespace executor

extern "C" __attribute__((visibility("default"))) const sm_library_table *sm_library_table_get()
{
	return &executor::table;
}
