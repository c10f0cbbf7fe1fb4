// The math, common, integer, relational and geometric functions of MSL (specification, chapter 6).
//
// metal::f is fast::f, as under the compiler's default of fast math: exp, log, pow and tanh are
// made of exp2 and log2 the way a GPU makes them, so they lose the accuracy and the range that
// they lose there. precise::f is the C library's. half is computed in float and rounded once.
#pragma once
#include "vector.h"

#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")
#define HUGE_VALF __builtin_inff()
#define MAXFLOAT __FLT_MAX__
#define FLT_MAX __FLT_MAX__
#define FLT_MIN __FLT_MIN__
#define FLT_EPSILON __FLT_EPSILON__
#define HALF_MAX ((half)65504.f)
#define HALF_MIN ((half)6.103515625e-5f)
#define HALF_EPSILON ((half)9.765625e-4f)
#define MAXHALF HALF_MAX
#define INT_MAX __INT_MAX__
#define INT_MIN (-__INT_MAX__ - 1)
#define UINT_MAX (2u * __INT_MAX__ + 1)
#define SHRT_MAX 32767
#define USHRT_MAX 65535
#define M_E_F 2.71828182845904523536f
#define M_LOG2E_F 1.44269504088896340736f
#define M_LOG10E_F 0.43429448190325182765f
#define M_LN2_F 0.69314718055994530942f
#define M_LN10_F 2.30258509299404568402f
#define M_PI_F 3.14159265358979323846f
#define M_PI_2_F 1.57079632679489661923f
#define M_PI_4_F 0.78539816339744830962f
#define M_1_PI_F 0.31830988618379067154f
#define M_2_PI_F 0.63661977236758134308f
#define M_2_SQRTPI_F 1.12837916709551257390f
#define M_SQRT2_F 1.41421356237309504880f
#define M_SQRT1_2_F 0.70710678118654752440f

// Lifts a scalar function to vectors, element by element; a scalar beside a vector is not taken.
#define SM_LIFT1(name)                                              \
	template <class T, int N> SM_INLINE vec<T, N> name(vec<T, N> a) \
	{                                                               \
		vec<T, N> r;                                                \
		for (int i = 0; i < N; i++)                                 \
			r[i] = name((T)a[i]);                                   \
		return r;                                                   \
	}
#define SM_LIFT2(name)                                                           \
	template <class T, int N> SM_INLINE vec<T, N> name(vec<T, N> a, vec<T, N> b) \
	{                                                                            \
		vec<T, N> r;                                                             \
		for (int i = 0; i < N; i++)                                              \
			r[i] = name((T)a[i], (T)b[i]);                                       \
		return r;                                                                \
	}
#define SM_LIFT3(name)                                                                        \
	template <class T, int N> SM_INLINE vec<T, N> name(vec<T, N> a, vec<T, N> b, vec<T, N> c) \
	{                                                                                         \
		vec<T, N> r;                                                                          \
		for (int i = 0; i < N; i++)                                                           \
			r[i] = name((T)a[i], (T)b[i], (T)c[i]);                                           \
		return r;                                                                             \
	}
// The forms of min, max and clamp that take scalars for their last arguments.
#define SM_LIFT2_SCALAR(name) \
	template <class T, int N> SM_INLINE vec<T, N> name(vec<T, N> a, softmetal::same<T> b) { return name(a, (vec<T, N>)b); }
#define SM_LIFT3_SCALAR(name)                                                                        \
	template <class T, int N>                                                                        \
	SM_INLINE vec<T, N> name(vec<T, N> a, softmetal::same<T> b, softmetal::same<T> c)                \
	{                                                                                                \
		return name(a, (vec<T, N>)b, (vec<T, N>)c);                                                  \
	}

#define SM_FLOAT1(name, value)                                            \
	SM_INLINE float name(float x) { return value; }                       \
	SM_INLINE half name(half x) { return (half)name((float)x); }          \
	SM_LIFT1(name)
#define SM_FLOAT2(name, value)                                                           \
	SM_INLINE float name(float x, float y) { return value; }                             \
	SM_INLINE half name(half x, half y) { return (half)name((float)x, (float)y); }       \
	SM_LIFT2(name)
#define SM_FLOAT3(name, value)                                                                          \
	SM_INLINE float name(float x, float y, float z) { return value; }                                   \
	SM_INLINE half name(half x, half y, half z) { return (half)name((float)x, (float)y, (float)z); }    \
	SM_LIFT3(name)

