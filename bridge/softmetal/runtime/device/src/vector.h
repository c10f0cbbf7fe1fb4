// What clang's vectors lack beside MSL's: construction from parts, converting casts, packed vectors
// (specification, 2.2 and 2.3). The rewriter turns T(a, b) and (T)a into the calls below, because
// clang would take int4(float4) for a reinterpretation of the bits.
#pragma once
#include "types.h"

namespace softmetal {

template <class T> struct packed;

// Whether a vector V can be made from values of these types: one scalar, one vector of its length,
// or as many elements as it has.
template <class V, class... A>
constexpr bool fits = (0 + ... + shape<A>::length) == shape<V>::length || (sizeof...(A) == 1 && (!shape<A>::is_vector && ...));
template <class T, class... A> using when_fits = metal::enable_if_t<!shape<T>::is_vector || fits<T, A...>>;

template <class V, class U> SM_INLINE void append(V &v, int &at, U u)
{
	if constexpr (shape<U>::is_vector)
		for (int i = 0; i < shape<U>::length; i++)
			v[at++] = (element<V>)u[i];
	else
		v[at++] = (element<V>)u;
}

// A vector from one value: a scalar fills it, a vector of its length is converted by element.
template <class V, class U> SM_INLINE V convert(U u)
{
	if constexpr (shape<U>::is_vector)
		return __builtin_convertvector(u, V);
	else
		return (V)(element<V>)u;
}
template <class V, class P> SM_INLINE V convert(packed<P> p) { return convert<V>((P)p); }

// T(a, b, ...) as MSL means it, for vectors and for any other type.
template <class T> SM_INLINE constexpr T make() { return T{}; }
template <class T, class A, class = when_fits<T, A>> SM_INLINE constexpr T make(A a)
{
	if constexpr (shape<T>::is_vector)
		return convert<T>(a);
	else
		return T(a);
}
template <class T, class A, class B, class... More>
SM_INLINE constexpr metal::conditional_t<true, T, when_fits<T, A, B, More...>> make(A a, B b, More... more)
{
	if constexpr (shape<T>::is_vector) {
		T v;
		int at = 0;
		append(v, at, a);
		append(v, at, b);
		(append(v, at, more), ...);
		return v;
	} else {
		return T(a, b, more...);
	}
}

// (T)a is written cast<T>()->*a: the operand of ->* is what the operand of a cast is.
template <class T> struct cast {
	template <class U> SM_INLINE constexpr T operator->*(U u) const { return make<T>(u); }
	template <class U> struct then {
		template <class A> SM_INLINE constexpr T operator->*(A a) const { return make<T>(make<U>(a)); }
	};
	template <class U> SM_INLINE constexpr then<U> operator->*(cast<U>) const { return {}; }
};

template <class T, int N> struct packed<T __attribute__((ext_vector_type(N)))> {
	typedef metal::vec<T, N> vector;
	T e[N];
	packed() = default;
	SM_INLINE packed(vector v)
	{
		for (int i = 0; i < N; i++)
			e[i] = v[i];
	}
	SM_INLINE operator vector() const
	{
		vector v;
		for (int i = 0; i < N; i++)
			v[i] = e[i];
		return v;
	}
	SM_INLINE T &operator[](int i) { return e[i]; }
	SM_INLINE const T &operator[](int i) const { return e[i]; }
};

} // namespace softmetal

#define SM_PACKED(T)                              \
	typedef softmetal::packed<T##2> packed_##T##2; \
	typedef softmetal::packed<T##3> packed_##T##3; \
	typedef softmetal::packed<T##4> packed_##T##4;
SM_PACKED(char)
SM_PACKED(uchar)
SM_PACKED(short)
SM_PACKED(ushort)
SM_PACKED(int)
SM_PACKED(uint)
SM_PACKED(half)
SM_PACKED(float)
#undef SM_PACKED

template <class T, class U> SM_INLINE T as_type(U u)
{
	static_assert(sizeof(T) == sizeof(U), "as_type between types of different sizes");
	return __builtin_bit_cast(T, u);
}
