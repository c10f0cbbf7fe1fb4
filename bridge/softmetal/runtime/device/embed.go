// Package device holds the C++ sources that become part of every kernel library: softmetal.h with
// what it includes, which stands for Apple's metal_stdlib, and the executor that runs kernels.
package device

import "embed"

// Sources has the headers (*.h) and the executor (*.cpp) under src.
//
//go:embed src/*.h src/*.cpp
var Sources embed.FS
