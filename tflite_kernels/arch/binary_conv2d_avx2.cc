#include "tflite_kernels/arch/binary_avx2.h"
#include "tflite_kernels/arch/binary_conv2d.h"
#include "tflite_kernels/arch/kernels.h"

namespace edgeax {

Status BinaryConv2DAvx2(const BinaryConv2DArgs& args, const BinaryTensors& tensors) {
  return BinaryConv2DOn<BinaryAvx2>(args, tensors);
}

Status BinaryConv2DScratchBytesAvx2(const BinaryConv2DArgs& args, size_t* bytes) {
  return BinaryConv2DScratchBytesOn<BinaryAvx2>(args, bytes);
}

}  // namespace edgeax
