#include "tflite_kernels/arch/binary_conv2d.h"
#include "tflite_kernels/arch/binary_neon.h"
#include "tflite_kernels/arch/kernels.h"

namespace edgeax {

Status BinaryConv2DNeon(const BinaryConv2DArgs& args, const BinaryTensors& tensors) {
  return BinaryConv2DOn<BinaryNeon>(args, tensors);
}

Status BinaryConv2DScratchBytesNeon(const BinaryConv2DArgs& args, size_t* bytes) {
  return BinaryConv2DScratchBytesOn<BinaryNeon>(args, bytes);
}

}  // namespace edgeax
