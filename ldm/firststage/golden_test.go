package firststage

import (
	"strings"
	"testing"

	"ldm-mac/ldm/goldentest"
)

// The means, clamped log variances and deviations of moments that a reference computed.
func TestGoldenMoments(t *testing.T) {
	var fixture struct {
		Cases []struct {
			Name, Out string
			Error     goldentest.Error `json:"fp32_vs_float64"`
		} `json:"cases"`
	}
	f := goldentest.Open(t, "ops", &fixture)
	cases := 0
	for _, c := range fixture.Cases {
		if !strings.HasPrefix(c.Name, "kl/") {
			continue
		}
		moments, shape := f.Floats(c.Name + "/in_m")
		want, _ := f.Floats(c.Out) // [1, 3·z, h, w]: means, clamped log variances, deviations
		z, pixels := shape[1]/2, shape[2]*shape[3]
		mean, std := Moments(channelsLast(moments, shape[1]), z)
		goldentest.Compare(t, c.Name+" mean", mean, channelsLast(want[:z*pixels], z), goldentest.Bound(c.Error.Max))
		goldentest.Compare(t, c.Name+" std", std, channelsLast(want[2*z*pixels:], z), goldentest.Bound(c.Error.Max))
		cases++
	}
	f.Count(cases)
}

// channelsLast is an image [c, h, w] as [h, w, c].
func channelsLast(x []float32, channels int) []float32 {
	out, pixels := make([]float32, len(x)), len(x)/channels
	for i := range x {
		out[i%pixels*channels+i/pixels] = x[i]
	}
	return out
}