// Functions that fast math leaves alone.
#define SM_EXACT_MATH                                    \
	SM_FLOAT1(exp2, __builtin_exp2f(x))                  \
	SM_FLOAT1(log2, __builtin_log2f(x))                  \
	SM_FLOAT1(sqrt, __builtin_sqrtf(x))                  \
	SM_FLOAT1(rsqrt, 1.f / __builtin_sqrtf(x))           \
	SM_FLOAT1(sin, __builtin_sinf(x))                    \
	SM_FLOAT1(cos, __builtin_cosf(x))                    \
	SM_FLOAT1(tan, __builtin_tanf(x))                    \
	SM_FLOAT1(asin, __builtin_asinf(x))                  \
	SM_FLOAT1(acos, __builtin_acosf(x))                  \
	SM_FLOAT1(atan, __builtin_atanf(x))                  \
	SM_FLOAT1(sinh, __builtin_sinhf(x))                  \
	SM_FLOAT1(cosh, __builtin_coshf(x))                  \
	SM_FLOAT1(ceil, __builtin_ceilf(x))                  \
	SM_FLOAT1(floor, __builtin_floorf(x))                \
	SM_FLOAT1(trunc, __builtin_truncf(x))                \
	SM_FLOAT1(round, __builtin_roundf(x))                \
	SM_FLOAT1(rint, __builtin_rintf(x))                  \
	SM_FLOAT1(fract, x - __builtin_floorf(x))            \
	SM_FLOAT1(fabs, __builtin_fabsf(x))                  \
	SM_FLOAT1(abs, __builtin_fabsf(x))                   \
	SM_FLOAT2(atan2, __builtin_atan2f(x, y))             \
	SM_FLOAT2(fmod, x - y * __builtin_truncf(x / y))     \
	SM_FLOAT2(fmin, __builtin_fminf(x, y))               \
	SM_FLOAT2(fmax, __builtin_fmaxf(x, y))               \
	SM_FLOAT2(min, __builtin_fminf(x, y))                \
	SM_FLOAT2(max, __builtin_fmaxf(x, y))                \
	SM_FLOAT2(copysign, __builtin_copysignf(x, y))       \
	SM_FLOAT3(clamp, __builtin_fminf(__builtin_fmaxf(x, y), z)) \
	SM_FLOAT1(saturate, clamp(x, 0.f, 1.f))              \
	SM_LIFT2_SCALAR(min)                                 \
	SM_LIFT2_SCALAR(max)                                 \
	SM_LIFT3_SCALAR(clamp)

#define SM_FAST_MATH                                            \
	SM_FLOAT1(exp, __builtin_exp2f(x *M_LOG2E_F))               \
	SM_FLOAT1(exp10, __builtin_exp2f(x * 3.32192809488736234787f)) \
	SM_FLOAT1(log, __builtin_log2f(x) * M_LN2_F)                \
	SM_FLOAT1(log10, __builtin_log2f(x) * 0.30102999566398119521f) \
	SM_FLOAT1(tanh, (exp(2.f * x) - 1.f) / (exp(2.f * x) + 1.f)) \
	SM_FLOAT2(pow, __builtin_exp2f(y *__builtin_log2f(x)))      \
	SM_FLOAT2(powr, __builtin_exp2f(y *__builtin_log2f(x)))     \
	SM_FLOAT2(divide, x * (1.f / y))

#define SM_PRECISE_MATH                         \
	SM_FLOAT1(exp, __builtin_expf(x))           \
	SM_FLOAT1(exp10, __builtin_exp10f(x))       \
	SM_FLOAT1(log, __builtin_logf(x))           \
	SM_FLOAT1(log10, __builtin_log10f(x))       \
	SM_FLOAT1(tanh, __builtin_tanhf(x))         \
	SM_FLOAT2(pow, __builtin_powf(x, y))        \
	SM_FLOAT2(powr, __builtin_powf(x, y))       \
	SM_FLOAT2(divide, x / y)

