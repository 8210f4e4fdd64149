#include "tflite_kernels/arch/binary_avx2.h"
#include "tflite_kernels/arch/binary_fully_connected.h"
#include "tflite_kernels/arch/kernels.h"

namespace edgeax {

Status BinaryFullyConnectedAvx2(const BinaryFullyConnectedArgs& args,
                                const BinaryTensors& tensors) {
  return BinaryFullyConnectedOn<BinaryAvx2>(args, tensors);
}

Status BinaryFullyConnectedScratchBytesAvx2(const BinaryFullyConnectedArgs& args, size_t* bytes) {
  return BinaryFullyConnectedScratchBytesOn<BinaryAvx2>(args, bytes);
}

}  // namespace edgeax
