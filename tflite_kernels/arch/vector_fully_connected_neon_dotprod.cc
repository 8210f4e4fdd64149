#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/lookup_neon.h"
#include "tflite_kernels/arch/neon_dotprod.h"
#include "tflite_kernels/arch/vector_fully_connected.h"

namespace edgeax {

Status VectorFullyConnectedNeonDotprod(const VectorFullyConnectedArgs& args,
                                       const VectorTensors& tensors) {
  return VectorFullyConnectedOn<NeonDotprod, LookupNeonDotprod>(args, tensors);
}

Status VectorFullyConnectedScratchBytesNeonDotprod(const VectorFullyConnectedArgs& args,
                                                   size_t* bytes) {
  return VectorFullyConnectedScratchBytesOn<NeonDotprod, LookupNeonDotprod>(args, bytes);
}

}  // namespace edgeax
