package imageio

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // registers its decoder
	_ "image/png"  // registers its decoder
	"io"
	"os"

	_ "golang.org/x/image/webp" // registers its decoder
)

// maxPixels bounds a picture, 8192x8192: 256 MiB as 8-bit RGBA, 512 MiB as 16-bit.
const maxPixels = 64 << 20

// DecodeFile decodes the picture in the named file; see Decode. Its errors name the file.
func DecodeFile(name string) (image.Image, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("imageio: %w", err)
	}
	defer f.Close()
	m, err := decode(f, maxPixels)
	if err != nil {
		return nil, fmt.Errorf("imageio: %s: %w", name, err)
	}
	return m, nil
}

// Decode decodes a PNG, JPEG or WebP picture of at most 64 Mpixel. The size in the header is
// checked before any pixel is allocated.
func Decode(r io.Reader) (image.Image, error) {
	m, err := decode(r, maxPixels)
	if err != nil {
		return nil, fmt.Errorf("imageio: %w", err)
	}
	return m, nil
}

// decode is Decode for at most limit pixels.
func decode(r io.Reader, limit int64) (image.Image, error) {
	var head bytes.Buffer // what the reading of the header took
	config, format, err := image.DecodeConfig(io.TeeReader(r, &head))
	if err == image.ErrFormat {
		return nil, errors.New("not a picture in a known format, want PNG, JPEG or WebP")
	}
	if err != nil {
		return nil, fmt.Errorf("header of the picture: %w", err)
	}
	if config.Width < 1 || config.Height < 1 || int64(config.Width) > limit/int64(config.Height) {
		return nil, fmt.Errorf("%s picture of %dx%d pixels, want at least 1x1 and at most %d pixels",
			format, config.Width, config.Height, limit)
	}
	m, _, err := image.Decode(io.MultiReader(&head, r))
	if err != nil {
		return nil, fmt.Errorf("%s picture of %dx%d pixels: %w", format, config.Width, config.Height, unexpected(err))
	}
	return m, nil
}
