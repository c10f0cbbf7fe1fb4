package tensor

import (
	"encoding/binary"
	"fmt"
	"math"
)

// DType is the storage type of a tensor's elements. Graphs compute in F32, F16 and BF16; the
// others occur in files only.
type DType uint8

// The storage types, named as safetensors names them.
const (
	F32 DType = iota
	F16
	BF16
	F64
	I64
	I32
	I16
	I8
	U8
	Bool
)

var dtypes = [...]struct {
	name string
	size int
}{
	F32: {"F32", 4}, F16: {"F16", 2}, BF16: {"BF16", 2}, F64: {"F64", 8},
	I64: {"I64", 8}, I32: {"I32", 4}, I16: {"I16", 2}, I8: {"I8", 1}, U8: {"U8", 1}, Bool: {"BOOL", 1},
}

// ParseDType returns the type that safetensors calls name.
func ParseDType(name string) (DType, bool) {
	for d, t := range dtypes {
		if t.name == name {
			return DType(d), true
		}
	}
	return 0, false
}

func (d DType) String() string { return dtypes[d].name }

// Size is the size of one element in bytes.
func (d DType) Size() int { return dtypes[d].size }

// Float reports whether the type holds floating-point numbers.
func (d DType) Float() bool { return d <= F64 }

// F16ToF32 widens an IEEE 754 binary16 number; exact.
func F16ToF32(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exponent, fraction := uint32(h>>10)&0x1f, uint32(h)&0x3ff
	switch {
	case exponent == 0x1f: // infinity, NaN
		return math.Float32frombits(sign | 0x7f800000 | fraction<<13)
	case exponent != 0:
		return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
	}
	f := float32(fraction) * (1.0 / (1 << 24)) // subnormal
	return math.Float32frombits(math.Float32bits(f) | sign)
}

// F32ToF16 rounds to the nearest binary16 number, ties to even.
func F32ToF16(f float32) uint16 {
	bits := math.Float32bits(f)
	sign := uint16(bits>>16) & 0x8000
	magnitude := bits & 0x7fffffff
	switch {
	case magnitude > 0x7f800000: // NaN stays one
		return sign | 0x7e00
	case magnitude >= 0x477ff000: // 65520 and above round to infinity
		return sign | 0x7c00
	case magnitude < 0x38800000: // below 2^-14: subnormal
		scaled := math.RoundToEven(math.Abs(float64(f)) * (1 << 24))
		return sign | uint16(scaled)
	}
	rounded := magnitude + 0xfff + (magnitude>>13)&1
	return sign | uint16((rounded-0x38000000)>>13)
}

// BF16ToF32 widens a bfloat16 number; exact.
func BF16ToF32(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// F32ToBF16 rounds to the nearest bfloat16 number, ties to even.
func F32ToBF16(f float32) uint16 {
	bits := math.Float32bits(f)
	if bits&0x7fffffff > 0x7f800000 {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + (bits>>16)&1) >> 16)
}

// DecodeFloats widens or rounds len(dst) little-endian elements of type d at the start of src to
// float32. It fails for types that hold no floating-point numbers.
func DecodeFloats(dst []float32, src []byte, d DType) error {
	le := binary.LittleEndian
	src = src[:len(dst)*d.Size()]
	switch d {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(le.Uint32(src[4*i:]))
		}
	case F16:
		for i := range dst {
			dst[i] = F16ToF32(le.Uint16(src[2*i:]))
		}
	case BF16:
		for i := range dst {
			dst[i] = BF16ToF32(le.Uint16(src[2*i:]))
		}
	case F64:
		for i := range dst {
			dst[i] = float32(math.Float64frombits(le.Uint64(src[8*i:])))
		}
	default:
		return fmt.Errorf("tensor: dtype %s holds no floating-point numbers", d)
	}
	return nil
}

// EncodeFloats appends src as little-endian elements of type d, one of F32, F16 and BF16.
func EncodeFloats(dst []byte, src []float32, d DType) []byte {
	le := binary.LittleEndian
	for _, f := range src {
		switch d {
		case F16:
			dst = le.AppendUint16(dst, F32ToF16(f))
		case BF16:
			dst = le.AppendUint16(dst, F32ToBF16(f))
		default:
			dst = le.AppendUint32(dst, math.Float32bits(f))
		}
	}
	return dst
}
