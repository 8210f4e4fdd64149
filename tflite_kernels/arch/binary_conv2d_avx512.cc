#include "tflite_kernels/arch/binary_avx512.h"
#include "tflite_kernels/arch/binary_conv2d.h"
#include "tflite_kernels/arch/kernels.h"

namespace edgeax {

Status BinaryConv2DAvx512(const BinaryConv2DArgs& args, const BinaryTensors& tensors) {
  return BinaryConv2DOn<BinaryAvx512>(args, tensors);
}

Status BinaryConv2DScratchBytesAvx512(const BinaryConv2DArgs& args, size_t* bytes) {
  return BinaryConv2DScratchBytesOn<BinaryAvx512>(args, bytes);
}

}  // namespace edgeax
