#include "tflite_kernels/arch/armv7.h"
#include "tflite_kernels/arch/fully_connected.h"
#include "tflite_kernels/arch/kernels.h"

namespace edgeax {

Status FullyConnectedArmv7(const FullyConnectedArgs& args, const Tensors& tensors) {
  return FullyConnectedOn<Armv7>(args, tensors);
}

Status FullyConnectedScratchBytesArmv7(const FullyConnectedArgs& args, size_t* bytes) {
  return FullyConnectedScratchBytesOn<Armv7>(args, bytes);
}

}  // namespace edgeax
