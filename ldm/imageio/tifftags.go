package imageio

import (
	"encoding/binary"
	"errors"
	"slices"
)

// This file reads and writes the directories of TIFF 6.0, in which TIFF files and EXIF data keep
// their tags.

// Tags and types of fields (TIFF 6.0, section 2; Exif 3.0, section 4.6).
const (
	tagBitsPerSample = 0x0102
	tagOrientation   = 0x0112
	tagProfile       = 0x8773 // ICC.1, annex B.4
	tagExif          = 0x8769 // offset of the Exif directory
	tagExifVersion   = 0x9000
	tagMakerNote     = 0x927c
	tagUserComment   = 0x9286

	typeShort     = 3
	typeLong      = 4
	typeUndefined = 7
)

// typeSizes are the bytes of one value, by type.
var typeSizes = [...]int{1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}

// field is one tag of a directory with its values, in the byte order of the file.
type field struct {
	tag, kind uint16
	data      []byte
}

// tiffData is the content of a TIFF file or of EXIF data.
type tiffData struct {
	data  []byte
	order binary.ByteOrder
	first uint32 // offset of the first directory
}

var errTIFF = errors.New("EXIF data that start with no TIFF header")

func openTIFF(data []byte) (tiffData, error) {
	t := tiffData{data: data, order: binary.LittleEndian}
	switch {
	case startsLike(data, "II*\x00????"):
	case startsLike(data, "MM\x00*????"):
		t.order = binary.BigEndian
	default:
		return t, errTIFF
	}
	t.first = t.order.Uint32(data[4:])
	return t, nil
}

// fields are those of the directory at offset whose values lie within the data; others are passed
// over. It follows no offset to another directory, so it ends after one reading.
func (t tiffData) fields(offset uint32) []field {
	const entrySize = 12
	if int64(offset)+2 > int64(len(t.data)) {
		return nil
	}
	entries := t.data[offset+2:]
	count := min(int(t.order.Uint16(t.data[offset:])), len(entries)/entrySize)
	fields := make([]field, 0, count)
	for i := range count {
		e := entries[i*entrySize:][:entrySize]
		f := field{tag: t.order.Uint16(e), kind: t.order.Uint16(e[2:])}
		if int(f.kind) >= len(typeSizes) || typeSizes[f.kind] == 0 {
			continue
		}
		size := int64(t.order.Uint32(e[4:])) * int64(typeSizes[f.kind])
		if f.data = e[8:]; size > 4 {
			at := int64(t.order.Uint32(e[8:]))
			if at+size > int64(len(t.data)) {
				continue
			}
			f.data = t.data[at:]
		}
		f.data = f.data[:size:size]
		fields = append(fields, f)
	}
	return fields
}

// value is the data of the first field of the given tag, or nil.
func value(fields []field, tag uint16) []byte {
	for _, f := range fields {
		if f.tag == tag {
			return f.data
		}
	}
	return nil
}

// number is the first value of a tag of type SHORT or LONG, or 0.
func (t tiffData) number(fields []field, tag uint16) uint32 {
	for _, f := range fields {
		switch {
		case f.tag != tag:
		case f.kind == typeShort && len(f.data) >= 2:
			return uint32(t.order.Uint16(f.data))
		case f.kind == typeLong && len(f.data) >= 4:
			return t.order.Uint32(f.data)
		}
	}
	return 0
}

// appendDirectory adds a directory of the fields at an even offset to b, which starts with a TIFF
// header, and returns that offset.
func appendDirectory(b []byte, order binary.AppendByteOrder, fields []field) ([]byte, uint32) {
	fields = slices.SortedFunc(slices.Values(fields), func(x, y field) int { return int(x.tag) - int(y.tag) })
	b = even(b)
	start := len(b)
	data := start + 2 + 12*len(fields) + 4 // where values of more than 4 bytes go
	var long []byte
	b = order.AppendUint16(b, uint16(len(fields)))
	for _, f := range fields {
		b = order.AppendUint16(b, f.tag)
		b = order.AppendUint16(b, f.kind)
		b = order.AppendUint32(b, uint32(len(f.data)/typeSizes[f.kind]))
		if len(f.data) > 4 {
			b = order.AppendUint32(b, uint32(data+len(long)))
			long = even(append(long, f.data...))
		} else {
			b = append(append(b, f.data...), make([]byte, 4-len(f.data))...)
		}
	}
	b = order.AppendUint32(b, 0) // no further directory
	return append(b, long...), uint32(start)
}

// even adds a zero byte to b where its length is odd.
func even(b []byte) []byte {
	if len(b)%2 == 1 {
		b = append(b, 0)
	}
	return b
}
