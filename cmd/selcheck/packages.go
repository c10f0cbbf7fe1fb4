package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// module is the path of the module that is checked.
const module = "ldm-mac"

// darwinkit is where the import paths of darwinkit's packages of frameworks begin.
const darwinkit = "github.com/progrium/darwinkit/macos/"

// A goPackage is what the go command says of a package for darwin/arm64 with cgo.
type goPackage struct {
	ImportPath, Dir   string
	GoFiles, CgoFiles []string // names in Dir
	CFiles, MFiles    []string
	CgoCFLAGS         []string
	CgoLDFLAGS        []string
	ImportMap         map[string]string // of the standard library's vendored imports
	Standard          bool
	Module            *struct{ Path string }
}

// own reports whether the package is the product's.
func (p *goPackage) own() bool { return p.Module != nil && p.Module.Path == module }

// paths returns names as files of the package.
func (p *goPackage) paths(names ...[]string) (paths []string) {
	for _, list := range names {
		for _, name := range list {
			paths = append(paths, filepath.Join(p.Dir, name))
		}
	}
	return paths
}

// list returns the packages that the patterns name and all that they import, imports first.
func list(patterns ...string) ([]*goPackage, error) {
	const fields = "-json=ImportPath,Dir,GoFiles,CgoFiles,CFiles,MFiles,CgoCFLAGS,CgoLDFLAGS,ImportMap,Standard,Module"
	cmd := exec.Command("go", append([]string{"list", "-deps", fields}, patterns...)...)
	cmd.Env = append(os.Environ(), "GOOS=darwin", "GOARCH=arm64", "CGO_ENABLED=1")
	out, err := output(cmd)
	if err != nil {
		return nil, err
	}
	var packages []*goPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		p := new(goPackage)
		if err := decoder.Decode(p); err == io.EOF {
			return packages, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		packages = append(packages, p)
	}
}

// output runs a command and returns what it prints; the error has what it prints of its own.
func output(cmd *exec.Cmd) ([]byte, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Path), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}
