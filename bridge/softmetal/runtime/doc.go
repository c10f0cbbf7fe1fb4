// Package runtime runs kernels of the Metal Shading Language on the host, one thread at a time, and
// finds what a GPU would let pass: races, accesses out of bounds, threadgroup memory that nobody
// wrote, barriers and simdgroup operations that not all threads reach.
//
// The one idea: each thread of a threadgroup is a fiber that runs until it waits for others, in an
// order that a seed chooses, so every schedule that barriers allow can occur, and any of them can be
// repeated. A library made by cmd/mslc carries its own executor, compiled from package device; this
// package opens libraries, from C by softmetal_runtime.h and from Go by [Open].
//
// What it cannot show: that Apple's compiler takes the source (package msl comes close), the order in
// which a GPU rounds sums, its flushing of denormal numbers, and what registers allow of threads.
// Races are found between accesses that a run makes, not those that other data would bring. Accesses
// of vectors above 16 bytes, such as long4, are not checked, nor is device memory that nobody wrote.
package runtime
