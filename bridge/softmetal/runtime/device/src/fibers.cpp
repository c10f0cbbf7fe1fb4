// Threads as fibers: each has a stack of its own and runs until it waits. Lanes that wait for their
// simdgroup give way to another lane of it; when none can run, to another simdgroup; when none of
// these can, the barrier opens. A thread that ends leaves its stack to one that has not begun, so
// kernels without barriers never switch.
#include "state.h"
#include <string.h>
#include <sys/mman.h>

#ifndef __x86_64__
#error "the software Metal switches stacks on x86-64 only"
#endif

uint32_t sm_lane;

namespace executor {

Group group;

constexpr uint64_t stack_bytes = 128 << 10;
constexpr uint64_t stack_guard = 4096;
constexpr uint64_t stack_stagger = 7 * 64; // else the tops of all stacks meet in one set of the cache
constexpr uint64_t stack_staggers = 128;
static char *stacks;     // SM_MAX_THREADS_PER_THREADGROUP of them
static uint32_t guarded; // those that have their guard page, below them
static uint32_t free_stacks[SM_MAX_THREADS_PER_THREADGROUP], free_count;
static uint32_t stack_of[SM_MAX_THREADS_PER_THREADGROUP]; // by thread index
static void *dispatcher; // where run_threadgroup waits

// Saves the caller's stack pointer in *save and goes on where the other fiber stopped. The jump
// instead of a return keeps the processor's return predictor out of it.
extern "C" void sm_switch(void **save, void *to);
asm(R"(
	.text
	.type sm_switch, @function
sm_switch:
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	leaq 1f(%rip), %rcx
	pushq %rcx
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	popq %rcx
	jmpq *%rcx
1:
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	ret
	.size sm_switch, . - sm_switch
)");

bool on_stack(const void *address)
{
	return (uint64_t)((const char *)address - stacks) < SM_MAX_THREADS_PER_THREADGROUP * stack_bytes;
}

bool make_stacks()
{
	if (stacks == nullptr) {
		void *m = mmap(nullptr, SM_MAX_THREADS_PER_THREADGROUP * stack_bytes, PROT_READ | PROT_WRITE,
		               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (m == MAP_FAILED)
			return false;
		stacks = (char *)m;
	}
	for (; guarded < group.threads; guarded++)
		if (mprotect(stacks + guarded * stack_bytes, stack_guard, PROT_NONE) != 0)
			return false;
	return true;
}

__attribute__((destructor)) static void release_stacks()
{
	if (stacks != nullptr)
		munmap(stacks, SM_MAX_THREADS_PER_THREADGROUP * stack_bytes);
}

static void run_threads();

// The stack pointer at which a switch enters run_threads, aligned as a call would leave it.
static void *begin_stack(uint32_t stack)
{
	void **top = (void **)(stacks + (stack + 1) * stack_bytes - stack % stack_staggers * stack_stagger);
	*--top = nullptr;
	*--top = (void *)run_threads;
	return top;
}

// Chooses who runs next; false when every thread has ended.
static bool choose()
{
	if (group.running->ready == 0) {
		Simdgroup *next = nullptr;
		for (uint32_t i = 0; i < group.shared.simdgroups && next == nullptr; i++)
			if (group.order[i]->ready != 0)
				next = group.order[i];
		if (next == nullptr)
			return false;
		group.running = next;
	}
	sm_lane = pick_lane(group.running->ready);
	return true;
}

// Runs the chosen thread; returns when the caller is chosen again.
static void resume(void **save)
{
	Simdgroup *s = group.running;
	uint32_t lane = sm_lane;
	if (contains(s->unstarted, lane)) {
		uint32_t stack = free_stacks[--free_count];
		stack_of[index_of(s, lane)] = stack;
		s->stack_pointer[lane] = begin_stack(stack);
	}
	sm_switch(save, s->stack_pointer[lane]);
}

// Lets others run until the running thread can go on.
static void wait()
{
	Simdgroup *s = group.running;
	uint32_t lane = sm_lane;
	choose(); // some thread is ready: a thread waits only for threads that are not done
	if (group.running != s || sm_lane != lane)
		resume(&s->stack_pointer[lane]);
}

static void shuffle_simdgroups()
{
	for (uint32_t i = 0; i < group.shared.simdgroups; i++)
		group.order[i] = &group.simdgroups[i];
	for (uint32_t i = 0; i + 1 < group.shared.simdgroups; i++) {
		uint32_t j = i + random_below(group.shared.simdgroups - i);
		Simdgroup *s = group.order[i];
		group.order[i] = group.order[j];
		group.order[j] = s;
	}
}

static sm_thread running_thread()
{
	sm_thread t;
	const uint32_t *size = group.shared.threads_per_threadgroup;
	t.group = &group.shared;
	t.index = running_index();
	t.lane = sm_lane;
	t.simdgroup = t.index / SM_SIMDGROUP_THREADS;
	t.position_in_threadgroup[0] = t.index % size[0];
	t.position_in_threadgroup[1] = t.index / size[0] % size[1];
	t.position_in_threadgroup[2] = t.index / (size[0] * size[1]);
	for (int i = 0; i < 3; i++)
		t.position_in_grid[i] = group.shared.position[i] * size[i] + t.position_in_threadgroup[i];
	return t;
}

static void end_thread()
{
	Simdgroup *s = group.running;
	if (group.waiting > 0)
		fail(SM_FAULT_BARRIER, {group.barrier, nullptr}, -1,
		     "the thread ends while %u threads wait at this barrier", group.waiting);
	if (s->exchanging != 0)
		fail(SM_FAULT_COLLECTIVE, {s->site, nullptr}, (int32_t)index_of(s, first_lane(s->exchanging)),
		     "the thread ends while others of its simdgroup wait in this operation");
	s->live &= ~(1u << sm_lane);
	s->ready &= ~(1u << sm_lane);
	group.finished++;
}

// What a fiber does: one thread after the other, as long as the next has not begun elsewhere.
static void run_threads()
{
	for (;;) {
		uint32_t stack = stack_of[running_index()];
		group.running->unstarted &= ~(1u << sm_lane);
		sm_thread thread = running_thread();
		group.kernel->run(&thread);
		end_thread();
		void *none;
		if (!choose())
			leave_threadgroup();
		if (contains(group.running->unstarted, sm_lane)) {
			stack_of[running_index()] = stack;
			continue;
		}
		free_stacks[free_count++] = stack;
		resume(&none);
	}
}

void leave_threadgroup()
{
	void *none;
	sm_switch(&none, dispatcher);
	__builtin_unreachable();
}

void run_threadgroup()
{
	for (free_count = 0; free_count < group.threads; free_count++)
		free_stacks[free_count] = group.threads - 1 - free_count;
	group.finished = group.waiting = 0;
	for (uint32_t i = 0; i < group.shared.simdgroups; i++) {
		Simdgroup *s = &group.simdgroups[i];
		uint32_t threads = group.threads - i * SM_SIMDGROUP_THREADS;
		s->all = threads < SM_SIMDGROUP_THREADS ? (1u << threads) - 1 : ~0u;
		s->live = s->ready = s->unstarted = s->all;
		s->exchanging = s->at_barrier = 0;
	}
	shuffle_simdgroups();
	group.running = group.order[0];
	choose();
	resume(&dispatcher);
}

static bool same_site(sm_site a, sm_site b)
{
	return a.line == b.line && (a.file == b.file || strcmp(a.file, b.file) == 0);
}

static void open_barrier(uint32_t flags)
{
	for (uint32_t i = 0; i < group.shared.simdgroups; i++) {
		Simdgroup *s = &group.simdgroups[i];
		s->ready = s->at_barrier;
		s->at_barrier = 0;
	}
	group.waiting = 0;
	uint32_t next = 1 + (group.epoch[0] > group.epoch[1] ? group.epoch[0] : group.epoch[1]);
	if (flags & SM_MEMORY_DEVICE)
		group.epoch[device_memory] = next;
	if (flags & SM_MEMORY_THREADGROUP)
		group.epoch[threadgroup_memory] = next;
	shuffle_simdgroups();
	group.running = group.order[0];
}

} // namespace executor

using namespace executor;

void sm_threadgroup_barrier(uint32_t flags, sm_site site)
{
	Simdgroup *s = group.running;
	if (group.finished > 0)
		fail(SM_FAULT_BARRIER, {site, nullptr}, -1, "a barrier after %u threads of the group ended", group.finished);
	if (s->exchanging != 0)
		fail(SM_FAULT_COLLECTIVE, {site, nullptr}, (int32_t)index_of(s, first_lane(s->exchanging)),
		     "a barrier while others of the simdgroup wait in an operation at line %u", s->site.line);
	if (group.waiting > 0 && !same_site(group.barrier, site))
		fail(SM_FAULT_BARRIER, {site, nullptr}, -1, "a barrier while %u threads wait at another at line %u",
		     group.waiting, group.barrier.line);
	group.barrier = site;
	group.waiting++;
	s->at_barrier |= 1u << sm_lane;
	s->ready &= ~(1u << sm_lane);
	if (group.waiting < group.threads) {
		wait();
		return;
	}
	uint32_t lane = sm_lane;
	open_barrier(flags);
	choose();
	if (group.running != s || sm_lane != lane)
		resume(&s->stack_pointer[lane]);
}

void sm_exchange(void *data, sm_resolver resolve, sm_site site)
{
	Simdgroup *s = group.running;
	uint32_t lane = sm_lane;
	if (s->all != ~0u)
		fail(SM_FAULT_COLLECTIVE, {site, nullptr}, -1,
		     "a simdgroup operation in a partial simdgroup of %d threads", __builtin_popcount(s->all));
	if (s->live != ~0u)
		fail(SM_FAULT_COLLECTIVE, {site, nullptr}, (int32_t)index_of(s, first_lane(~s->live)),
		     "a simdgroup operation after others of the simdgroup ended");
	if (s->at_barrier != 0)
		fail(SM_FAULT_COLLECTIVE, {site, nullptr}, (int32_t)index_of(s, first_lane(s->at_barrier)),
		     "a simdgroup operation while others of the simdgroup wait at the barrier at line %u", group.barrier.line);
	if (s->exchanging != 0 && (s->resolve != resolve || !same_site(s->site, site)))
		fail(SM_FAULT_COLLECTIVE, {site, nullptr}, (int32_t)index_of(s, first_lane(s->exchanging)),
		     "a simdgroup operation while others of the simdgroup wait in another at line %u", s->site.line);
	s->resolve = resolve;
	s->site = site;
	s->data[lane] = data;
	s->exchanging |= 1u << lane;
	s->ready &= ~(1u << lane);
	if (s->exchanging != ~0u) {
		wait();
		return;
	}
	resolve(s->data);
	s->exchanging = 0;
	s->ready = ~0u;
	if (options.seed != 0)
		wait();
}

static void nothing(void *const *) {}

void sm_simdgroup_barrier(uint32_t flags, sm_site site)
{
	Simdgroup *s = group.running;
	uint16_t device = s->barriers[device_memory], threadgroup = s->barriers[threadgroup_memory];
	sm_exchange(nullptr, nothing, site);
	if (flags & SM_MEMORY_DEVICE)
		s->barriers[device_memory] = device + 1;
	if (flags & SM_MEMORY_THREADGROUP)
		s->barriers[threadgroup_memory] = threadgroup + 1;
}
