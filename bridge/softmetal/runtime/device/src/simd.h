// Barriers and simdgroup functions (specification, 6.9). All 32 threads of a simdgroup must reach
// a simdgroup function: what MSL leaves undefined for inactive threads is a fault here.
#pragma once
#include "executor.h"
#include "math.h"

namespace metal {

enum class mem_flags { mem_none = 0, mem_device = SM_MEMORY_DEVICE, mem_threadgroup = SM_MEMORY_THREADGROUP };
SM_INLINE constexpr mem_flags operator|(mem_flags a, mem_flags b) { return (mem_flags)((int)a | (int)b); }

SM_INLINE void threadgroup_barrier(mem_flags flags, sm_site site = SM_SITE) { sm_threadgroup_barrier((uint)flags, site); }
SM_INLINE void simdgroup_barrier(mem_flags flags, sm_site site = SM_SITE) { sm_simdgroup_barrier((uint)flags, site); }

} // namespace metal

namespace softmetal {

constexpr uint lanes = SM_SIMDGROUP_THREADS;

template <class T>
constexpr bool is_exchangeable = !metal::is_same_v<element<T>, bool> && sizeof(element<T>) <= 4 &&
	metal::is_arithmetic_v<element<T>>;

template <class T> struct exchanged {
	T value, result;
	uint operand;
};

// What runs between threads touches the stacks of others, and is not checked. It is a function of
// its own, so that the values of a kernel stay in registers.
#define SM_BETWEEN __attribute__((noinline, nodebug, no_sanitize("thread", "bounds")))

template <class T, void (*resolve)(exchanged<T> *const *)>
SM_BETWEEN T exchange(T value, uint operand, sm_site site)
{
	static_assert(is_exchangeable<T>, "a simdgroup function of a type that MSL does not take");
	exchanged<T> lane{value, value, operand};
	sm_exchange(&lane, (sm_resolver)(void (*)())resolve, site);
	return lane.result;
}

struct plus { template <class T> static SM_INLINE T of(T a, T b) { return a + b; } };
struct times { template <class T> static SM_INLINE T of(T a, T b) { return a * b; } };
struct least { template <class T> static SM_INLINE T of(T a, T b) { return metal::min(a, b); } };
struct most { template <class T> static SM_INLINE T of(T a, T b) { return metal::max(a, b); } };
struct conjunction { template <class T> static SM_INLINE T of(T a, T b) { return a & b; } };
struct disjunction { template <class T> static SM_INLINE T of(T a, T b) { return a | b; } };
struct exclusive { template <class T> static SM_INLINE T of(T a, T b) { return a ^ b; } };

// Halves of a tree, so that float sums are as accurate as those of a butterfly of shuffles.
template <class T, class Op> SM_BETWEEN void reduce(exchanged<T> *const *lane)
{
	T t[lanes];
	for (uint i = 0; i < lanes; i++)
		t[i] = lane[i]->value;
	for (uint half = lanes / 2; half > 0; half /= 2)
		for (uint i = 0; i < half; i++)
			t[i] = Op::of(t[i], t[i + half]);
	for (uint i = 0; i < lanes; i++)
		lane[i]->result = t[0];
}

template <class T, class Op, bool inclusive, int start> SM_BETWEEN void scan(exchanged<T> *const *lane)
{
	T sum = (T)(element<T>)start;
	for (uint i = 0; i < lanes; i++) {
		T next = Op::of(sum, lane[i]->value);
		lane[i]->result = inclusive ? next : sum;
		sum = next;
	}
}

// Each lane reads the lane that its argument names; one outside the simdgroup leaves poison.
template <class T> SM_BETWEEN void shuffle(exchanged<T> *const *lane)
{
	for (uint i = 0; i < lanes; i++) {
		if (lane[i]->operand < lanes)
			lane[i]->result = lane[lane[i]->operand]->value;
		else
			__builtin_memset(&lane[i]->result, 0xff, sizeof(T));
	}
}

template <class T> SM_BETWEEN void broadcast(exchanged<T> *const *lane)
{
	for (uint i = 1; i < lanes; i++)
		if (lane[i]->operand != lane[0]->operand)
			sm_fault_collective("a lane or distance that is not the same in all threads");
	shuffle<T>(lane);
}

// As broadcast for distances: positive is up. Lanes without a source keep their own value.
template <class T, bool rotate> SM_BETWEEN void shift(exchanged<T> *const *lane)
{
	for (uint i = 0; i < lanes; i++) {
		if (lane[i]->operand != lane[0]->operand)
			sm_fault_collective("a lane or distance that is not the same in all threads");
		uint from = i - lane[i]->operand;
		if (rotate)
			from %= lanes;
		if (from < lanes)
			lane[i]->result = lane[from]->value;
	}
}

SM_BETWEEN inline void vote(exchanged<uint> *const *lane)
{
	uint mask = 0;
	for (uint i = 0; i < lanes; i++)
		mask |= lane[i]->value << i;
	for (uint i = 0; i < lanes; i++)
		lane[i]->result = mask;
}
SM_INLINE uint ballot(bool b, sm_site site) { return exchange<uint, vote>(b, 0, site); }

} // namespace softmetal

