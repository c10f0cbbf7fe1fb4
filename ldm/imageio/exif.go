package imageio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// This file keeps texts in EXIF data, for the formats that have no text chunks. The parameters are
// the tag UserComment, as AUTOMATIC1111's web UI writes and reads them; all other texts are the tag
// MakerNote, which the standard leaves to the maker: "ldm-mac", NUL, then for each text the
// keyword, NUL, the value, NUL, in UTF-8.

const (
	makerPrefix = "ldm-mac\x00"
	// The eight bytes in front of a UserComment name its encoding (Exif 3.0, section 4.6.6, UserComment).
	commentUnicode   = "UNICODE\x00"
	commentASCII     = "ASCII\x00\x00\x00"
	commentUndefined = "\x00\x00\x00\x00\x00\x00\x00\x00"
)

// orientation is the tag Orientation of EXIF data, 1 to 8; it is 1 where the data have none.
func orientation(exif []byte) int {
	t, err := openTIFF(exif)
	if err != nil {
		return 1
	}
	if n := t.number(t.fields(t.first), tagOrientation); n >= 1 && n <= 8 {
		return int(n)
	}
	return 1
}

// exifTexts reads the texts in EXIF data, that of UserComment under ParametersKeyword.
func exifTexts(exif []byte) ([]Text, error) {
	t, err := openTIFF(exif)
	if err != nil {
		return nil, err
	}
	fields := t.fields(t.exifDirectory())
	var texts []Text
	if comment := value(fields, tagUserComment); len(comment) > len(commentUnicode) {
		text, err := decodeComment(comment, t.order)
		if err != nil {
			return nil, fmt.Errorf("EXIF UserComment: %w", err)
		}
		if text != "" {
			texts = append(texts, Text{ParametersKeyword, text})
		}
	}
	note, ok := strings.CutPrefix(string(value(fields, tagMakerNote)), makerPrefix)
	for ok && note != "" {
		var t Text
		var found bool
		if t.Keyword, note, found = strings.Cut(note, "\x00"); found {
			t.Value, note, found = strings.Cut(note, "\x00")
		}
		if !found {
			return texts, fmt.Errorf("EXIF MakerNote: %w", errNoEnd)
		}
		if err := t.Validate(); err != nil {
			return texts, fmt.Errorf("EXIF MakerNote: %w", err)
		}
		texts = append(texts, t)
	}
	return texts, nil
}

// exifDirectory is the offset of the Exif directory; without one, of the end of the data.
func (t tiffData) exifDirectory() uint32 {
	if at := t.number(t.fields(t.first), tagExif); at != 0 {
		return at
	}
	return uint32(len(t.data))
}

// decodeComment is the text of a UserComment of more than eight bytes in EXIF data of that order.
func decodeComment(comment []byte, order binary.ByteOrder) (string, error) {
	code, data := string(comment[:8]), comment[8:]
	if len(data) > maxText {
		return "", fmt.Errorf("%d bytes, want at most %d", len(data), maxText)
	}
	switch code {
	case commentUnicode:
		return fromUTF16(data, order), nil
	case commentASCII, commentUndefined:
		data = bytes.TrimRight(data, "\x00 ")
		if utf8.Valid(data) {
			return string(data), nil
		}
		return fromLatin1(data), nil
	}
	return "", fmt.Errorf("encoding %q, want UNICODE or ASCII", code)
}

// byteOrderMark may stand in front of UTF-16 to say its order.
const byteOrderMark = "\ufeff"

// fromUTF16 decodes UTF-16. A mark says its order; else it is big-endian, as the web UI writes it
// whatever the order of the EXIF data. Other programs write it little-endian into little-endian data;
// there the text tells: of its ASCII the zero bytes come first in big-endian.
func fromUTF16(data []byte, exif binary.ByteOrder) string {
	var order binary.ByteOrder = binary.BigEndian
	var zeros [2]int
	for i, c := range data {
		if c == 0 {
			zeros[i%2]++
		}
	}
	switch {
	case startsLike(data, "\xfe\xff"):
		data = data[2:]
	case startsLike(data, "\xff\xfe"):
		data, order = data[2:], binary.LittleEndian
	case exif == binary.LittleEndian && zeros[1] > zeros[0]:
		order = binary.LittleEndian
	}
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = order.Uint16(data[2*i:])
	}
	return strings.TrimRight(string(utf16.Decode(units)), "\x00")
}

// exifFields are the fields of the Exif directory that holds the texts, which must be valid and of
// which one at most is the parameters.
func exifFields(order binary.AppendByteOrder, texts []Text) ([]field, error) {
	fields := []field{{tagExifVersion, typeUndefined, []byte("0232")}}
	note := makerPrefix
	for _, t := range texts {
		if err := t.Validate(); err != nil {
			return nil, err
		}
		if t.Keyword != ParametersKeyword {
			note += t.Keyword + "\x00" + t.Value + "\x00"
			continue
		}
		if len(fields) > 1 {
			return nil, errors.New("imageio: two texts are named \"" + ParametersKeyword + "\", EXIF data hold one")
		}
		comment := []byte(commentUnicode)
		text := t.Value
		if order == binary.AppendByteOrder(binary.LittleEndian) || strings.HasPrefix(text, byteOrderMark) {
			text = byteOrderMark + text // see fromUTF16
		}
		for _, unit := range utf16.Encode([]rune(text)) {
			comment = binary.BigEndian.AppendUint16(comment, unit)
		}
		fields = append(fields, field{tagUserComment, typeUndefined, comment})
	}
	if note != makerPrefix {
		fields = append(fields, field{tagMakerNote, typeUndefined, []byte(note)})
	}
	return fields, nil
}

// exifBlock is EXIF data that hold the texts, or nil without any.
func exifBlock(texts []Text) ([]byte, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	return addTags([]byte("MM\x00*\x00\x00\x00\x00"), binary.BigEndian, nil, texts)
}

// addTags makes fields and the texts the tags of the TIFF file b, which has no directory yet.
func addTags(b []byte, order binary.AppendByteOrder, fields []field, texts []Text) ([]byte, error) {
	if len(texts) > 0 {
		exif, err := exifFields(order, texts)
		if err != nil {
			return nil, err
		}
		var at uint32
		b, at = appendDirectory(b, order, exif)
		fields = append(slices.Clone(fields), field{tagExif, typeLong, order.AppendUint32(nil, at)})
	}
	b, at := appendDirectory(b, order, fields)
	copy(b[4:8], order.AppendUint32(nil, at))
	return b, nil
}
