// Scalar types, vectors and traits of the Metal Shading Language (specification, chapter 2).
#pragma once
#include "executor.h" // before the words of MSL become macros

#ifdef SM_STRICT
#define device __attribute__((address_space(1)))
#define constant __attribute__((address_space(2))) const
#define threadgroup __attribute__((address_space(3)))
#else
#define device
#define constant const
#define threadgroup
#endif
#define thread

typedef _Float16 half;
typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
typedef unsigned long size_t;
typedef long ptrdiff_t;
typedef signed char int8_t;
typedef short int16_t;
typedef int int32_t;
typedef long int64_t;
typedef uchar uint8_t;
typedef ushort uint16_t;
typedef uint uint32_t;
typedef ulong uint64_t;

// A function of these headers: always inlined, and without debug information of its own, so that
// its instructions carry the line of the kernel that calls it.
#define SM_INLINE inline __attribute__((always_inline, nodebug))

namespace metal {

template <class T, int N> using vec = T __attribute__((ext_vector_type(N)));

template <class T, T v> struct integral_constant {
	static constexpr const T value = v;
	typedef T value_type;
	constexpr operator T() const { return v; }
};
template <bool B> using bool_constant = integral_constant<bool, B>;
typedef bool_constant<true> true_type;
typedef bool_constant<false> false_type;

template <class T> struct remove_reference { typedef T type; };
template <class T> struct remove_reference<T &> { typedef T type; };
template <class T> struct remove_reference<T &&> { typedef T type; };
template <class T> using remove_reference_t = typename remove_reference<T>::type;

template <class T> struct remove_cv { typedef T type; };
template <class T> struct remove_cv<const T> { typedef T type; };
template <class T> struct remove_cv<volatile T> { typedef T type; };
template <class T> struct remove_cv<const volatile T> { typedef T type; };
#ifdef SM_STRICT
template <class T> struct remove_cv<device T> { typedef T type; };
template <class T> struct remove_cv<const device T> { typedef T type; };
template <class T> struct remove_cv<threadgroup T> { typedef T type; };
template <class T> struct remove_cv<const threadgroup T> { typedef T type; };
template <class T> struct remove_cv<constant T> { typedef T type; };
#endif
template <class T> using remove_cv_t = typename remove_cv<T>::type;

template <class T> struct remove_pointer { typedef T type; };
template <class T> struct remove_pointer<T *> { typedef T type; };
template <class T> using remove_pointer_t = typename remove_pointer<T>::type;

template <bool B, class T = void> struct enable_if {};
template <class T> struct enable_if<true, T> { typedef T type; };
template <bool B, class T = void> using enable_if_t = typename enable_if<B, T>::type;

template <bool B, class T, class F> struct conditional { typedef T type; };
template <class T, class F> struct conditional<false, T, F> { typedef F type; };
template <bool B, class T, class F> using conditional_t = typename conditional<B, T, F>::type;

template <class A, class B> struct is_same : false_type {};
template <class A> struct is_same<A, A> : true_type {};
template <class A, class B> constexpr bool is_same_v = is_same<A, B>::value;

template <class T> constexpr bool is_floating_point_v = is_same_v<T, float> || is_same_v<T, half>;
template <class T>
constexpr bool is_integral_v = is_same_v<T, bool> || is_same_v<T, char> || is_same_v<T, signed char> ||
	is_same_v<T, uchar> || is_same_v<T, short> || is_same_v<T, ushort> || is_same_v<T, int> ||
	is_same_v<T, uint> || is_same_v<T, long> || is_same_v<T, ulong>;
template <class T> constexpr bool is_arithmetic_v = is_integral_v<T> || is_floating_point_v<T>;
template <class T> struct is_floating_point : bool_constant<is_floating_point_v<T>> {};
template <class T> struct is_integral : bool_constant<is_integral_v<T>> {};

template <class T> struct numeric_limits;
#define SM_LIMITS(T, LOW, SMALL, HIGH)                      \
	template <> struct numeric_limits<T> {                  \
		static constexpr T lowest() { return LOW; }         \
		static constexpr T min() { return SMALL; }          \
		static constexpr T max() { return HIGH; }           \
		static constexpr T infinity() { return (T)__builtin_inff(); } \
		static constexpr T quiet_NaN() { return (T)__builtin_nanf(""); } \
	};
SM_LIMITS(float, -__FLT_MAX__, __FLT_MIN__, __FLT_MAX__)
SM_LIMITS(half, (half)-65504.f, (half)6.103515625e-5f, (half)65504.f)
#undef SM_LIMITS
#define SM_LIMITS(T, LOW, HIGH)                     \
	template <> struct numeric_limits<T> {          \
		static constexpr T lowest() { return LOW; } \
		static constexpr T min() { return LOW; }    \
		static constexpr T max() { return HIGH; }   \
	};
SM_LIMITS(char, -128, 127)
SM_LIMITS(uchar, 0, 255)
SM_LIMITS(short, -32768, 32767)
SM_LIMITS(ushort, 0, 65535)
SM_LIMITS(int, -__INT_MAX__ - 1, __INT_MAX__)
SM_LIMITS(uint, 0, 2u * __INT_MAX__ + 1)
SM_LIMITS(long, -__LONG_MAX__ - 1, __LONG_MAX__)
SM_LIMITS(ulong, 0, 2ul * __LONG_MAX__ + 1)
#undef SM_LIMITS

} // namespace metal

namespace softmetal {

// shape tells the element type and the length of a vector; of a scalar, itself and 1.
template <class T> struct shape {
	typedef T element;
	static constexpr int length = 1;
	static constexpr bool is_vector = false;
};
template <class T, int N> struct shape<T __attribute__((ext_vector_type(N)))> {
	typedef T element;
	static constexpr int length = N;
	static constexpr bool is_vector = true;
};
template <class T> using element = typename shape<T>::element;

// same<T> is T, but not a place from which T is deduced.
template <class T> struct identity { typedef T type; };
template <class T> using same = typename identity<T>::type;

} // namespace softmetal

#define SM_VECTORS(T)              \
	typedef metal::vec<T, 2> T##2; \
	typedef metal::vec<T, 3> T##3; \
	typedef metal::vec<T, 4> T##4;
SM_VECTORS(bool)
SM_VECTORS(char)
SM_VECTORS(uchar)
SM_VECTORS(short)
SM_VECTORS(ushort)
SM_VECTORS(int)
SM_VECTORS(uint)
SM_VECTORS(long)
SM_VECTORS(ulong)
SM_VECTORS(half)
SM_VECTORS(float)
#undef SM_VECTORS