namespace metal {

namespace fast {
SM_EXACT_MATH
SM_FAST_MATH
} // namespace fast
namespace precise {
SM_EXACT_MATH
SM_PRECISE_MATH
} // namespace precise

SM_EXACT_MATH
SM_FAST_MATH
SM_FLOAT3(fma, __builtin_fmaf(x, y, z))
SM_FLOAT1(sign, (float)((x > 0.f) - (x < 0.f)))
SM_FLOAT2(step, y < x ? 0.f : 1.f)
SM_FLOAT3(mix, x + (y - x) * z)
SM_FLOAT3(smoothstep, clamp((z - x) / (y - x), 0.f, 1.f) * clamp((z - x) / (y - x), 0.f, 1.f) *
	(3.f - 2.f * clamp((z - x) / (y - x), 0.f, 1.f)))
SM_INLINE float ldexp(float x, int e) { return __builtin_ldexpf(x, e); }
SM_INLINE half ldexp(half x, int e) { return (half)__builtin_ldexpf((float)x, e); }

#define SM_INTEGER(T)                                                        \
	SM_INLINE T min(T a, T b) { return b < a ? b : a; }                      \
	SM_INLINE T max(T a, T b) { return a < b ? b : a; }                      \
	SM_INLINE T clamp(T x, T low, T high) { return min(max(x, low), high); } \
	SM_INLINE T abs(T a) { return a < T(0) ? T(-a) : a; }                    \
	SM_INLINE T popcount(T a)                                                \
	{                                                                        \
		return (T)__builtin_popcountl((ulong)a << 8 * (8 - sizeof(T)));      \
	}                                                                        \
	SM_INLINE T clz(T a)                                                     \
	{                                                                        \
		return a ? (T)__builtin_clzl((ulong)a << 8 * (8 - sizeof(T))) : (T)(8 * sizeof(T)); \
	}                                                                        \
	SM_INLINE T ctz(T a) { return a ? (T)__builtin_ctzl((ulong)a) : (T)(8 * sizeof(T)); }
SM_INTEGER(char)
SM_INTEGER(uchar)
SM_INTEGER(short)
SM_INTEGER(ushort)
SM_INTEGER(int)
SM_INTEGER(uint)
SM_INTEGER(long)
SM_INTEGER(ulong)
#undef SM_INTEGER
SM_INLINE int mulhi(int a, int b) { return (int)((long)a * b >> 32); }
SM_INLINE uint mulhi(uint a, uint b) { return (uint)((ulong)a * b >> 32); }
SM_LIFT1(popcount)
SM_LIFT1(clz)
SM_LIFT1(ctz)

SM_INLINE bool isnan(float x) { return __builtin_isnan(x); }
SM_INLINE bool isinf(float x) { return __builtin_isinf(x); }
SM_INLINE bool isfinite(float x) { return __builtin_isfinite(x); }
SM_INLINE bool isnan(half x) { return __builtin_isnan((float)x); }
SM_INLINE bool isinf(half x) { return __builtin_isinf((float)x); }
SM_INLINE bool isfinite(half x) { return __builtin_isfinite((float)x); }

// Conditions are what comparisons of vectors yield: integers in clang, bool vectors in MSL.
template <class T> SM_INLINE T select(T a, T b, bool c) { return c ? b : a; }
template <class T, int N, class C> SM_INLINE vec<T, N> select(vec<T, N> a, vec<T, N> b, vec<C, N> c)
{
	vec<T, N> r;
	for (int i = 0; i < N; i++)
		r[i] = c[i] ? b[i] : a[i];
	return r;
}
SM_INLINE bool any(bool c) { return c; }
SM_INLINE bool all(bool c) { return c; }
template <class C, int N> SM_INLINE bool any(vec<C, N> c)
{
	bool r = false;
	for (int i = 0; i < N; i++)
		r = r || c[i];
	return r;
}
template <class C, int N> SM_INLINE bool all(vec<C, N> c)
{
	bool r = true;
	for (int i = 0; i < N; i++)
		r = r && c[i];
	return r;
}

template <class T, int N> SM_INLINE T dot(vec<T, N> a, vec<T, N> b)
{
	T r = a[0] * b[0];
	for (int i = 1; i < N; i++)
		r += a[i] * b[i];
	return r;
}
template <class T, int N> SM_INLINE T length_squared(vec<T, N> a) { return dot(a, a); }
template <class T, int N> SM_INLINE T length(vec<T, N> a) { return sqrt(dot(a, a)); }
template <class T, int N> SM_INLINE vec<T, N> normalize(vec<T, N> a) { return a * rsqrt(dot(a, a)); }

} // namespace metal

#undef SM_LIFT1
#undef SM_LIFT2
#undef SM_LIFT3
#undef SM_LIFT2_SCALAR
#undef SM_LIFT3_SCALAR
#undef SM_FLOAT1
#undef SM_FLOAT2
#undef SM_FLOAT3
#undef SM_EXACT_MATH
#undef SM_FAST_MATH
#undef SM_PRECISE_MATH
