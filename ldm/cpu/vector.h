// Vectors of LANES floats and the functions on them. Tails of arrays are read into and written
// from whole vectors, so that an element's value does not depend on its position.

typedef float vf __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t vi __attribute__((vector_size(4 * LANES)));
typedef uint32_t vu __attribute__((vector_size(4 * LANES)));
typedef uint16_t vh __attribute__((vector_size(2 * LANES), aligned(1), may_alias));

static inline vf splat(float x) { return x - (vf){0}; }
static inline vf load(const float *p) { return *(const vf *)p; }
static inline void store(float *p, vf x) { *(vf *)p = x; }

static inline vf load_part(const float *p, int64_t n)
{
	vf x = {0};
	memcpy(&x, p, 4 * n);
	return x;
}

static inline void store_part(float *p, vf x, int64_t n) { memcpy(p, &x, 4 * n); }

// select is a where the mask is set and b elsewhere.
static inline vf select(vi mask, vf a, vf b) { return (vf)((mask & (vi)a) | (~mask & (vi)b)); }

static inline vf maximum(vf a, vf b) { return select(a > b, a, b); }

// sum adds lanes pairwise.
static inline float sum(vf x)
{
	float lanes[LANES];
	memcpy(lanes, &x, sizeof lanes);
	for (int width = LANES / 2; width > 0; width /= 2)
		for (int i = 0; i < width; i++)
			lanes[i] += lanes[i + width];
	return lanes[0];
}

static inline float largest(vf x)
{
	float lanes[LANES];
	memcpy(lanes, &x, sizeof lanes);
	for (int width = LANES / 2; width > 0; width /= 2)
		for (int i = 0; i < width; i++)
			lanes[i] = lanes[i + width] > lanes[i] ? lanes[i + width] : lanes[i];
	return lanes[0];
}

// exponential is e^x within 2 units in the last place; below e^-86.6 = 2^-125 it is zero.
// x = n·ln 2 + r with |r| <= ln 2 / 2, ln 2 in two parts (Cody and Waite 1980), and
// e^r = 1 + r + r²·P(r) with P interpolated at Chebyshev nodes: relative error 1e-8.
static inline vf exponential(vf x)
{
	const float to_integer = 12582912; // 1.5·2^23: adding it leaves an integer in the low bits
	vi tiny = x < -86.6f;
	x = select(x > 89, splat(89), x);
	x = select(tiny, splat(0), x);
	vf t = x * 1.44269504f + to_integer, n = t - to_integer;
	vf r = x - n * 0.693359375f;
	r = r + n * 2.12194440e-4f;
	vf p = r * 1.392618359e-3f + 8.363179053e-3f;
	p = p * r + 4.166655462e-2f;
	p = p * r + 1.666657699e-1f;
	p = p * r + 0.5f;
	p = p * (r * r) + r + 1;
	// 2·2^(n-1): 2^128 is no number.
	vf power = (vf)(((vi)t << 23) + (126 << 23));
	return select(tiny, splat(0), p * power * 2);
}

static inline vf silu_of(vf x) { return x / (1 + exponential(-x)); }

static inline vf quick_gelu_of(vf x) { return x / (1 + exponential(x * -1.702f)); }

// gelu_of is x·Φ(x). For t = |x|, Φ(-t) = exp(-t²/2)·F(u)/(t + 3) with u = (t - 3)/(t + 3), a
// form that suits the whole half-line (Schonfelder 1978, Mathematics of Computation 32); F is
// interpolated at Chebyshev nodes up to t = 14: relative error 1.2e-9.
static inline vf gelu_of(vf x)
{
	vf t = select(x < 0, -x, x);
	t = select(t > 15, splat(15), t);
	vf reciprocal = 1 / (t + 3), u = (t - 3) * reciprocal;
	vf p = u * 5.517462394e-5f + 1.328259087e-4f;
	p = p * u + -2.444839421e-4f;
	p = p * u + -1.033891348e-3f;
	p = p * u + 1.024157668e-3f;
	p = p * u + 6.969689543e-3f;
	p = p * u + -1.046231116e-2f;
	p = p * u + -4.726272769e-2f;
	p = p * u + 2.300176797e-1f;
	p = p * u + -5.093319902e-1f;
	p = p * u + 7.290836907e-1f;
	vf tail = exponential(t * t * -0.5f) * p * reciprocal;
	return x * select(x < 0, tail, 1 - tail);
}
