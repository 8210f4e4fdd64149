#include "tflite_kernels/arch/binary_avx512.h"
#include "tflite_kernels/arch/binary_fully_connected.h"
#include "tflite_kernels/arch/kernels.h"

namespace edgeax {

Status BinaryFullyConnectedAvx512(const BinaryFullyConnectedArgs& args,
                                  const BinaryTensors& tensors) {
  return BinaryFullyConnectedOn<BinaryAvx512>(args, tensors);
}

Status BinaryFullyConnectedScratchBytesAvx512(const BinaryFullyConnectedArgs& args, size_t* bytes) {
  return BinaryFullyConnectedScratchBytesOn<BinaryAvx512>(args, bytes);
}

}  // namespace edgeax
