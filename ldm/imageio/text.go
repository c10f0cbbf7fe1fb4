package imageio

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"unicode/utf8"
)

const (
	// maxText bounds, in bytes, one text chunk and all the text of one file when inflated. The
	// largest text in use, a ComfyUI workflow, is below 1 MiB.
	maxText = 16 << 20
	// maxChunk is the format's own bound (PNG third edition, section 5.3).
	maxChunk = 1<<31 - 1
)

// ReadText reads the texts of a picture, as UTF-8: the text chunks (tEXt, zTXt, iTXt) of a PNG in
// file order, of a JPEG, WebP or TIFF those that Encode wrote into its EXIF data, and under
// ParametersKeyword the UserComment that other programs wrote. BMP and GIF have none.
//
// A PNG is read to the end of the image, since text may follow the pixels; every CRC is checked, and no
// more is held than the text itself, at most 16 MiB. With an error come the texts that precede the
// fault.
func ReadText(r io.Reader) ([]Text, error) {
	head := make([]byte, len("RIFF????WEBP"))
	n, err := io.ReadFull(r, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return nil, fmt.Errorf("imageio: %w", err)
	}
	i, err := sniff(head[:n])
	if err != nil {
		return nil, fmt.Errorf("imageio: %w", err)
	}
	r = io.MultiReader(bytes.NewReader(head[:n]), r)
	if decoders[i].format == PNG {
		return readTextChunks(r)
	}
	data, err := readAll(r, maxFile)
	if err != nil {
		return nil, fmt.Errorf("imageio: %w", err)
	}
	exif := readMetadata(decoders[i].format, data).exif
	if exif == nil {
		return nil, nil
	}
	texts, err := exifTexts(exif)
	if err != nil {
		return texts, fmt.Errorf("imageio: %s: %w", decoders[i].format, err)
	}
	return texts, nil
}

// readTextChunks is ReadText of a PNG.
func readTextChunks(r io.Reader) ([]Text, error) {
	if _, err := io.CopyN(io.Discard, r, int64(len(signature))); err != nil {
		return nil, fmt.Errorf("imageio: %w", unexpected(err))
	}
	var texts []Text
	budget := maxText
	for first := true; ; first = false {
		kind, data, err := readChunk(r, isText)
		if err != nil {
			return texts, err
		}
		if first && kind != "IHDR" {
			return nil, fmt.Errorf("imageio: PNG starts with chunk %q, want \"IHDR\"", kind)
		}
		if kind == "IEND" {
			return texts, nil
		}
		if !isText(kind) {
			continue
		}
		t, err := parseText(kind, data, budget)
		if err != nil {
			return texts, fmt.Errorf("imageio: PNG chunk %s: %w", kind, err)
		}
		budget -= len(t.Value)
		texts = append(texts, t)
	}
}

func isText(kind string) bool { return kind == "tEXt" || kind == "zTXt" || kind == "iTXt" }

// readChunk reads one chunk and checks its CRC. The data of the wanted kinds is returned, of at most
// maxText bytes; that of any other kind is passed over.
func readChunk(r io.Reader, wanted func(kind string) bool) (kind string, data []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return "", nil, fmt.Errorf("imageio: PNG ends before its IEND chunk: %w", unexpected(err))
	}
	kind = string(head[4:])
	length := int64(binary.BigEndian.Uint32(head[:4]))
	limit := int64(maxChunk)
	if wanted(kind) {
		limit = maxText
	}
	if length > limit {
		return "", nil, fmt.Errorf("imageio: PNG chunk %q claims %d bytes, want at most %d", kind, length, limit)
	}
	crc := crc32.NewIEEE()
	crc.Write(head[4:])
	var kept bytes.Buffer // grows with what is read, whatever the length claims
	sink := io.Writer(crc)
	if wanted(kind) {
		sink = io.MultiWriter(crc, &kept)
	}
	if _, err := io.CopyN(sink, r, length); err != nil {
		return "", nil, fmt.Errorf("imageio: PNG chunk %q of %d bytes: %w", kind, length, unexpected(err))
	}
	if _, err := io.ReadFull(r, head[:4]); err != nil {
		return "", nil, fmt.Errorf("imageio: PNG chunk %q: CRC: %w", kind, unexpected(err))
	}
	if got, want := binary.BigEndian.Uint32(head[:4]), crc.Sum32(); got != want {
		return "", nil, fmt.Errorf("imageio: PNG chunk %q has CRC %08x, want %08x", kind, got, want)
	}
	return kind, kept.Bytes(), nil
}

// unexpected turns the end of the file into the error it is inside a picture.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

var errNoEnd = errors.New("a field has no end mark")

// parseText decodes the data of a text chunk (PNG third edition, sections 11.3.3.2 to 11.3.3.4)
// whose text has at most limit bytes.
func parseText(kind string, data []byte, limit int) (Text, error) {
	key, data, ok := bytes.Cut(data, []byte{0})
	if !ok {
		return Text{}, errNoEnd
	}
	if len(key) < 1 || len(key) > maxKeyword {
		return Text{}, fmt.Errorf("keyword of %d bytes, want 1 to %d", len(key), maxKeyword)
	}
	var compressed, method byte
	switch kind {
	case "zTXt":
		if len(data) < 1 {
			return Text{}, errNoEnd
		}
		compressed, method, data = 1, data[0], data[1:]
	case "iTXt":
		if len(data) < 2 {
			return Text{}, errNoEnd
		}
		compressed, method, data = data[0], data[1], data[2:]
		for range 2 { // language tag, translated keyword
			if _, data, ok = bytes.Cut(data, []byte{0}); !ok {
				return Text{}, errNoEnd
			}
		}
	}
	if compressed > 1 || compressed == 1 && method != 0 {
		return Text{}, fmt.Errorf("compression flag %d, method %d: want flag 0 or 1, method 0", compressed, method)
	}
	if compressed == 1 {
		var err error
		if data, err = inflate(data, limit); err != nil {
			return Text{}, err
		}
	}
	value := string(data)
	if kind != "iTXt" {
		value = fromLatin1(data)
	} else if !utf8.Valid(data) {
		return Text{}, fmt.Errorf("text %q is not UTF-8", fromLatin1(key))
	}
	if len(value) > limit {
		return Text{}, fmt.Errorf("the file has more than %d bytes of text", maxText)
	}
	return Text{fromLatin1(key), value}, nil
}

// inflate decompresses zlib data and stops where it exceeds limit bytes.
func inflate(data []byte, limit int) ([]byte, error) {
	z, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(io.LimitReader(z, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(out) > limit {
		return nil, fmt.Errorf("inflates to more than %d bytes", limit)
	}
	return out, nil
}

// fromLatin1 is the ISO 8859-1 text b in UTF-8.
func fromLatin1(b []byte) string {
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes)
}
