#include "tflite_kernels/arch/float_avx2.h"
#include "tflite_kernels/arch/float_fully_connected.h"
#include "tflite_kernels/arch/kernels.h"

namespace edgeax {

Status FloatFullyConnectedAvx2(const FloatFullyConnectedArgs& args, const FloatTensors& tensors) {
  return FloatFullyConnectedOn<FloatAvx2>(args, tensors);
}

Status FloatFullyConnectedScratchBytesAvx2(const FloatFullyConnectedArgs& args, size_t* bytes) {
  return FloatFullyConnectedScratchBytesOn<FloatAvx2>(args, bytes);
}

}  // namespace edgeax
