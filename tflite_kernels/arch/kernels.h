#pragma once  // arch/kernels.h: the kernels of core/ on other instruction sets, for dispatch.cc.

#include "tflite_kernels/core/conv2d.h"
#include "tflite_kernels/core/depthwise_conv2d.h"
#include "tflite_kernels/core/fully_connected.h"

// Signatures, results and errors as in core/. `tensors.scratch` has at least the bytes that the
// ...ScratchBytes of the same arguments gives, or the kernel returns kBadScratch.
#define EDGEAX_DECLARE_KERNEL(Operator, Isa)                                \
  Status Operator##Isa(const Operator##Args& args, const Tensors& tensors); \
  Status Operator##ScratchBytes##Isa(const Operator##Args& args, size_t* bytes);

namespace edgeax {

EDGEAX_DECLARE_KERNEL(Conv2D, Avx2)
EDGEAX_DECLARE_KERNEL(DepthwiseConv2D, Avx2)
EDGEAX_DECLARE_KERNEL(FullyConnected, Avx2)

EDGEAX_DECLARE_KERNEL(Conv2D, Neon)
EDGEAX_DECLARE_KERNEL(DepthwiseConv2D, Neon)
EDGEAX_DECLARE_KERNEL(FullyConnected, Neon)

EDGEAX_DECLARE_KERNEL(Conv2D, NeonDotprod)
EDGEAX_DECLARE_KERNEL(FullyConnected, NeonDotprod)

}  // namespace edgeax

#undef EDGEAX_DECLARE_KERNEL
