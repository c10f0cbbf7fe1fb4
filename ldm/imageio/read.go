package imageio

import (
	"bytes"
	"fmt"
	"image"
	"io"
	"os"
)

const (
	// maxPixels bounds a picture, 8192x8192: 256 MiB as 8-bit RGBA, 512 MiB as 16-bit.
	maxPixels = 64 << 20
	// maxFile bounds a file, in bytes: the largest picture, uncompressed at 16 bits.
	maxFile = 8 * maxPixels
)

// Input is a picture that was read. Its fields belong to the caller.
type Input struct {
	// Image has 8 bits to a sample, straight alpha and its corner at (0, 0). It stands upright: the
	// orientation in the file's EXIF data is applied.
	Image *image.NRGBA
	// Alpha says that some pixel is not opaque.
	Alpha bool
	// Profile is the ICC profile of the colours, or nil, which means sRGB. The samples of Image are
	// as they were in the file: a profile is to be written again with what is made of the picture,
	// nothing here converts by it. One that is not for RGB, of a CMYK or grey file, is left out,
	// since Image is RGB; so is one that is damaged, as are other metadata.
	Profile []byte
	Format  Format
	Depth   int // bits of a sample in the file; of 16, Image holds the upper 8
}

// ReadFile reads the picture in the named file; see Read. Its errors name the file.
func ReadFile(name string) (*Input, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("imageio: %w", err)
	}
	defer f.Close()
	in, err := read(f, maxPixels)
	if err != nil {
		return nil, fmt.Errorf("imageio: %s: %w", name, err)
	}
	return in, nil
}

// Read reads a PNG, JPEG, WebP, TIFF, BMP or GIF picture, of the last the first frame, of at most
// 64 Mpixel in at most 512 MiB; the kind is that of the content. The size in the header is checked
// before any pixel is allocated.
func Read(r io.Reader) (*Input, error) {
	in, err := read(r, maxPixels)
	if err != nil {
		return nil, fmt.Errorf("imageio: %w", err)
	}
	return in, nil
}

// read is Read for at most limit pixels.
func read(r io.Reader, limit int64) (*Input, error) {
	data, err := readAll(r, maxFile)
	if err != nil {
		return nil, err
	}
	m, d, err := decode(data, limit)
	if err != nil {
		return nil, err
	}
	if d.format == WebP {
		switch lossy := m.(type) {
		case *image.YCbCr:
			m = fromVP8(lossy, nil, 0)
		case *image.NYCbCrA:
			m = fromVP8(&lossy.YCbCr, lossy.A, lossy.AStride)
		}
	}
	meta := readMetadata(d.format, data)
	in := &Input{Format: d.format, Depth: depth(d.format, data), Profile: meta.profile}
	in.Image = upright(toNRGBA(m, image.Rectangle{Max: d.size}), orientation(meta.exif))
	in.Alpha = !in.Image.Opaque()
	if checkProfile(in.Profile) != nil {
		in.Profile = nil
	}
	return in, nil
}

// header is what the start of a file says of its picture.
type header struct {
	format Format
	size   image.Point
}

// decode gives the pixels of a file as its decoder does, for at most limit pixels.
func decode(data []byte, limit int64) (image.Image, header, error) {
	i, err := sniff(data)
	if err != nil {
		return nil, header{}, err
	}
	d := decoders[i]
	config, err := d.config(bytes.NewReader(data))
	if err != nil {
		return nil, header{}, fmt.Errorf("header of the %s picture: %w", d.format, unexpected(err))
	}
	if config.Width < 1 || config.Height < 1 || int64(config.Width) > limit/int64(config.Height) {
		return nil, header{}, fmt.Errorf("%s picture of %dx%d pixels, want at least 1x1 and at most %d pixels",
			d.format, config.Width, config.Height, limit)
	}
	m, err := d.pixels(bytes.NewReader(data))
	if err != nil {
		return nil, header{}, fmt.Errorf("%s picture of %dx%d pixels: %w", d.format, config.Width, config.Height, unexpected(err))
	}
	return m, header{d.format, image.Pt(config.Width, config.Height)}, nil
}

// readAll reads r to its end, which must come within limit bytes.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	var b bytes.Buffer
	if f, ok := r.(*os.File); ok {
		info, err := f.Stat()
		if err != nil {
			return nil, err
		}
		if info.Size() > limit {
			return nil, fmt.Errorf("a file of %d bytes, want at most %d", info.Size(), limit)
		}
		b.Grow(int(info.Size()) + bytes.MinRead) // so that the end is met without growing
	}
	n, err := b.ReadFrom(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, fmt.Errorf("a file of more than %d bytes", limit)
	}
	return b.Bytes(), nil
}

// depth is the number of bits of a sample in a file that was decoded. Formats other than PNG and
// TIFF have 8; so have the colours of a PNG's palette.
func depth(format Format, data []byte) int {
	switch format {
	case PNG:
		const palette = 3
		if data[pngColour] != palette {
			return int(data[pngDepth])
		}
	case TIFF:
		if t, err := openTIFF(data); err == nil {
			if bits := t.number(t.fields(t.first), tagBitsPerSample); bits != 0 {
				return int(bits)
			}
			return 1 // the tag's default
		}
	}
	return 8
}
