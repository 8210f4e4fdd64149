#include "tflite_kernels/arch/depthwise_conv2d.h"
#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/neon.h"

namespace edgeax {

Status DepthwiseConv2DNeon(const DepthwiseConv2DArgs& args, const Tensors& tensors) {
  return DepthwiseConv2DOn<Neon>(args, tensors);
}

Status DepthwiseConv2DScratchBytesNeon(const DepthwiseConv2DArgs& args, size_t* bytes) {
  return DepthwiseConv2DScratchBytesOn<Neon>(args, bytes);
}

}  // namespace edgeax
