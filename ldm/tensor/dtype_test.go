package tensor_test

import (
	"math"
	"testing"

	"ldm-mac/ldm/tensor"
)

// half is a 16-bit floating-point format and its conversions under test.
type half struct {
	name               string
	exponent, fraction int // bits
	widen              func(uint16) float32
	narrow             func(float32) uint16
}

var halves = []half{
	{"F16", 5, 10, tensor.F16ToF32, tensor.F32ToF16},
	{"BF16", 8, 7, tensor.BF16ToF32, tensor.F32ToBF16},
}

// value is the number that h encodes, by the definition of IEEE 754-2019, section 3.4.
func (f half) value(h uint16) float64 {
	biased := int(h>>f.fraction) & (1<<f.exponent - 1)
	fraction := float64(int(h) & (1<<f.fraction - 1))
	bias := 1<<(f.exponent-1) - 1
	one := float64(int(1) << f.fraction)
	var v float64
	switch {
	case biased == 1<<f.exponent-1 && fraction != 0:
		return math.NaN()
	case biased == 1<<f.exponent-1:
		v = math.Inf(1)
	case biased == 0:
		v = math.Ldexp(fraction/one, 1-bias)
	default:
		v = math.Ldexp(1+fraction/one, biased-bias)
	}
	if h>>15 == 1 {
		return -v
	}
	return v
}

func TestHalfConversionsOfAllValues(t *testing.T) {
	for _, f := range halves {
		for i := range 1 << 16 {
			h := uint16(i)
			got, want := float64(f.widen(h)), f.value(h)
			switch {
			case math.IsNaN(want):
				if !math.IsNaN(got) || !math.IsNaN(f.value(f.narrow(f.widen(h)))) || f.narrow(f.widen(h))>>15 != h>>15 {
					t.Fatalf("%s %#04x: NaN does not stay one", f.name, h)
				}
			case got != want || math.Signbit(got) != math.Signbit(want):
				t.Fatalf("%s %#04x widens to %g, want %g", f.name, h, got, want)
			case f.narrow(f.widen(h)) != h:
				t.Fatalf("%s %#04x comes back as %#04x", f.name, h, f.narrow(f.widen(h)))
			}
		}
	}
}

// Half way between two neighbours the even one is taken; beside it the nearer. The neighbour of
// the largest finite number is where the next would be: infinity.
func TestHalfRounding(t *testing.T) {
	for _, f := range halves {
		infinity := uint16(1<<f.exponent-1) << f.fraction
		for h := range infinity {
			low, high := f.value(h), f.value(h+1)
			if h+1 == infinity {
				high = 2*low - f.value(h-1)
			}
			middle := float32((low + high) / 2) // exact: one bit more than the format has
			even := h + h&1
			below, above := math.Nextafter32(middle, 0), math.Nextafter32(middle, float32(math.Inf(1)))
			for _, test := range []struct {
				value float32
				want  uint16
			}{{middle, even}, {below, h}, {above, h + 1}, {-middle, even | 0x8000}, {-below, h | 0x8000}, {-above, (h + 1) | 0x8000}} {
				if got := f.narrow(test.value); got != test.want {
					t.Fatalf("%s(%g) = %#04x, want %#04x", f.name, test.value, got, test.want)
				}
			}
		}
	}
}

func TestHalfExtremes(t *testing.T) {
	tests := []struct {
		value   float32
		f16, bf uint16
	}{
		{0, 0, 0},
		{float32(math.Copysign(0, -1)), 0x8000, 0x8000},
		{1, 0x3c00, 0x3f80},
		{-2, 0xc000, 0xc000},
		{65504, 0x7bff, 0x4780}, // the largest F16
		{65519.996, 0x7bff, 0x4780},
		{65520, 0x7c00, 0x4780},
		{math.MaxFloat32, 0x7c00, 0x7f80},
		{math.SmallestNonzeroFloat32, 0, 0},
		{float32(math.Inf(-1)), 0xfc00, 0xff80},
		{1.0 / 3, 0x3555, 0x3eab},
	}
	for _, test := range tests {
		if got := tensor.F32ToF16(test.value); got != test.f16 {
			t.Errorf("F16(%g) = %#04x, want %#04x", test.value, got, test.f16)
		}
		if got := tensor.F32ToBF16(test.value); got != test.bf {
			t.Errorf("BF16(%g) = %#04x, want %#04x", test.value, got, test.bf)
		}
	}
}

