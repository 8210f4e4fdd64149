#include "tflite_kernels/arch/fully_connected.h"
#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/neon_dotprod.h"

namespace edgeax {

Status FullyConnectedNeonDotprod(const FullyConnectedArgs& args, const Tensors& tensors) {
  return FullyConnectedOn<NeonDotprod>(args, tensors);
}

Status FullyConnectedScratchBytesNeonDotprod(const FullyConnectedArgs& args, size_t* bytes) {
  return FullyConnectedScratchBytesOn<NeonDotprod>(args, bytes);
}

}  // namespace edgeax
