#include "tflite_kernels/arch/float_avx512.h"
#include "tflite_kernels/arch/float_fully_connected.h"
#include "tflite_kernels/arch/kernels.h"

namespace edgeax {

Status FloatFullyConnectedAvx512(const FloatFullyConnectedArgs& args, const FloatTensors& tensors) {
  return FloatFullyConnectedOn<FloatAvx512>(args, tensors);
}

Status FloatFullyConnectedScratchBytesAvx512(const FloatFullyConnectedArgs& args, size_t* bytes) {
  return FloatFullyConnectedScratchBytesOn<FloatAvx512>(args, bytes);
}

}  // namespace edgeax
