// How the host calls a kernel: the rewriter describes each parameter by its attribute, the types
// come from the function itself.
#pragma once
#include "executor.h"
#include "vector.h"

namespace softmetal {

enum class given {
	buffer,
	threadgroup_memory,
	thread_position_in_grid,
	thread_position_in_threadgroup,
	threadgroup_position_in_grid,
	threads_per_threadgroup,
	threadgroups_per_grid,
	threads_per_grid,
	thread_index_in_threadgroup,
	thread_index_in_simdgroup,
	simdgroup_index_in_threadgroup,
	simdgroups_per_threadgroup,
	threads_per_simdgroup,
};

struct parameter {
	const char *name;
	given what;
	uint index;
	bool (*exists)(void);
};

SM_INLINE const uint32_t *position(const sm_thread &t, given what)
{
	switch (what) {
	case given::thread_position_in_grid: return t.position_in_grid;
	case given::thread_position_in_threadgroup: return t.position_in_threadgroup;
	case given::threadgroup_position_in_grid: return t.group->position;
	case given::threads_per_threadgroup: return t.group->threads_per_threadgroup;
	case given::threadgroups_per_grid: return t.group->threadgroups_per_grid;
	case given::threads_per_grid: return t.group->threads_per_grid;
	default: return nullptr;
	}
}
SM_INLINE uint32_t scalar(const sm_thread &t, given what)
{
	switch (what) {
	case given::thread_index_in_threadgroup: return t.index;
	case given::thread_index_in_simdgroup: return t.lane;
	case given::simdgroup_index_in_threadgroup: return t.simdgroup;
	case given::simdgroups_per_threadgroup: return t.group->simdgroups;
	case given::threads_per_simdgroup: return SM_SIMDGROUP_THREADS;
	default: return position(t, what)[0];
	}
}

// argument<T> makes the argument of a parameter of type T, and describes it to the host.
template <class T> struct argument {
	static_assert(metal::is_same_v<element<T>, uint> || metal::is_same_v<element<T>, ushort>,
	              "a built-in argument is uint, ushort or a vector of them");
	static SM_INLINE T of(const sm_thread &t, const parameter &p)
	{
		if constexpr (shape<T>::is_vector) {
			T v;
			for (int i = 0; i < shape<T>::length; i++)
				v[i] = (element<T>)position(t, p.what)[i];
			return v;
		} else {
			return (T)scalar(t, p.what);
		}
	}
	static constexpr bool bound = false;
	static constexpr sm_argument describe(const parameter &) { return {}; }
};
template <class T> struct argument<T *> {
	static SM_INLINE T *of(const sm_thread &t, const parameter &p)
	{
		if (p.exists != nullptr && !p.exists())
			return nullptr;
		return (T *)(p.what == given::buffer ? t.group->buffers : t.group->threadgroups)[p.index];
	}
	static constexpr bool bound = true;
	static constexpr sm_argument describe(const parameter &p)
	{
		typedef metal::conditional_t<metal::is_same_v<metal::remove_cv_t<T>, void>, uchar, T> known;
		return {p.name, p.what == given::buffer ? SM_ARGUMENT_BUFFER : SM_ARGUMENT_THREADGROUP, p.index,
		        sizeof(known), alignof(known), !metal::is_same_v<T, metal::remove_cv_t<T>>, false, p.exists};
	}
};
template <class T> struct argument<T &> {
	static SM_INLINE T &of(const sm_thread &t, const parameter &p)
	{
		return *argument<T *>::of(t, p);
	}
	static constexpr bool bound = true;
	static constexpr sm_argument describe(const parameter &p)
	{
		sm_argument a = argument<T *>::describe(p);
		a.reference = true;
		return a;
	}
};

template <uint... I> struct indices {};
template <class T, T... I> using indices_of = indices<(uint)I...>;
template <uint n> using count_to = __make_integer_seq<indices_of, uint, n>;

template <class F> struct kernel;
template <class... A> struct kernel<void(A...)> {
	// The arguments that the host binds, in order.
	struct arguments {
		sm_argument list[sizeof...(A) + 1];
		uint count;
	};
	static constexpr arguments describe(const parameter *p)
	{
		arguments a{};
		((argument<A>::bound ? (void)(a.list[a.count++] = argument<A>::describe(*p)) : (void)0, p++), ...);
		return a;
	}
	template <void (*function)(A...), const parameter *p, uint... I>
	static SM_INLINE void call(const sm_thread &t, indices<I...>)
	{
		function(argument<A>::of(t, p[I])...);
	}
	template <void (*function)(A...), const parameter *p> static void run(const sm_thread *t)
	{
		call<function, p>(*t, count_to<sizeof...(A)>());
	}
};

template <class P> using kernel_type = metal::remove_pointer_t<P>;

template <class F, const parameter *p>
constexpr typename kernel<F>::arguments arguments_of = kernel<F>::describe(p);

template <class T> constexpr uint type_of = SM_TYPE_OTHER;
template <> constexpr uint type_of<bool> = SM_TYPE_BOOL;
template <> constexpr uint type_of<char> = SM_TYPE_CHAR;
template <> constexpr uint type_of<uchar> = SM_TYPE_UCHAR;
template <> constexpr uint type_of<short> = SM_TYPE_SHORT;
template <> constexpr uint type_of<ushort> = SM_TYPE_USHORT;
template <> constexpr uint type_of<int> = SM_TYPE_INT;
template <> constexpr uint type_of<uint> = SM_TYPE_UINT;
template <> constexpr uint type_of<half> = SM_TYPE_HALF;
template <> constexpr uint type_of<float> = SM_TYPE_FLOAT;

} // namespace softmetal

// One entry of sm_kernels: function, in parentheses, may be an instance of a template.
#define SM_KERNEL(name, function, parameters, constants, constant_count, max_threads)                        \
	{                                                                                                        \
		{name, softmetal::arguments_of<softmetal::kernel_type<decltype(&function)>, parameters>.list, constants, \
		 softmetal::arguments_of<softmetal::kernel_type<decltype(&function)>, parameters>.count, constant_count, \
		 max_threads},                                                                                       \
			softmetal::kernel<softmetal::kernel_type<decltype(&function)>>::template run<&function, parameters> \
	}
#define SM_CONSTANT_INFO(name, index, required) \
	{#name, index, softmetal::type_of<decltype(name)>, sizeof(name), required}
