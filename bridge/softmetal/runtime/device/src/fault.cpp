// Faults: the first one ends the dispatch. Its message names the kernel, the place in the source
// and the thread, as far as they are known; the host adds what it finds by the address.
#include "state.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

extern "C" const char __ehdr_start[] __attribute__((visibility("hidden"))); // the linker's name for the library's start

namespace executor {

static sm_fault *fault;
static uint64_t *fault_address;

void begin_faults(sm_fault *f, uint64_t *address)
{
	memset(f, 0, sizeof *f);
	f->other = -1;
	*address = 0;
	fault = f;
	fault_address = address;
}

bool faulted() { return fault->kind != SM_FAULT_NONE; }

void describe_access(uint64_t offset, uint64_t bytes)
{
	fault->offset = offset;
	fault->bytes = bytes;
}

void fail(sm_fault_kind kind, Where where, int32_t other, const char *format, ...)
{
	const sm_size size = group.launch->group;
	uint32_t index = running_index();
	fault->kind = kind;
	fault->other = other;
	fault->threadgroup = {group.shared.position[0], group.shared.position[1], group.shared.position[2]};
	fault->thread = {index % size.x, index / size.x % size.y, index / size.x / size.y};
	snprintf(fault->kernel, sizeof fault->kernel, "%s", group.kernel->info.name);
	if (where.site.file != nullptr) {
		snprintf(fault->file, sizeof fault->file, "%s", where.site.file);
		fault->line = where.site.line;
	} else if (where.pc != nullptr) {
		*fault_address = (uint64_t)((const char *)where.pc - __ehdr_start) - 1; // inside the call
	}
	va_list args;
	va_start(args, format);
	int n = vsnprintf(fault->message, sizeof fault->message, format, args);
	va_end(args);
	if (other >= 0 && n >= 0 && (size_t)n < sizeof fault->message)
		snprintf(fault->message + n, sizeof fault->message - (size_t)n, " (the other is thread %d of the group)", other);
	leave_threadgroup();
}

bool refuse(const sm_kernel *kernel, const char *format, ...)
{
	fault->kind = SM_FAULT_LAUNCH;
	snprintf(fault->kernel, sizeof fault->kernel, "%s", kernel->info.name);
	va_list args;
	va_start(args, format);
	vsnprintf(fault->message, sizeof fault->message, format, args);
	va_end(args);
	return false;
}

} // namespace executor

void sm_fault_collective(const char *what)
{
	using namespace executor;
	fail(SM_FAULT_COLLECTIVE, {group.running->site, nullptr}, -1, "%s", what);
}
