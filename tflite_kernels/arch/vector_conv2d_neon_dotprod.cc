#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/lookup_neon.h"
#include "tflite_kernels/arch/neon_dotprod.h"
#include "tflite_kernels/arch/vector_conv2d.h"

namespace edgeax {

Status VectorConv2DNeonDotprod(const VectorConv2DArgs& args, const VectorTensors& tensors) {
  return VectorConv2DOn<NeonDotprod, LookupNeonDotprod>(args, tensors);
}

Status VectorConv2DScratchBytesNeonDotprod(const VectorConv2DArgs& args, size_t* bytes) {
  return VectorConv2DScratchBytesOn<NeonDotprod, LookupNeonDotprod>(args, bytes);
}

}  // namespace edgeax
