package pipeline

// toChannelsLast copies an image [c, h, w] to [h, w, c].
func toChannelsLast(dst, src []float32, channels int) {
	pixels := len(src) / channels
	for c := range channels {
		for i, v := range src[c*pixels : (c+1)*pixels] {
			dst[i*channels+c] = v
		}
	}
}

// toChannelsFirst copies an image [h, w, c] to [c, h, w].
func toChannelsFirst(dst, src []float32, channels int) {
	pixels := len(src) / channels
	for c := range channels {
		plane := dst[c*pixels : (c+1)*pixels]
		for i := range plane {
			plane[i] = src[i*channels+c]
		}
	}
}

// channelsLast is an image [c, h, w] as [h, w, c].
func channelsLast(image []float32, channels int) []float32 {
	out := make([]float32, len(image))
	toChannelsLast(out, image, channels)
	return out
}

// channelsFirst is an image [h, w, c] as [c, h, w].
func channelsFirst(image []float32, channels int) []float32 {
	out := make([]float32, len(image))
	toChannelsFirst(out, image, channels)
	return out
}
