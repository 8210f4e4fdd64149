#include "tflite_kernels/arch/fully_connected.h"
#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/neon.h"

namespace edgeax {

Status FullyConnectedNeon(const FullyConnectedArgs& args, const Tensors& tensors) {
  return FullyConnectedOn<Neon>(args, tensors);
}

Status FullyConnectedScratchBytesNeon(const FullyConnectedArgs& args, size_t* bytes) {
  return FullyConnectedScratchBytesOn<Neon>(args, bytes);
}

}  // namespace edgeax
