#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/lookup_neon.h"
#include "tflite_kernels/arch/neon.h"
#include "tflite_kernels/arch/vector_conv2d.h"

namespace edgeax {

Status VectorConv2DNeon(const VectorConv2DArgs& args, const VectorTensors& tensors) {
  return VectorConv2DOn<Neon, LookupNeonPlain>(args, tensors);
}

Status VectorConv2DScratchBytesNeon(const VectorConv2DArgs& args, size_t* bytes) {
  return VectorConv2DScratchBytesOn<Neon, LookupNeonPlain>(args, bytes);
}

}  // namespace edgeax
