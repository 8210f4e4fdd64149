#include "tflite_kernels/arch/avx512.h"
#include "tflite_kernels/arch/fully_connected.h"
#include "tflite_kernels/arch/kernels.h"

namespace edgeax {

Status FullyConnectedAvx512(const FullyConnectedArgs& args, const Tensors& tensors) {
  return FullyConnectedOn<Avx512>(args, tensors);
}

Status FullyConnectedScratchBytesAvx512(const FullyConnectedArgs& args, size_t* bytes) {
  return FullyConnectedScratchBytesOn<Avx512>(args, bytes);
}

}  // namespace edgeax
