package imageio

// ResizeNearest scales x, [c, h, w], to [c, height, width] as PyTorch's interpolate(size=…,
// mode="nearest") does: row i comes from row i (h/height), in float32, rounded down. So masks go to
// the latents' size. All sizes are at least 1 and len(x) is c h w.
func ResizeNearest(x []float32, c, h, w, height, width int) []float32 {
	source := func(n, to int) []int {
		scale := float32(n) / float32(to)
		at := make([]int, to)
		for i := range at {
			at[i] = min(int(float32(i)*scale), n-1)
		}
		return at
	}
	rows, columns := source(h, height), source(w, width)
	out := make([]float32, 0, c*height*width)
	for plane := range c {
		for _, row := range rows {
			line := x[(plane*h+row)*w:][:w]
			for _, column := range columns {
				out = append(out, line[column])
			}
		}
	}
	return out
}

// ResizeBilinearHalf scales x, [c, h, w], to [c, h/2, w/2], rounded down, as PyTorch's
// interpolate(scale_factor=0.5, mode="bilinear") without antialiasing does, a stage of CompVis'
// SpatialRescaler: sample centres lie between two samples on both sides, so each is the mean of
// 2x2. h and w are at least 2 and len(x) is c h w.
func ResizeBilinearHalf(x []float32, c, h, w int) []float32 {
	out := make([]float32, 0, c*(h/2)*(w/2))
	for plane := range c {
		for i := range h / 2 {
			upper := x[(plane*h+2*i)*w:][:w]
			lower := x[(plane*h+2*i+1)*w:][:w]
			for j := range w / 2 {
				out = append(out, ((upper[2*j]+upper[2*j+1])/2+(lower[2*j]+lower[2*j+1])/2)/2)
			}
		}
	}
	return out
}
