package main

import (
	"bytes"
	"crypto/sha256"
	"debug/macho"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// libraryList holds the install names of the libraries that the program may load.
//
//go:embed sdk/libraries.txt
var libraryList string

// Load commands (apple-oss-distributions/xnu EXTERNAL_HEADERS/mach-o/loader.h).
const (
	loadDylib        = 0xc
	loadWeakDylib    = 0x80000018
	loadReexport     = 0x8000001f
	loadSignature    = 0x1d
	loadBuildVersion = 0x32
)

// Parts of a code signature, which is big-endian (apple-oss-distributions/xnu osfmk/kern/cs_blobs.h).
const (
	magicSignature = 0xfade0cc0
	magicDirectory = 0xfade0c02
	adHoc          = 0x2 // a flag: signed by nobody
	hashSHA256     = 2
)

// checkProgram says what macOS will find in a program: a processor and a version it knows, exactly
// the listed libraries, and a signature that fits.
func checkProgram(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	libraries, pages, err := inspect(data)
	if err == nil {
		err = compareLibraries(libraries)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	fmt.Printf("a program for macOS 14.0 on arm64 of %d MB and %d libraries; the hashes of its %d pages are right\n",
		len(data)>>20, len(libraries), pages)
	return nil
}

// inspect reads a program: the install names of its libraries, and the number of pages whose hashes
// its signature has. It is an error if the program is not a signed one for macOS 14.0 on arm64.
func inspect(data []byte) (libraries []string, pages int, err error) {
	file, err := macho.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, 0, err
	}
	if file.Cpu != macho.CpuArm64 || file.Type != macho.TypeExec || file.Flags&macho.FlagPIE == 0 {
		return nil, 0, fmt.Errorf("a %v for %v, not a position-independent program for arm64", file.Type, file.Cpu)
	}
	version := "no version"
	for _, load := range file.Loads {
		raw := load.Raw()
		if len(raw) < 16 {
			continue // the commands of interest are longer
		}
		word := func(i int) uint32 { return file.ByteOrder.Uint32(raw[4*i:]) }
		switch word(0) {
		case loadDylib, loadWeakDylib, loadReexport:
			name, _, _ := bytes.Cut(raw[min(int(word(2)), len(raw)):], []byte{0})
			libraries = append(libraries, string(name))
		case loadBuildVersion:
			version = fmt.Sprintf("platform %d, version %d.%d", word(2), word(3)>>16, word(3)>>8&0xff)
		case loadSignature:
			start, size := int(word(2)), int(word(3))
			if start+size > len(data) {
				return nil, 0, errors.New("the signature is outside of the file")
			}
			if pages, err = checkSignature(data[:start], data[start:start+size]); err != nil {
				return nil, 0, err
			}
		}
	}
	if want := "platform 1, version 14.0"; version != want {
		return nil, 0, fmt.Errorf("built for %s, want %s", version, want)
	}
	if pages == 0 {
		return nil, 0, errors.New("not signed")
	}
	return libraries, pages, nil
}

// compareLibraries compares install names with the list.
func compareLibraries(libraries []string) error {
	var wanted []string
	for line := range strings.Lines(libraryList) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			wanted = append(wanted, line)
		}
	}
	var wrong []error
	for _, name := range libraries {
		if !slices.Contains(wanted, name) {
			wrong = append(wrong, fmt.Errorf("loads %s, which is not listed", name))
		}
	}
	for _, name := range wanted {
		if !slices.Contains(libraries, name) {
			wrong = append(wrong, fmt.Errorf("does not load %s, which is listed", name))
		}
	}
	return errors.Join(wrong...)
}

// checkSignature recomputes the hashes of an ad-hoc signature over code, and returns their number.
func checkSignature(code, signature []byte) (int, error) {
	word := func(data []byte, offset int) int {
		if offset < 0 || offset+4 > len(data) {
			return -1
		}
		return int(binary.BigEndian.Uint32(data[offset:]))
	}
	// A signature is its magic number, its size, the number of its parts, and the type and offset
	// of each; the first is the code directory.
	start := word(signature, 16)
	if word(signature, 0) != magicSignature || start < 0 || word(signature, start) != magicDirectory {
		return 0, errors.New("the signature has no code directory")
	}
	directory := signature[start:]
	flags, hashes, slots, limit := word(directory, 12), word(directory, 16), word(directory, 28), word(directory, 32)
	if len(directory) < 40 || directory[36] != sha256.Size || directory[37] != hashSHA256 || directory[39] > 30 {
		return 0, errors.New("the signature is not of SHA-256 hashes")
	}
	page := 1 << directory[39]
	if flags&adHoc == 0 || limit != len(code) || slots != (limit+page-1)/page || hashes+slots*sha256.Size > len(directory) {
		return 0, errors.New("the signature is not an ad-hoc signature of all of the program")
	}
	for i := range slots {
		sum := sha256.Sum256(code[i*page : min((i+1)*page, limit)])
		if !bytes.Equal(sum[:], directory[hashes+i*sha256.Size:][:sha256.Size]) {
			return 0, fmt.Errorf("the signature does not fit page %d", i)
		}
	}
	return slots, nil
}
