// Normalisations over channels, rows and tiles of scores.

// deviations adds x - shift and its square to first and second, [c], for every row.
static void deviations(float *first, float *second, const float *x, const float *shift,
	int64_t rows, int64_t c)
{
	for (int64_t r = 0; r < rows; r++, x += c) {
		int64_t i = 0;
		for (; i + LANES <= c; i += LANES) {
			vf d = load(x + i) - load(shift + i);
			store(first + i, load(first + i) + d);
			store(second + i, load(second + i) + d * d);
		}
		for (; i < c; i++) {
			float d = x[i] - shift[i];
			first[i] += d;
			second[i] += d * d;
		}
	}
}

// group_moments takes deviations from an approximate mean and corrects for its error (Chan, Golub
// and LeVeque 1983, equation 1.7), so that a large common offset costs no digits.
static void group_moments(double *mean, double *squares, const float *x, int64_t rows, int64_t c,
	int64_t groups, float *scratch)
{
	float *shift = scratch, *first = scratch + c, *second = scratch + 2 * c;
	int64_t width = c / groups;
	double n = (double)rows * width;
	memset(first, 0, 4 * c);
	for (int64_t r = 0; r < rows; r++)
		for (int64_t i = 0; i < c; i++)
			first[i] += x[r * c + i];
	for (int64_t g = 0; g < groups; g++) {
		double total = 0;
		for (int64_t i = g * width; i < (g + 1) * width; i++)
			total += first[i];
		for (int64_t i = g * width; i < (g + 1) * width; i++)
			shift[i] = total / n;
	}
	memset(first, 0, 8 * c);
	deviations(first, second, x, shift, rows, c);
	for (int64_t g = 0; g < groups; g++) {
		double s1 = 0, s2 = 0;
		for (int64_t i = g * width; i < (g + 1) * width; i++) {
			s1 += first[i];
			s2 += second[i];
		}
		mean[g] = shift[g * width] + s1 / n;
		squares[g] = s2 - s1 * s1 / n;
	}
}

static void group_apply(float *dst, const float *x, const float *shift, const float *scale,
	const float *bias, int activate, int64_t rows, int64_t c)
{
	for (int64_t r = 0; r < rows; r++, x += c, dst += c) {
		for (int64_t i = 0; i < c; i += LANES) {
			int64_t n = c - i;
			if (n >= LANES) {
				vf y = (load(x + i) - load(shift + i)) * load(scale + i) + load(bias + i);
				store(dst + i, activate ? silu_of(y) : y);
			} else {
				vf y = (load_part(x + i, n) - load_part(shift + i, n)) * load_part(scale + i, n) +
					load_part(bias + i, n);
				store_part(dst + i, activate ? silu_of(y) : y, n);
			}
		}
	}
}

static void layer_norm(float *dst, const float *x, const float *weight, const float *bias,
	float eps, int64_t rows, int64_t c)
{
	int64_t whole = c / LANES * LANES;
	for (int64_t r = 0; r < rows; r++, x += c, dst += c) {
		vf total = {0}, first = {0}, second = {0};
		for (int64_t i = 0; i < whole; i += LANES)
			total += load(x + i);
		float shift = sum(total);
		for (int64_t i = whole; i < c; i++)
			shift += x[i];
		shift /= c;
		for (int64_t i = 0; i < whole; i += LANES) {
			vf d = load(x + i) - shift;
			first += d;
			second += d * d;
		}
		double s1 = sum(first), s2 = sum(second);
		for (int64_t i = whole; i < c; i++) {
			float d = x[i] - shift;
			s1 += d;
			s2 += d * d;
		}
		double rest = s1 / c; // of the mean
		float scale = 1 / sqrt((s2 - s1 * rest) / c + eps);
		float low = rest;
		for (int64_t i = 0; i < whole; i += LANES)
			store(dst + i, (load(x + i) - shift - low) * scale * load(weight + i) + load(bias + i));
		for (int64_t i = whole; i < c; i++)
			dst[i] = (x[i] - shift - low) * scale * weight[i] + bias[i];
	}
}

// exponentials replaces x by exp(x·scale - most) and returns the sum.
static float exponentials(float *dst, const float *x, float scale, float most, int64_t n)
{
	vf total = {0};
	int64_t i = 0;
	for (; i + LANES <= n; i += LANES) {
		vf e = exponential(load(x + i) * scale - most);
		store(dst + i, e);
		total += e;
	}
	float part = 0;
	if (i < n) {
		vf e = exponential(load_part(x + i, n - i) * scale - most);
		store_part(dst + i, e, n - i);
		for (int j = 0; j < n - i; j++)
			part += e[j];
	}
	return sum(total) + part;
}

// peak is the largest x·scale, n >= 1.
static float peak(const float *x, float scale, int64_t n)
{
	float most = x[0] * scale;
	int64_t i = 0;
	if (n >= LANES) {
		vf m = load(x) * scale;
		for (i = LANES; i + LANES <= n; i += LANES)
			m = maximum(m, load(x + i) * scale);
		most = largest(m);
	}
	for (; i < n; i++)
		most = x[i] * scale > most ? x[i] * scale : most;
	return most;
}

static void softmax(float *dst, const float *x, int64_t rows, int64_t n)
{
	for (int64_t r = 0; r < rows; r++, x += n, dst += n) {
		float factor = 1 / exponentials(dst, x, 1, peak(x, 1, n), n);
		for (int64_t i = 0; i < n; i++)
			dst[i] *= factor;
	}
}

// attend turns a tile of scores [rows][keys] into weights exp(score·scale - most) and adds them
// to sum. Where a row's largest score grows, its sum and output [d] so far are scaled down. Row i
// sees visible + i of the keys, at most all.
static void attend(float *scores, int64_t ld, float scale, float *most, float *total, float *out,
	int64_t ldo, int64_t rows, int64_t keys, int64_t d, int64_t visible)
{
	for (int64_t r = 0; r < rows; r++, scores += ld, out += ldo) {
		int64_t n = visible + r < keys ? visible + r : keys;
		if (n < 0)
			n = 0;
		memset(scores + n, 0, 4 * (keys - n));
		if (n == 0)
			continue;
		float m = peak(scores, scale, n);
		if (m > most[r]) {
			if (total[r] > 0) {
				float factor = exponential(splat(most[r] - m))[0];
				total[r] *= factor;
				for (int64_t i = 0; i < d; i++)
					out[i] *= factor;
			}
			most[r] = m;
		}
		total[r] += exponentials(scores, scores, scale, most[r], n);
	}
}

static void divide_rows(float *x, int64_t ld, const float *by, int64_t rows, int64_t n)
{
	for (int64_t r = 0; r < rows; r++, x += ld) {
		float factor = 1 / by[r];
		for (int64_t i = 0; i < n; i++)
			x[i] *= factor;
	}
}
