// Package shaders holds the kernels that run on the GPU, in the Metal Shading Language 3.0: one file
// for each family of operators, named as the operator is everywhere else, args.h with the arguments
// of every kernel, and common.metal with what all share.
//
// The one idea: they are one source, [Source], which the driver compiles when the program starts;
// package metal knows each kernel's name, arguments and grid. Tensors are stored as float or half,
// as the suffix _f32 or _f16 of a kernel says; arithmetic is in float. Nothing relies on infinities
// or NaNs, which fast math, the compiler's default, may assume absent.
package shaders

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"strings"
)

//go:embed args.h *.metal
var files embed.FS

// order has what others need first.
var order = []string{
	"args.h", "common.metal",
	"elementwise.metal", "broadcast.metal", "norm.metal", "softmax.metal", "layout.metal", "resample.metal",
	"finite.metal", "gemm.metal", "conv.metal", "attention.metal",
}

// Source is every kernel as one text, whose lines compilers report by their file's own name and
// number.
func Source() string {
	var text strings.Builder
	text.WriteString("#include <metal_stdlib>\n#include <metal_simdgroup_matrix>\nusing namespace metal;\n")
	for _, name := range order {
		data, err := files.ReadFile(name)
		if err != nil {
			panic(err) // a file of order that is not embedded
		}
		fmt.Fprintf(&text, "#line 1 %q\n%s", name, data)
	}
	return text.String()
}

// Hash names the version of [Source] for what is cached of it: SHA-256 in hexadecimal.
func Hash() string {
	sum := sha256.Sum256([]byte(Source()))
	return hex.EncodeToString(sum[:])
}
