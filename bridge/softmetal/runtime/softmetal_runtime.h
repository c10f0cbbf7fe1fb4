// The C interface of the kernel runtime, where hosts look for it; kernels are compiled with the same.
#include "device/src/softmetal_runtime.h"
