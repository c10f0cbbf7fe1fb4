package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// This file makes the folder that stands for Apple's SDK: the C library's headers and symbols of a
// base folder, own stub headers, and the text stubs of libraries.

// makeSysroot makes a sysroot in a folder of dir named by a hash of what is in it, and returns its
// path. base has the C library's include/ and libSystem.tbd; a folder X of a header folder is the
// framework X, or usr/include/X where the name begins with a small letter.
func makeSysroot(base, dir string, headers []string) (string, error) {
	packages, err := list("./...")
	if err != nil {
		return "", err
	}
	files := map[string]string{} // by path in the sysroot
	for _, folder := range headers {
		if err := addHeaders(files, folder); err != nil {
			return "", err
		}
	}
	libraries := librariesOf(packages)
	symbols, err := symbolsOf(libraries)
	if err != nil {
		return "", err
	}
	for _, library := range libraries {
		addLibrary(files, library, symbols[library.name])
	}
	for _, p := range packages {
		if err := addForeign(files, p); err != nil {
			return "", err
		}
	}
	return writeSysroot(base, dir, files)
}

// addHeaders adds the headers of a folder.
func addHeaders(files map[string]string, folder string) error {
	return fs.WalkDir(os.DirFS(folder), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".h" {
			return err
		}
		text, err := os.ReadFile(filepath.Join(folder, name))
		top, rest, inside := strings.Cut(name, "/")
		switch {
		case !inside:
			return fmt.Errorf("%s/%s: a stub header belongs into the folder of its framework", folder, name)
		case top == strings.ToLower(top):
			files["usr/include/"+name] = string(text)
		default:
			files[frameworkPath(top)+"/Headers/"+rest] = string(text)
		}
		return err
	})
}

func frameworkPath(name string) string { return "System/Library/Frameworks/" + name + ".framework" }

var (
	imported      = regexp.MustCompile(`#(?:import|include) [<"]([A-Z]\w+)/(\w+)\.h[>"]`)
	protocolUsed  = regexp.MustCompile(`@protocol\((\w+)\)`)
	protocolGiven = regexp.MustCompile(`(?m)^@protocol (\w+)(?: <.*)?$`)
)

// addForeign adds what the Objective-C of a package of others needs of frameworks: the headers that
// it includes, as other names of the framework's one header, and the protocols whose existence it
// asks for.
func addForeign(files map[string]string, p *goPackage) error {
	if p.own() || p.Standard {
		return nil
	}
	for _, file := range p.paths(p.MFiles, p.CgoFiles) {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		framework := ""
		for _, match := range imported.FindAllSubmatch(text, -1) {
			framework = string(match[1])
			header := frameworkPath(framework) + "/Headers/" + string(match[2]) + ".h"
			if files[header] == "" {
				files[header] = "#import <" + framework + "/" + framework + ".h>\n"
			}
		}
		for _, match := range protocolUsed.FindAllSubmatch(text, -1) {
			addProtocol(files, framework, string(match[1]))
		}
	}
	return nil
}

// addProtocol declares a protocol in the header of a framework whose headers lack it.
func addProtocol(files map[string]string, framework, name string) {
	folder := frameworkPath(framework) + "/Headers/"
	for file, text := range files {
		if strings.HasPrefix(file, folder) {
			for _, match := range protocolGiven.FindAllStringSubmatch(text, -1) {
				if match[1] == name {
					return
				}
			}
		}
	}
	files[folder+framework+".h"] += "\n@protocol " + name + "\n@end\n"
}

// writeSysroot writes files beside links to what base has, unless it is done already.
func writeSysroot(base, dir string, files map[string]string) (string, error) {
	base, err := filepath.Abs(base)
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	fmt.Fprintln(hash, base)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(hash, "%s %d\n%s", name, len(files[name]), files[name])
	}
	root := filepath.Join(dir, "sysroot-"+hex.EncodeToString(hash.Sum(nil))[:16])
	if _, err := os.Stat(root); err == nil {
		return root, nil
	}
	unfinished, err := os.MkdirTemp(dir, "unfinished-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(unfinished)
	for name, text := range files {
		file := filepath.Join(unfinished, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return "", err
		}
	}
	for _, folder := range []string{"include", "lib"} {
		entries, err := os.ReadDir(filepath.Join(base, folder))
		if err != nil {
			return "", err
		}
		for _, entry := range entries {
			link := filepath.Join(unfinished, "usr", folder, entry.Name())
			if err := os.Symlink(filepath.Join(base, folder, entry.Name()), link); err != nil {
				return "", err
			}
		}
	}
	return root, os.Rename(unfinished, root)
}
