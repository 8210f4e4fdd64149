#include "tflite_kernels/arch/float_fully_connected.h"
#include "tflite_kernels/arch/float_neon.h"
#include "tflite_kernels/arch/kernels.h"

namespace edgeax {

Status FloatFullyConnectedNeon(const FloatFullyConnectedArgs& args, const FloatTensors& tensors) {
  return FloatFullyConnectedOn<FloatNeon>(args, tensors);
}

Status FloatFullyConnectedScratchBytesNeon(const FloatFullyConnectedArgs& args, size_t* bytes) {
  return FloatFullyConnectedScratchBytesOn<FloatNeon>(args, bytes);
}

}  // namespace edgeax
