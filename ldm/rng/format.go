package rng

import "math"

// format is a binary floating-point format in which PyTorch computes normal numbers.
type format struct {
	bits     uint // of the mantissa, counting the hidden one
	smallest int  // exponent of two of the smallest positive number
}

// IEEE 754-2019, table 3.5, and the upper half of a binary32 for bfloat16.
var (
	float32Format  = format{24, -149}
	float16Format  = format{11, -24}
	bfloat16Format = format{8, -133}
)

// round returns x in the format, rounded to even by way of float32 as PyTorch's conversions are.
func (f format) round(x float64) float64 {
	x = float64(float32(x))
	if f == float32Format || x == 0 {
		return x
	}
	_, exponent := math.Frexp(x)
	unit := max(exponent-int(f.bits), f.smallest)
	return math.Ldexp(math.RoundToEven(math.Ldexp(x, -unit)), unit)
}

// boxMuller turns the 16 uniform numbers of b into normal ones, rounding every operation to the
// format: the first eight give the radii, the last eight the angles.
func (f format) boxMuller(b []float32) {
	half := len(b) / 2
	for i := range half {
		u := f.round(1 - float64(b[i])) // (0, 1], for the logarithm
		radius := f.round(math.Sqrt(-2 * f.round(math.Log(u))))
		sin, cos := math.Sincos(f.round(2 * math.Pi * float64(b[i+half])))
		b[i] = float32(f.round(radius * f.round(cos)))
		b[i+half] = float32(f.round(radius * f.round(sin)))
	}
}
