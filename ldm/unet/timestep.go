package unet

import "math"

// TimestepEmbedding writes the sinusoids of each timestep to out, a row of dim for each of
// timesteps: frequencies exp(-ln(10000)·i/(dim/2-freqShift)), sines first unless flipSinToCos.
// An odd dim ends in a zero. Angles are rounded to float32, as the trained models saw them
// (diffusers, src/diffusers/models/embeddings.py, get_timestep_embedding; Vaswani et al. 2017,
// section 3.5).
func TimestepEmbedding(out []float32, timesteps []float64, dim int, flipSinToCos bool, freqShift float64) {
	half := dim / 2
	for row, t := range timesteps {
		first, second := out[row*dim:row*dim+half], out[row*dim+half:row*dim+2*half]
		if flipSinToCos {
			first, second = second, first
		}
		for i := range half {
			exponent := float32(-math.Log(10000)) * float32(i) / float32(float64(half)-freqShift)
			frequency := float32(math.Exp(float64(exponent)))
			sin, cos := math.Sincos(float64(float32(t) * frequency))
			first[i], second[i] = float32(sin), float32(cos)
		}
		if dim%2 == 1 {
			out[row*dim+dim-1] = 0
		}
	}
}
