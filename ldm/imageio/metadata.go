package imageio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// This file finds EXIF data and ICC profiles in files of each format.

// metadata are those parts of a file, nil where it has none that can be read.
type metadata struct {
	exif    []byte // from its TIFF header on
	profile []byte
}

const (
	exifPrefix    = "Exif\x00\x00"      // Exif 3.0, section 4.7.2.1
	profilePrefix = "ICC_PROFILE\x00"   // ICC.1, annex B.4
	maxProfile    = 8 << 20             // bytes; the largest in use, of presses, have 2 to 3 MB
	maxSegment    = 1<<16 - 1 - 2       // bytes of data in a JPEG segment
	profileChunk  = maxSegment - 12 - 2 // of them for a profile, beside prefix, number and count
	profileChunks = 1<<8 - 1            // the most segments of a profile
)

// readMetadata finds the metadata of a file that starts as its format does.
func readMetadata(format Format, data []byte) metadata {
	switch format {
	case PNG:
		return pngMetadata(data)
	case JPEG:
		return jpegMetadata(data)
	case WebP:
		return webpMetadata(data)
	case TIFF:
		t, err := openTIFF(data)
		if err != nil {
			return metadata{}
		}
		return metadata{exif: data, profile: bytes.Clone(value(t.fields(t.first), tagProfile))}
	}
	return metadata{}
}

// pngMetadata reads the chunks eXIf and iCCP (PNG third edition, sections 11.3.4.5 and 11.3.2.3).
func pngMetadata(data []byte) (m metadata) {
	r := bytes.NewReader(data[len(signature):])
	wanted := func(kind string) bool { return kind == "eXIf" || kind == "iCCP" }
	for {
		kind, chunk, err := readChunk(r, wanted)
		if err != nil || kind == "IEND" {
			return m
		}
		switch kind {
		case "eXIf":
			m.exif = chunk
		case "iCCP": // a name, NUL, the compression method 0, and the profile
			_, rest, ok := bytes.Cut(chunk, []byte{0})
			if ok && len(rest) > 0 && rest[0] == 0 {
				m.profile, _ = inflate(rest[1:], maxProfile)
			}
		}
	}
}

// jpegMetadata reads the segments APP1 and APP2 that precede the pixels. A profile is spread over
// numbered segments in any order, all of which must be there.
func jpegMetadata(data []byte) (m metadata) {
	const app1, app2, scan, end = 0xe1, 0xe2, 0xda, 0xd9
	var parts [profileChunks + 1][]byte // by number, which starts at 1
	count := 0
	for data = data[2:]; len(data) >= 4 && data[0] == 0xff; {
		marker := data[1]
		if marker == 0xff { // a fill byte
			data = data[1:]
			continue
		}
		size := int(binary.BigEndian.Uint16(data[2:]))
		if marker == scan || marker == end || size < 2 || 2+size > len(data) {
			break
		}
		segment := data[4 : 2+size]
		data = data[2+size:]
		if exif, ok := bytes.CutPrefix(segment, []byte(exifPrefix)); ok && marker == app1 && m.exif == nil {
			m.exif = exif
		}
		part, ok := bytes.CutPrefix(segment, []byte(profilePrefix))
		if ok && marker == app2 && len(part) > 2 {
			parts[part[0]], count = part[2:], int(part[1])
		}
	}
	for _, part := range parts[1:][:count] {
		if part == nil || len(m.profile)+len(part) > maxProfile {
			m.profile = nil
			break
		}
		m.profile = append(m.profile, part...)
	}
	return m
}

// webpMetadata reads the chunks EXIF and ICCP (RFC 9649, section 2.7). Some programs put the prefix
// of JPEG's EXIF data before them.
func webpMetadata(data []byte) (m metadata) {
	const header = len("RIFF????WEBP")
	for data = data[header:]; len(data) >= 8; {
		kind, size := string(data[:4]), int64(binary.LittleEndian.Uint32(data[4:]))
		data = data[8:]
		if size > int64(len(data)) {
			return m
		}
		switch kind {
		case "EXIF":
			m.exif = bytes.TrimPrefix(data[:size], []byte(exifPrefix))
		case "ICCP":
			m.profile = bytes.Clone(data[:size])
		}
		data = data[min(size+size%2, int64(len(data))):]
	}
	return m
}

// checkProfile reports what is wrong with an ICC profile that is to go with RGB samples, as far as
// its header tells (ICC.1, section 7.2).
func checkProfile(profile []byte) error {
	const header, spaceAt, signatureAt = 128, 16, 36
	switch {
	case len(profile) < header || string(profile[signatureAt:][:4]) != "acsp":
		return errors.New("imageio: not an ICC profile")
	case len(profile) > maxProfile:
		return fmt.Errorf("imageio: ICC profile of %d bytes, want at most %d", len(profile), maxProfile)
	case string(profile[spaceAt:][:4]) != "RGB ":
		return fmt.Errorf("imageio: ICC profile for the colour space %q, want \"RGB \"", profile[spaceAt:][:4])
	}
	return nil
}
