//go:build darwin && cgo

package shaders_test

// seeds has one order of threads: the GPU's own.
var seeds = []int{0}

func reorder(int) {}
