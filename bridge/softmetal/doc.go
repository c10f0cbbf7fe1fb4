// Package softmetal lets the bridge to Metal run on Linux: with the build tag softmetal it links
// stand-ins for the classes of Metal, MetalPerformanceShaders and MPSGraph that bridge.m uses, written
// against the same headers (include) as the check of the darwin build. Kernels are compiled by
// cmd/mslc and run by the runtime in the folder runtime, with its checkers; products and convolutions
// of MPSGraph are computed in C (product.c). Without the tag the package is empty.
//
// The one idea: the stand-ins are as strict as Apple's validation layer and as unforgiving as the
// documentation allows. What a device may do, they do at the worst moment: work that was committed
// runs when it is waited for, memory of a heap holds NaN, an executable's inputs are in another order,
// and a wrong call ends the process.
//
// # Environment
//
//	SOFTMETAL_MSLC            the tool mslc; else the first on PATH
//	SOFTMETAL_CACHE           folder of compiled kernels; else /tmp/softmetal-UID
//	SOFTMETAL_SEED            of the order of threads, 1 if unset, 0 for ascending
//	SOFTMETAL_CHECK           0 turns the kernel checkers off
//	SOFTMETAL_EAGER           1 runs command buffers when they are committed
//	SOFTMETAL_MPS_ACCUMULATE  f16 sums products of fp16 in fp16, else in fp32
//	SOFTMETAL_MPS_CONTINUE    n lets MPSGraph commit the command buffer at every n-th graph
//	SOFTMETAL_HEAP_ALIGNMENT  of offsets in a heap, 256 if unset
//	SOFTMETAL_MEMORY          bytes that the device has, 16 GiB if unset
//	SOFTMETAL_FAULT           what goes wrong, once: a list, separated by commas, of no-device,
//	                          no-sharing, no-compiler, no-waits, event=N, allocation=N,
//	                          command-buffer=N, code=N
//
// Tests set the same through [Configure] and [Inject].
package softmetal
