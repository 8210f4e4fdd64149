#include "tflite_kernels/arch/avx2.h"
#include "tflite_kernels/arch/depthwise_conv2d.h"
#include "tflite_kernels/arch/kernels.h"

namespace edgeax {

Status DepthwiseConv2DAvx2(const DepthwiseConv2DArgs& args, const Tensors& tensors) {
  return DepthwiseConv2DOn<Avx2>(args, tensors);
}

Status DepthwiseConv2DScratchBytesAvx2(const DepthwiseConv2DArgs& args, size_t* bytes) {
  return DepthwiseConv2DScratchBytesOn<Avx2>(args, bytes);
}

}  // namespace edgeax
