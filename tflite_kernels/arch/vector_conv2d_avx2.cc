#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/lookup_avx2.h"
#include "tflite_kernels/arch/vector_conv2d.h"

namespace edgeax {

Status VectorConv2DAvx2(const VectorConv2DArgs& args, const VectorTensors& tensors) {
  return VectorConv2DOn<Avx2, LookupAvx2>(args, tensors);
}

Status VectorConv2DScratchBytesAvx2(const VectorConv2DArgs& args, size_t* bytes) {
  return VectorConv2DScratchBytesOn<Avx2, LookupAvx2>(args, bytes);
}

}  // namespace edgeax
