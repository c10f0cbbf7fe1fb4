// Widening of stored weights.

static void convert(float *dst, const void *src, int type, int64_t n)
{
	int64_t i = 0;
	switch (type) {
	case STORED_F32:
		memcpy(dst, src, 4 * n);
		break;
	case STORED_F64:
		for (; i < n; i++) {
			double x;
			memcpy(&x, (const char *)src + 8 * i, 8);
			dst[i] = x;
		}
		break;
	default:
		for (; i < n; i += LANES) {
			int64_t count = n - i < LANES ? n - i : LANES;
			vh h = {0};
			if (count == LANES)
				h = *(const vh *)((const char *)src + 2 * i);
			else
				memcpy(&h, (const char *)src + 2 * i, 2 * count);
			vu bits = __builtin_convertvector(h, vu);
			if (type == STORED_BF16) {
				bits <<= 16;
			} else {
				// The exponent's bias grows from 15 to 127 by an exact product, which also
				// makes subnormal numbers normal; infinities and NaN get the largest exponent.
				vu magnitude = (bits & 0x7fff) << 13, special = (vu)(magnitude >= 0x0f800000);
				vf scaled = (vf)magnitude * 0x1p112f;
				bits = (bits & 0x8000) << 16 | (special & (magnitude | 0x7f800000)) |
					(~special & (vu)scaled);
			}
			if (count == LANES)
				store(dst + i, (vf)bits);
			else
				store_part(dst + i, (vf)bits, count);
		}
	}
}
