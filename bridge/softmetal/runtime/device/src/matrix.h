// simdgroup_matrix (specification, 2.4 and 6.7). Each lane holds two neighbouring elements of a
// row; the mapping is undocumented but relied on by MLX (mlx/backend/metal/kernels/steel/gemm/mma.h).
#pragma once
#include "simd.h"

namespace softmetal {

constexpr int side = 8; // rows and columns of a simdgroup_matrix

SM_INLINE constexpr int matrix_row(uint lane) { return (lane / 4 & 4) + lane / 2 % 4; }
SM_INLINE constexpr int matrix_column(uint lane) { return (lane / 4 & 2) * 2 + lane % 2 * 2; }

} // namespace softmetal

namespace metal {

template <class T, int Columns, int Rows> struct simdgroup_matrix {
	static_assert(Columns == 8 && Rows == 8, "a simdgroup_matrix is 8x8");
	static_assert(is_floating_point_v<T>, "a simdgroup_matrix holds half or float");
	typedef vec<T, 2> storage_type;

	simdgroup_matrix() = default;
	SM_INLINE explicit simdgroup_matrix(T diagonal)
	{
		int off = softmetal::matrix_row(sm_lane) - softmetal::matrix_column(sm_lane);
		elements = storage_type{off == 0 ? diagonal : T(0), off == 1 ? diagonal : T(0)};
	}
	SM_INLINE thread storage_type &thread_elements() { return elements; }
	SM_INLINE const thread storage_type &thread_elements() const { return elements; }

  private:
	storage_type elements;
};
typedef simdgroup_matrix<half, 8, 8> simdgroup_half8x8;
typedef simdgroup_matrix<float, 8, 8> simdgroup_float8x8;

template <class T, int Columns, int Rows>
SM_INLINE simdgroup_matrix<T, Columns, Rows> make_filled_simdgroup_matrix(T value)
{
	simdgroup_matrix<T, Columns, Rows> m;
	m.thread_elements() = (vec<T, 2>)value;
	return m;
}

} // namespace metal

namespace softmetal {

template <class T> using matrix = metal::simdgroup_matrix<T, 8, 8>;

template <class D, class A, class B, class C> struct product {
	metal::vec<A, 2> a;
	metal::vec<B, 2> b;
	metal::vec<C, 2> c;
	metal::vec<D, 2> d;
};

// d = a b + c; products are exact in float and the sum is rounded to d's type once.
template <class D, class A, class B, class C> SM_BETWEEN void multiply(product<D, A, B, C> *const *lane)
{
	typedef metal::vec<float, side> row;
	float a[side][side];
	row b[side], c[side];
	for (uint i = 0; i < lanes; i++) {
		int r = matrix_row(i), k = matrix_column(i);
		for (int j = 0; j < 2; j++) {
			a[r][k + j] = (float)lane[i]->a[j];
			b[r][k + j] = (float)lane[i]->b[j];
			c[r][k + j] = (float)lane[i]->c[j];
		}
	}
	for (int r = 0; r < side; r++)
		for (int k = 0; k < side; k++)
			c[r] += a[r][k] * b[k];
	for (uint i = 0; i < lanes; i++)
		for (int j = 0; j < 2; j++)
			lane[i]->d[j] = (D)c[matrix_row(i)][matrix_column(i) + j];
}

template <class D, class A, class B, class C>
SM_BETWEEN metal::vec<D, 2> multiply(metal::vec<A, 2> a, metal::vec<B, 2> b, metal::vec<C, 2> c, sm_site site)
{
	product<D, A, B, C> lane{a, b, c, {}};
	void (*resolve)(product<D, A, B, C> *const *) = multiply<D, A, B, C>;
	sm_exchange(&lane, (sm_resolver)(void (*)())resolve, site);
	return lane.d;
}

inline void nothing(void *const *) {}

// The place of element (row, column) in memory that simdgroup_load and simdgroup_store see.
SM_INLINE ulong matrix_offset(int row, int column, ulong stride, ulong2 origin, bool transposed)
{
	if (transposed)
		return (origin.x + column) * stride + origin.y + row;
	return (origin.y + row) * stride + origin.x + column;
}

} // namespace softmetal

namespace metal {

// The lanes of a checked library meet here to show that all of them take part.
#ifdef SM_CHECKED
#define SM_MEET(site) sm_exchange(nullptr, softmetal::nothing, site)
#else
#define SM_MEET(site) (void)site
#endif

template <class T, class P>
SM_INLINE void simdgroup_load(thread simdgroup_matrix<T, 8, 8> &m, P from, ulong elements_per_row = 8,
                              ulong2 origin = ulong2{0, 0}, bool transposed = false, sm_site site = SM_SITE)
{
	static_assert(is_same_v<remove_cv_t<remove_pointer_t<P>>, T>, "simdgroup_load of another element type");
	SM_MEET(site);
	int row = softmetal::matrix_row(sm_lane), column = softmetal::matrix_column(sm_lane);
	T first = from[softmetal::matrix_offset(row, column, elements_per_row, origin, transposed)];
	T second = from[softmetal::matrix_offset(row, column + 1, elements_per_row, origin, transposed)];
	m.thread_elements() = vec<T, 2>{first, second};
}

template <class T, class P>
SM_INLINE void simdgroup_store(simdgroup_matrix<T, 8, 8> m, P to, ulong elements_per_row = 8,
                               ulong2 origin = ulong2{0, 0}, bool transposed = false, sm_site site = SM_SITE)
{
	static_assert(is_same_v<remove_cv_t<remove_pointer_t<P>>, T>, "simdgroup_store of another element type");
	SM_MEET(site);
	int row = softmetal::matrix_row(sm_lane), column = softmetal::matrix_column(sm_lane);
	to[softmetal::matrix_offset(row, column, elements_per_row, origin, transposed)] = m.thread_elements().x;
	to[softmetal::matrix_offset(row, column + 1, elements_per_row, origin, transposed)] = m.thread_elements().y;
}
#undef SM_MEET

template <class D, class A, class B, class C>
SM_INLINE void simdgroup_multiply_accumulate(thread simdgroup_matrix<D, 8, 8> &d, simdgroup_matrix<A, 8, 8> a,
                                             simdgroup_matrix<B, 8, 8> b, simdgroup_matrix<C, 8, 8> c,
                                             sm_site site = SM_SITE)
{
	static_assert(is_same_v<A, B>, "simdgroup_multiply_accumulate of a and b of different types");
	d.thread_elements() = softmetal::multiply<D, A, B, C>(a.thread_elements(), b.thread_elements(), c.thread_elements(), site);
}
template <class D, class A, class B>
SM_INLINE void simdgroup_multiply(thread simdgroup_matrix<D, 8, 8> &d, simdgroup_matrix<A, 8, 8> a,
                                  simdgroup_matrix<B, 8, 8> b, sm_site site = SM_SITE)
{
	simdgroup_multiply_accumulate(d, a, b, make_filled_simdgroup_matrix<D, 8, 8>(D(0)), site);
}

} // namespace metal
