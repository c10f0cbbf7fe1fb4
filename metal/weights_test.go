package metal

import (
	"errors"
	"slices"
	"testing"

	"ldm-mac/bridge"
	"ldm-mac/ldm/tensor"
)

func TestConvert(t *testing.T) {
	values := make([]float32, 2*3*2*2) // [out, in, kh, kw]
	for i := range values {
		values[i] = float32(i) / 4 // exact in every type
	}
	last := make([]float32, len(values)) // [out, kh, kw, in]
	for out := range 2 {
		for in := range 3 {
			for tap := range 4 {
				last[out*12+tap*3+in] = values[out*12+in*4+tap]
			}
		}
	}
	for _, from := range []tensor.DType{tensor.F32, tensor.F16, tensor.BF16} {
		w := &tensor.Weight{Shape: tensor.Shape{2, 3, 2, 2}, DType: from, Data: tensor.EncodeFloats(nil, values, from)}
		for _, to := range []bridge.DataType{bridge.Float32, bridge.Float16} {
			for layout, want := range map[layout][]float32{asStored: values, channelsLast: last} {
				dst := make([]byte, len(values)*to.Size()+1)
				n := convert(dst, to, w, layout)
				got := make([]float32, len(values))
				decodeFloats(got, dst[:n], to)
				if !slices.Equal(got, want) || n != len(dst)-1 || dst[n] != 0 {
					t.Errorf("%s to %s, layout %d: %d bytes, %v, want %v", from, to, layout, n, got, want)
				}
			}
		}
	}
}

// A weight that is converted in several chunks has its kernels in order.
func TestConvertLarge(t *testing.T) {
	const out, in, taps = 600, 50, 9
	values := make([]float32, out*in*taps)
	for i := range values {
		values[i] = float32(i)
	}
	w := tensor.WeightOf("w", values, out, in, 3, 3)
	dst := make([]byte, 4*len(values))
	convert(dst, bridge.Float32, w, channelsLast)
	got := make([]float32, len(values))
	decodeFloats(got, dst, bridge.Float32)
	for i, v := range got {
		o, tap, c := i/(in*taps), i/in%taps, i%in
		if want := float32((o*in+c)*taps + tap); v != want {
			t.Fatalf("element %d is %g, want %g", i, v, want)
		}
	}
}

func TestCheckWeight(t *testing.T) {
	if err := check(&tensor.Weight{Name: "ids", Shape: tensor.Shape{2}, DType: tensor.I64, Data: make([]byte, 16)}); !errors.Is(err, tensor.ErrUnsupported) {
		t.Errorf("a weight of integers: %v", err)
	}
	if err := check(&tensor.Weight{Name: "w", Shape: tensor.Shape{2}, Data: make([]byte, 7)}); err == nil {
		t.Error("a weight of 7 bytes is taken for two numbers")
	}
}

func TestTuning(t *testing.T) {
	tuning := DefaultTuning(bridge.Info{Architecture: "applegpu_g13s"})
	for _, c := range []struct {
		rows, columns, terms int
		residual, kernel     bool
	}{
		{2, 1280, 320, false, false},   // time embedding
		{8192, 320, 320, false, true},  // thin
		{8192, 2560, 320, false, true}, // into GEGLU
		{2048, 1280, 1280, false, false},
		{2048, 1280, 1280, true, true},
		{262144, 1280, 1280, false, true}, // too many rows for MPSGraph
	} {
		if got := tuning.productByKernel(c.rows, c.columns, c.terms, c.residual); got != c.kernel {
			t.Errorf("%+v: by kernel %t", c, got)
		}
	}
	if tuning.tile(128, 128, 1) != Tile32 || tuning.tile(8192, 320, 1) != Tile64 {
		t.Error("tiles do not follow the number of threadgroups")
	}
	if DefaultTuning(bridge.Info{}).SmallTile >= tuning.SmallTile {
		t.Error("an unknown chip counts as larger than a Max")
	}
}
