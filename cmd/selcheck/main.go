// Command selcheck proves on Linux what can be proved there of the build for macOS: against stub
// headers of our own, and the stub headers against darwinkit's bindings, which were generated from
// Apple's. .ci/check-darwin runs its commands in order; DARWIN_CC is a clang for
// arm64-apple-macos14.0.
//
//	selcheck types                        checks the types of all Go packages, without a C compiler
//	selcheck sysroot BASE DIR HEADERS...  makes a sysroot under DIR and prints its path
//	selcheck compile                      compiles all C and Objective-C: clang's warnings, its analyzer
//	selcheck messages PACKAGE             compares what a package says of Apple's classes with darwinkit
//	selcheck program FILE                 looks at a linked program: version, libraries, signature
package main

import (
	"errors"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "selcheck:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "types":
		return checkTypes()
	case len(args) >= 4 && args[0] == "sysroot":
		dir, err := makeSysroot(args[1], args[2], args[3:])
		if err == nil {
			fmt.Println(dir)
		}
		return err
	case len(args) == 1 && args[0] == "compile":
		return checkC()
	case len(args) == 2 && args[0] == "messages":
		return checkMessages(args[1])
	case len(args) == 2 && args[0] == "program":
		return checkProgram(args[1])
	}
	return errors.New("usage: selcheck types | sysroot BASE DIR HEADERS... | compile | messages PACKAGE | program FILE")
}
