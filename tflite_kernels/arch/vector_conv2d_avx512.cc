#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/lookup_avx512.h"
#include "tflite_kernels/arch/vector_conv2d.h"

namespace edgeax {

Status VectorConv2DAvx512(const VectorConv2DArgs& args, const VectorTensors& tensors) {
  return VectorConv2DOn<Avx512, LookupAvx512>(args, tensors);
}

Status VectorConv2DScratchBytesAvx512(const VectorConv2DArgs& args, size_t* bytes) {
  return VectorConv2DScratchBytesOn<Avx512, LookupAvx512>(args, bytes);
}

}  // namespace edgeax
