#include "tflite_kernels/arch/binary_fully_connected.h"
#include "tflite_kernels/arch/binary_neon.h"
#include "tflite_kernels/arch/kernels.h"

namespace edgeax {

Status BinaryFullyConnectedNeon(const BinaryFullyConnectedArgs& args,
                                const BinaryTensors& tensors) {
  return BinaryFullyConnectedOn<BinaryNeon>(args, tensors);
}

Status BinaryFullyConnectedScratchBytesNeon(const BinaryFullyConnectedArgs& args, size_t* bytes) {
  return BinaryFullyConnectedScratchBytesOn<BinaryNeon>(args, bytes);
}

}  // namespace edgeax
