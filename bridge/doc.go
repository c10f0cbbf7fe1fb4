// Package bridge is Go's way to Metal: the only package that contains Objective-C and the only one
// that imports "C" for it. It knows devices, memory, kernels, the matrix products and convolutions
// of MPSGraph, and the order of commands; it does not know operators, models or graphs of either.
//
// The one idea: Go talks to the C functions of bridge.h, typed handles and numbers, and bridge.m
// alone talks to Apple's classes. On Linux, under the build tag softmetal, the same bridge.m runs
// against the stand-ins of package softmetal. Without Metal or cgo the package still builds, and
// [Open] returns [ErrUnavailable].
//
// # Ownership
//
// What New…, Open…, Wrap… and Begin return belongs to the caller and is released by its Close,
// which may be called twice and is the only way: nothing is left to the garbage collector, which
// sees a few bytes where the device holds gigabytes. The order of Close does not matter, except
// that a Device is closed last. Commands retain the buffers and pipelines they use, so these may be
// closed once the command is encoded. The memory given to [Device.WrapBuffer] must stay mapped until
// the buffer is closed and the commands that use it have been waited for.
//
// A Device, and everything made from it, serves one goroutine at a time.
package bridge
