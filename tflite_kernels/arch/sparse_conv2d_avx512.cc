#include "tflite_kernels/arch/kernels.h"
#include "tflite_kernels/arch/sparse_avx512.h"
#include "tflite_kernels/arch/sparse_conv2d.h"

namespace edgeax {

Status SparseConv2DAvx512(const SparseConv2DArgs& args, const SparseTensors& tensors) {
  return SparseConv2DOn<SparseAvx512>(args, tensors);
}

Status SparseConv2DScratchBytesAvx512(const SparseConv2DArgs& args, size_t* bytes) {
  return SparseConv2DScratchBytesOn<SparseAvx512>(args, bytes);
}

}  // namespace edgeax
