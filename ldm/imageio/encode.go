package imageio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"

	"golang.org/x/image/tiff"
)

// DefaultQuality is that of a JPEG where Options.Quality is 0.
const DefaultQuality = 95

// Options are what a file holds beside its pixels, and how it is packed. The zero value is a file
// with pixels only.
type Options struct {
	// Texts are the text chunks of a PNG, in this order. Other formats keep them in their EXIF data:
	// the text under ParametersKeyword, of which there may be one, where other programs look for it.
	// ReadText gets them back from all.
	Texts []Text
	// Profile is an ICC profile for RGB, to which the samples already belong; nil is sRGB.
	Profile []byte
	Quality int // of a JPEG, 1 to 100; 0 is DefaultQuality. The other formats lose nothing.
}

// Encode writes img as a PNG, JPEG, WebP or TIFF. The same arguments give the same bytes.
//
// Transparency is kept but by JPEG, which has none: there img lies on white, each sample c of alpha
// a becoming (a c + (255-a) 255) / 255. A PNG keeps a depth of 16 bits, the others get 8. A WebP is
// lossless; of pixels that are fully transparent it does not keep the colour.
func Encode(w io.Writer, format Format, img image.Image, o Options) error {
	if o.Profile != nil {
		if err := checkProfile(o.Profile); err != nil {
			return err
		}
	}
	for _, t := range o.Texts {
		if err := t.Validate(); err != nil {
			return err
		}
	}
	if img.Bounds().Empty() {
		return errors.New("imageio: a picture without pixels")
	}
	var err error
	switch format {
	case PNG:
		err = encodePNG(w, img, o)
	case JPEG:
		err = encodeJPEG(w, img, o)
	case WebP:
		err = encodeWebP(w, img, o)
	case TIFF:
		err = encodeTIFF(w, img, o)
	default:
		return fmt.Errorf("imageio: format %q cannot be written, want PNG, JPEG, WebP or TIFF", format)
	}
	if err != nil {
		return fmt.Errorf("imageio: encode %s: %w", format, err)
	}
	return nil
}

// encodeJPEG puts the metadata behind the marker that starts the file.
func encodeJPEG(w io.Writer, img image.Image, o Options) error {
	quality := o.Quality
	if quality == 0 {
		quality = DefaultQuality
	}
	if quality < 1 || quality > 100 {
		return fmt.Errorf("quality %d, want 1 to 100", quality)
	}
	exif, err := exifBlock(o.Texts)
	if err != nil {
		return err
	}
	var extra []byte
	if exif != nil {
		if n := len(exifPrefix) + len(exif); n > maxSegment {
			return fmt.Errorf("%d bytes of text, a JPEG holds %d", n, maxSegment)
		}
		extra = appendSegment(extra, 0xe1, []byte(exifPrefix), exif)
	}
	count := (len(o.Profile) + profileChunk - 1) / profileChunk
	for i := range count {
		part := o.Profile[i*profileChunk : min((i+1)*profileChunk, len(o.Profile))]
		extra = appendSegment(extra, 0xe2, []byte(profilePrefix), []byte{byte(i + 1), byte(count)}, part)
	}
	flat := onWhite(toNRGBA(img, img.Bounds()))
	// Opaque, so that both kinds of alpha are the same; the encoder is fast with this one.
	m := &image.RGBA{Pix: flat.Pix, Stride: flat.Stride, Rect: flat.Rect}
	const start = 2
	return jpeg.Encode(&inserter{w: w, left: start, extra: extra}, m, &jpeg.Options{Quality: quality})
}

// appendSegment adds a JPEG segment of the given data.
func appendSegment(b []byte, marker byte, data ...[]byte) []byte {
	joined := bytes.Join(data, nil)
	b = append(b, 0xff, marker)
	b = binary.BigEndian.AppendUint16(b, uint16(2+len(joined)))
	return append(b, joined...)
}

// encodeTIFF adds the metadata's tags to the directory that x/image/tiff writes last.
func encodeTIFF(w io.Writer, img image.Image, o Options) error {
	var b bytes.Buffer
	m := toNRGBA(img, img.Bounds())
	if err := tiff.Encode(&b, m, &tiff.Options{Compression: tiff.Deflate}); err != nil {
		return err
	}
	t, err := openTIFF(b.Bytes())
	if err != nil {
		return err
	}
	fields := t.fields(t.first)
	if o.Profile != nil {
		fields = append(fields, field{tagProfile, typeUndefined, o.Profile})
	}
	for i := range fields { // out of what is overwritten
		fields[i].data = bytes.Clone(fields[i].data)
	}
	file, err := addTags(b.Bytes()[:t.first], binary.LittleEndian, fields, o.Texts)
	if err != nil {
		return err
	}
	_, err = w.Write(file)
	return err
}
