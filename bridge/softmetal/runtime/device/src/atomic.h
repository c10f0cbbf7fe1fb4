// Atomics (specification, 6.15). Threads run one at a time, so a plain access is atomic; what is
// left to do is to tell the checkers, because relaxed atomics of two threads are no race.
#pragma once
#include "executor.h"
#include "types.h"

namespace metal {

enum memory_order { memory_order_relaxed };

template <class T> struct atomic {
	static_assert(is_same_v<T, int> || is_same_v<T, uint> || is_same_v<T, float> || is_same_v<T, bool>,
	              "an atomic of int, uint, float or bool");
	T value;
};
typedef atomic<int> atomic_int;
typedef atomic<uint> atomic_uint;
typedef atomic<bool> atomic_bool;
typedef atomic<float> atomic_float;

} // namespace metal

namespace softmetal {

#ifdef SM_STRICT // nothing runs, and pointers of another address space do not convert
template <class P> SM_INLINE void atomic_access(P, sm_site) {}
#else
template <class P> SM_INLINE void atomic_access(P p, sm_site site) { sm_atomic_access(p, sizeof p->value, site); }
#endif
template <class P> using atomic_value = metal::remove_cv_t<metal::remove_reference_t<decltype((P()->value))>>;

// Exempt from the instrumentation of a checked library.
#define SM_ATOMIC inline __attribute__((noinline, no_sanitize("thread")))
template <class P> SM_ATOMIC atomic_value<P> atomic_read(P p) { return p->value; }
template <class P, class T> SM_ATOMIC void atomic_write(P p, T value) { p->value = value; }
#undef SM_ATOMIC

} // namespace softmetal

namespace metal {

template <class P> SM_INLINE auto atomic_load_explicit(P p, memory_order, sm_site site = SM_SITE)
{
	softmetal::atomic_access(p, site);
	return softmetal::atomic_read(p);
}
template <class P>
SM_INLINE void atomic_store_explicit(P p, softmetal::atomic_value<P> value, memory_order, sm_site site = SM_SITE)
{
	softmetal::atomic_access(p, site);
	softmetal::atomic_write(p, value);
}

#define SM_ATOMIC_UPDATE(name, changed)                                                                      \
	template <class P>                                                                                       \
	SM_INLINE auto atomic_##name##_explicit(P p, softmetal::atomic_value<P> x, memory_order, sm_site site = SM_SITE) \
	{                                                                                                        \
		softmetal::atomic_access(p, site);                                                                   \
		auto old = softmetal::atomic_read(p);                                                                \
		softmetal::atomic_write(p, (softmetal::atomic_value<P>)(changed));                                   \
		return old;                                                                                          \
	}
SM_ATOMIC_UPDATE(exchange, x)
SM_ATOMIC_UPDATE(fetch_add, old + x)
SM_ATOMIC_UPDATE(fetch_sub, old - x)
SM_ATOMIC_UPDATE(fetch_and, old &x)
SM_ATOMIC_UPDATE(fetch_or, old | x)
SM_ATOMIC_UPDATE(fetch_xor, old ^ x)
SM_ATOMIC_UPDATE(fetch_min, x < old ? x : old)
SM_ATOMIC_UPDATE(fetch_max, old < x ? x : old)
#undef SM_ATOMIC_UPDATE

} // namespace metal
