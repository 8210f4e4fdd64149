#include "tflite_kernels/arch/avx2.h"
#include "tflite_kernels/arch/fully_connected.h"
#include "tflite_kernels/arch/kernels.h"

namespace edgeax {

Status FullyConnectedAvx2(const FullyConnectedArgs& args, const Tensors& tensors) {
  return FullyConnectedOn<Avx2>(args, tensors);
}

Status FullyConnectedScratchBytesAvx2(const FullyConnectedArgs& args, size_t* bytes) {
  return FullyConnectedScratchBytesOn<Avx2>(args, bytes);
}

}  // namespace edgeax