namespace metal {

#define SM_REDUCTION(name, op)                                              \
	template <class T> SM_INLINE T simd_##name(T x, sm_site site = SM_SITE) \
	{                                                                       \
		return softmetal::exchange<T, softmetal::reduce<T, softmetal::op>>(x, 0, site); \
	}
SM_REDUCTION(sum, plus)
SM_REDUCTION(product, times)
SM_REDUCTION(min, least)
SM_REDUCTION(max, most)
SM_REDUCTION(and, conjunction)
SM_REDUCTION(or, disjunction)
SM_REDUCTION(xor, exclusive)
#undef SM_REDUCTION

#define SM_SCAN(name, op, inclusive, start)                                 \
	template <class T> SM_INLINE T simd_##name(T x, sm_site site = SM_SITE) \
	{                                                                       \
		return softmetal::exchange<T, softmetal::scan<T, softmetal::op, inclusive, start>>(x, 0, site); \
	}
SM_SCAN(prefix_inclusive_sum, plus, true, 0)
SM_SCAN(prefix_exclusive_sum, plus, false, 0)
SM_SCAN(prefix_inclusive_product, times, true, 1)
SM_SCAN(prefix_exclusive_product, times, false, 1)
#undef SM_SCAN

template <class T> SM_INLINE T simd_shuffle(T x, ushort lane, sm_site site = SM_SITE)
{
	return softmetal::exchange<T, softmetal::shuffle<T>>(x, lane, site);
}
template <class T> SM_INLINE T simd_shuffle_xor(T x, ushort mask, sm_site site = SM_SITE)
{
	return softmetal::exchange<T, softmetal::shuffle<T>>(x, sm_lane ^ mask, site);
}
template <class T> SM_INLINE T simd_broadcast(T x, ushort lane, sm_site site = SM_SITE)
{
	return softmetal::exchange<T, softmetal::broadcast<T>>(x, lane, site);
}
template <class T> SM_INLINE T simd_broadcast_first(T x, sm_site site = SM_SITE)
{
	return softmetal::exchange<T, softmetal::broadcast<T>>(x, 0, site);
}
#define SM_SHIFT(name, sign, rotate)                                                      \
	template <class T> SM_INLINE T simd_shuffle_##name(T x, ushort delta, sm_site site = SM_SITE) \
	{                                                                                     \
		return softmetal::exchange<T, softmetal::shift<T, rotate>>(x, sign(uint) delta, site); \
	}
SM_SHIFT(up, +, false)
SM_SHIFT(down, -, false)
SM_SHIFT(rotate_up, +, true)
SM_SHIFT(rotate_down, -, true)
#undef SM_SHIFT

SM_INLINE bool simd_any(bool b, sm_site site = SM_SITE) { return softmetal::ballot(b, site) != 0; }
SM_INLINE bool simd_all(bool b, sm_site site = SM_SITE) { return softmetal::ballot(b, site) == ~0u; }

} // namespace metal