func TestDTypes(t *testing.T) {
	tests := []struct {
		dtype tensor.DType
		name  string
		size  int
		float bool
	}{
		{tensor.F32, "F32", 4, true}, {tensor.F16, "F16", 2, true}, {tensor.BF16, "BF16", 2, true},
		{tensor.F64, "F64", 8, true}, {tensor.I64, "I64", 8, false}, {tensor.I32, "I32", 4, false},
		{tensor.I16, "I16", 2, false}, {tensor.I8, "I8", 1, false}, {tensor.U8, "U8", 1, false},
		{tensor.Bool, "BOOL", 1, false},
	}
	for _, test := range tests {
		d, ok := tensor.ParseDType(test.name)
		if !ok || d != test.dtype || d.String() != test.name || d.Size() != test.size || d.Float() != test.float {
			t.Errorf("%s: got %v, %t with size %d and float %t", test.name, d, ok, d.Size(), d.Float())
		}
	}
	for _, name := range []string{"", "f32", "F8_E4M3"} {
		if d, ok := tensor.ParseDType(name); ok {
			t.Errorf("%q is parsed as %s", name, d)
		}
	}
}

func TestEncodeDecode(t *testing.T) {
	values := []float32{0, 1, -1.5, 0.25, 1024} // exact in every type
	want := map[tensor.DType][]byte{
		tensor.F32:  {0, 0, 0, 0, 0, 0, 0x80, 0x3f, 0, 0, 0xc0, 0xbf, 0, 0, 0x80, 0x3e, 0, 0, 0x80, 0x44},
		tensor.F16:  {0, 0, 0, 0x3c, 0, 0xbe, 0, 0x34, 0, 0x64},
		tensor.BF16: {0, 0, 0x80, 0x3f, 0xc0, 0xbf, 0x80, 0x3e, 0x80, 0x44},
	}
	for dtype, bytes := range want {
		encoded := tensor.EncodeFloats([]byte("before"), values, dtype)
		if string(encoded) != "before"+string(bytes) {
			t.Errorf("%s: encoded as % x, want % x", dtype, encoded[6:], bytes)
		}
		decoded := make([]float32, len(values))
		if err := tensor.DecodeFloats(decoded, bytes, dtype); err != nil {
			t.Errorf("%s: %v", dtype, err)
		}
		for i, v := range decoded {
			if v != values[i] {
				t.Errorf("%s: decoded %g, want %g", dtype, v, values[i])
			}
		}
	}
	one := make([]float32, 1)
	if err := tensor.DecodeFloats(one, []byte{0, 0, 0, 0, 0, 0, 0xf8, 0x3f}, tensor.F64); err != nil || one[0] != 1.5 {
		t.Errorf("F64: decoded %g (%v), want 1.5", one[0], err)
	}
	for _, dtype := range []tensor.DType{tensor.I64, tensor.I32, tensor.I16, tensor.I8, tensor.U8, tensor.Bool} {
		if err := tensor.DecodeFloats(one, make([]byte, 8), dtype); err == nil {
			t.Errorf("%s is decoded to floating-point numbers", dtype)
		}
	}
}

func TestWeight(t *testing.T) {
	w := tensor.WeightOf("w", []float32{1, 2, 3, 4, 5, 6}, 2, 3)
	values, err := w.Floats(nil)
	if err != nil || len(values) != 6 || values[5] != 6 {
		t.Errorf("floats: %v (%v)", values, err)
	}
	room := make([]float32, 10)
	if values, err := w.Floats(room); err != nil || len(values) != 6 || &values[0] != &room[0] || room[0] != 1 {
		t.Errorf("floats into a larger slice: %v (%v)", values, err)
	}
	ids := &tensor.Weight{Name: "ids", Shape: tensor.Shape{2}, DType: tensor.I64, Data: []byte{5, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}
	if n, err := ids.Ints(); err != nil || len(n) != 2 || n[0] != 5 || n[1] != -1 {
		t.Errorf("ints: %v (%v), want 5 and -1", n, err)
	}
	for _, bad := range []*tensor.Weight{
		tensor.NewWeight(2, 3), // unbound
		{Name: "short", Shape: tensor.Shape{2}, DType: tensor.F32, Data: make([]byte, 7)},
		{Name: "long", Shape: tensor.Shape{2}, DType: tensor.F16, Data: make([]byte, 5)},
		ids,
	} {
		if _, err := bad.Floats(nil); err == nil {
			t.Errorf("weight %q gives floats", bad.Name)
		}
	}
	for _, bad := range []*tensor.Weight{w, {Name: "short", Shape: tensor.Shape{2}, DType: tensor.I64, Data: make([]byte, 15)}} {
		if _, err := bad.Ints(); err == nil {
			t.Errorf("weight %q gives ints", bad.Name)
		}
	}
}
