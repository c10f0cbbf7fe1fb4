package imageio

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"path/filepath"
	"strings"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"
)

// Format is a kind of picture file.
type Format string

// Read takes all of these; Encode writes PNG, JPEG, WebP and TIFF.
const (
	PNG  Format = "PNG"
	JPEG Format = "JPEG"
	WebP Format = "WebP"
	TIFF Format = "TIFF"
	BMP  Format = "BMP"
	GIF  Format = "GIF"
)

// extensions of file names by the format that Encode writes under them.
var extensions = map[string]Format{
	".png": PNG, ".jpg": JPEG, ".jpeg": JPEG, ".jpe": JPEG, ".webp": WebP, ".tif": TIFF, ".tiff": TIFF,
}

// FormatOf is the format to write a file of the given name in, by its extension in any case.
func FormatOf(name string) (Format, error) {
	extension := filepath.Ext(name)
	if format, ok := extensions[strings.ToLower(extension)]; ok {
		return format, nil
	}
	return "", fmt.Errorf("imageio: %s: extension %q names no format, want .png, .jpg, .webp or .tiff", name, extension)
}

// decoders know each format by the bytes a file starts with, in which '?' is any byte.
var decoders = []struct {
	magic  string
	format Format
	config func(io.Reader) (image.Config, error)
	pixels func(io.Reader) (image.Image, error)
}{
	{signature, PNG, png.DecodeConfig, png.Decode},
	{"\xff\xd8\xff", JPEG, jpeg.DecodeConfig, jpeg.Decode},
	{"RIFF????WEBP", WebP, webp.DecodeConfig, webp.Decode},
	{"II*\x00", TIFF, tiff.DecodeConfig, tiff.Decode},
	{"MM\x00*", TIFF, tiff.DecodeConfig, tiff.Decode},
	{"GIF87a", GIF, gif.DecodeConfig, gif.Decode},
	{"GIF89a", GIF, gif.DecodeConfig, gif.Decode},
	{"BM", BMP, bmp.DecodeConfig, bmp.Decode},
}

var errFormat = errors.New("not a picture in a known format, want PNG, JPEG, WebP, TIFF, BMP or GIF")

// sniff is the index in decoders of the format that data starts like.
func sniff(data []byte) (int, error) {
	for i, d := range decoders {
		if startsLike(data, d.magic) {
			return i, nil
		}
	}
	if startsLike(data, "????ftyphei") || startsLike(data, "????ftypmif1") {
		return 0, errors.New("a HEIC picture, want PNG, JPEG, WebP, TIFF, BMP or GIF")
	}
	return 0, errFormat
}

func startsLike(data []byte, magic string) bool {
	if len(data) < len(magic) {
		return false
	}
	head := bytes.Clone(data[:len(magic)])
	for i := range head {
		if magic[i] == '?' {
			head[i] = '?'
		}
	}
	return string(head) == magic
}
